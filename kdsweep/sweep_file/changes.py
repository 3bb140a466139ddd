"""Dotted paths and values, put into a trial."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from kdsweep.errors import SpecError
from kdsweep.spec import SweepSpec, TrialSpec
from kdsweep.spec.problems import sentences
from kdsweep.sweep_file.components import component_problems


def at(base: TrialSpec | SweepSpec, changes: Mapping[str, Any]) -> TrialSpec:
    """The trial with a value at each dotted path; a mapping replaces what is there as a whole.

    Raises:
        SpecError: a path leads nowhere, or its value is not allowed there.
    """
    trial = put(base.trial if isinstance(base, SweepSpec) else base, changes)
    problems = component_problems(trial)
    if problems:
        raise SpecError(problems)
    return trial


def put(trial: TrialSpec, changes: Mapping[str, Any]) -> TrialSpec:
    """As ``at``, without checking the settings of data, models and strategy by their classes."""
    raw, problems = as_given(trial), []
    for path, value in changes.items():
        problems += _set(raw, path, value)
    if problems:
        raise SpecError(problems)
    try:
        return TrialSpec.model_validate(raw)
    except ValidationError as error:
        raise SpecError(sentences(error, TrialSpec)) from None


def as_given(model: BaseModel) -> dict[str, Any]:
    """The settings that were given, without the defaults of the others.

    Nested settings are there even if none of theirs was given, with their names, so that a path
    can lead into them.
    """
    return dict(_given(model))


def _given(model: BaseModel) -> Iterator[tuple[str, Any]]:
    for key, value in model:
        if isinstance(value, BaseModel):
            yield key, as_given(value)
        elif key == "name" or key in model.model_fields_set:
            yield key, value


def _set(raw: dict[str, Any], path: str, value: Any) -> list[str]:
    *parents, last = path.split(".")
    place = raw
    for depth, key in enumerate(parents):
        below = place.get(key)
        if below is None:
            below = {}
        if not isinstance(below, Mapping):
            above = ".".join(parents[: depth + 1])
            return [f"{path}: leads nowhere: {above} is {below!r}, with nothing below it"]
        # A copy: what lies below belongs to the trial that the change starts from.
        place[key] = place = dict(below)
    place[last] = value
    return []
