"""Where the trials of a run are tracked, as the commands that speak to MLflow find it."""

from pydantic import ValidationError

from kdsweep.errors import SpecError
from kdsweep.results.names import SWEEP_FILE
from kdsweep.results.store import RunStore


def refuse_other_uri(uri: str | None, *, option: str) -> None:
    """Check what is given as the address of MLflow.

    Raises:
        SpecError: it is none; ``option`` is what gave it.
    """
    from kdsweep.spec.surroundings import not_a_tracking_uri

    if uri is not None and (wrong := not_a_tracking_uri(uri)):
        raise SpecError(f"{option}: {uri!r} {wrong}")


def tracking_of(store: RunStore, uri: str | None, *, option: str) -> tuple[str, str]:
    """The address of MLflow's store, and the experiment there; ``uri`` is what ``option`` gives.

    Raises:
        SpecError: ``uri`` is none, or the sweep file says nothing of use.
    """
    from kdsweep.spec import TrackingSpec
    from kdsweep.spec.problems import sentences
    from kdsweep.sweep_file.read import parse_yaml
    from kdsweep.tracking.where import uri_of

    refuse_other_uri(uri, option=option)
    raw, _ = parse_yaml(store.sweep_text)
    given = raw.get("tracking") or {}
    if uri is not None and isinstance(given, dict):
        given = {**given, "uri": None}
    try:
        tracking = TrackingSpec.model_validate(given)
    except ValidationError as error:
        problems = sentences(error, TrackingSpec, at="tracking")
        raise SpecError(problems, source=f"{store.place}/{SWEEP_FILE}") from None
    return uri or uri_of(tracking, store.directory.parent), tracking.experiment
