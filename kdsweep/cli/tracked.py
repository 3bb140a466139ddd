"""Where the trials of a run are tracked, as the commands that speak to MLflow find it."""

from typing import TYPE_CHECKING

from pydantic import ValidationError

from kdsweep.errors import SpecError
from kdsweep.results.names import SWEEP_FILE
from kdsweep.results.store import RunStore

if TYPE_CHECKING:
    from kdsweep.spec import TrackingSpec


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
    from kdsweep.tracking.where import uri_of

    refuse_other_uri(uri, option=option)
    tracking = asked_tracking(store, without_uri=uri is not None)
    return uri or uri_of(tracking, store.directory.parent), tracking.experiment


def asked_tracking(store: RunStore, *, without_uri: bool = False) -> "TrackingSpec":
    """What the sweep file of a run says of MLflow, ``without_uri`` as if it named no address.

    Raises:
        SpecError: it says nothing of use.
    """
    from kdsweep.spec import TrackingSpec
    from kdsweep.spec.problems import sentences
    from kdsweep.sweep_file.read import parse_yaml

    raw, _ = parse_yaml(store.sweep_text)
    given = raw.get("tracking") or {}
    if without_uri and isinstance(given, dict):
        given = {**given, "uri": None}
    try:
        return TrackingSpec.model_validate(given)
    except ValidationError as error:
        problems = sentences(error, TrackingSpec, at="tracking")
        raise SpecError(problems, source=f"{store.place}/{SWEEP_FILE}") from None
