"""What a sweep file decides, with its defaults written out, to hold it against another one."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from kdsweep.errors import SpecError
from kdsweep.spec import SweepSpec, TrialSpec
from kdsweep.spec.sweep import SearchSpec
from kdsweep.sweep_file.resolve import defaults, resolved


def written_out(raw: Mapping[str, Any]) -> dict[str, Any] | None:
    """The plain data of a sweep file with the defaults of trial, objectives and search in it.

    Choices of the space are written out where they are whole settings, as ``{name: kd}`` is. None
    where this machine cannot tell, as of a class that cannot be imported here.
    """
    try:
        search = SearchSpec.model_validate(raw.get("search") or {})
        trial = resolved(TrialSpec.model_validate(raw.get("trial") or {}))
    except (SpecError, ValidationError):
        return None
    asked = search.model_dump(mode="json")
    if search.budget is not None and "trials" not in search.model_fields_set:
        asked["trials"] = None  # the budget decides
    default = SweepSpec.model_fields["objectives"].get_default(call_default_factory=True)
    objectives = raw.get("objectives") or default
    space = raw.get("space") or {}
    if isinstance(space, Mapping):
        space = {path: _choices(path, entry) for path, entry in space.items()}
    return {**raw, "trial": trial, "objectives": objectives, "search": asked, "space": space}


def _choices(path: str, entry: Any) -> Any:
    if isinstance(entry, Mapping) and isinstance(entry.get("choice"), list):
        return {**entry, "choice": [defaults(path, choice) for choice in entry["choice"]]}
    return entry
