"""One trial's record, read and checked."""

from pathlib import Path

from pydantic import ValidationError

from kdsweep.errors import ResultError
from kdsweep.results.damage import damage
from kdsweep.results.places import read_own
from kdsweep.results.record import TrialResult
from kdsweep.storage.copies import name_of


def read_record(trials: Path, trial_id: str) -> TrialResult | None:
    """A trial's record under ``trials``; none where it has begun but has not reported yet.

    Raises:
        ResultError: it cannot be read, or is no record of this trial.
    """
    path = trials / trial_id / "result.json"
    try:
        result = TrialResult.model_validate_json(read_own(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ResultError(
            f"cannot be read and is left out: {error}", source=name_of(path)
        ) from error
    except ValidationError as error:
        raise ResultError(f"{damage(error)}; it is left out", source=name_of(path)) from error
    if result.trial_id != trial_id:
        raise ResultError(
            f"is the record of trial {result.trial_id!r}, not of {trial_id!r}; it is left out",
            source=name_of(path),
        )
    return result
