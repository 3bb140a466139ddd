"""The records of a run, read and checked."""

import os
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from kdsweep.errors import ResultError
from kdsweep.results.damage import damage, is_of_another_version, meta_before
from kdsweep.results.meta import RunMeta
from kdsweep.results.names import META_FILE, RESULT_FILE
from kdsweep.results.places import no_run_here, read_own
from kdsweep.results.record import TrialResult
from kdsweep.storage.copies import name_of

_A_LINK = "is a link, which could lead out of the run directory, and is left out"


def read_meta(directory: Path) -> tuple[RunMeta, str | None]:
    """The run's ``run.json``; or the version before it, and a sentence that says why.

    Raises:
        ResultError: it is missing, or damaged with the version before it.
    """
    try:
        text = read_own(directory / META_FILE)
    except (FileNotFoundError, NotADirectoryError):
        raise ResultError(no_run_here(directory), source=name_of(directory)) from None
    except OSError as error:
        raise ResultError(f"cannot be read: {error}", source=name_of(directory)) from error
    try:
        return RunMeta.model_validate_json(text), None
    except ValidationError as error:
        where, before = name_of(directory / META_FILE), meta_before(directory)
        if before is None or is_of_another_version(error):
            raise ResultError(damage(error), source=where) from error
        return before, f"{where}: {damage(error)}; the version before it is used"


def trials_in(trials: Path) -> tuple[list[str], list[str]]:
    """The ids of the trials under ``trials``, and a sentence for each link, which is left out."""
    if trials.is_symlink():
        return [], [f"{name_of(trials)}: {_A_LINK}"]
    found, links = list[str](), list[str]()
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(trials) as entries:
        for entry in entries:
            if entry.is_symlink():
                links.append(entry.name)
            elif entry.is_dir():
                found.append(entry.name)
    return sorted(found), [f"{name_of(trials / name)}: {_A_LINK}" for name in sorted(links)]


def read_record(trials: Path, trial_id: str) -> TrialResult | None:
    """A trial's record under ``trials``; none where it has begun but has not reported yet.

    Raises:
        ResultError: it cannot be read, or is no record of this trial.
    """
    path = trials / trial_id / RESULT_FILE
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
