"""A trial with every default written out: what a trial file holds, so that it runs again."""

import re
from collections.abc import Callable
from typing import Any

from pydantic import TypeAdapter, ValidationError

from kdsweep import catalog
from kdsweep.errors import SpecError
from kdsweep.spec import Component, Settings, TeacherSpec, TrainSpec, TrialSpec
from kdsweep.spec.trial import Optimizer, Schedule

_SCHEMAS: dict[str, TypeAdapter[Any]] = {
    "train": TypeAdapter(TrainSpec),
    "train.optimizer": TypeAdapter(Optimizer),
    "train.schedule": TypeAdapter(Schedule),
}
_COMPONENTS: dict[str, catalog.Kind] = {
    "data": "data", "student": "model", "strategy": "strategy", "teacher.model": "model"
}  # fmt: skip


def resolved(trial: TrialSpec) -> dict[str, Any]:
    """The trial as plain data with all defaults filled in, those of its components included.

    A default that its class refuses beside the settings that were given is left out.

    Raises:
        SpecError: a component is not what its class allows.
    """
    whole = trial.model_dump(mode="json")
    if not trial.with_validation:
        # Of a search it cannot be true: in every trial file it would only be read past.
        del whole["with_validation"]
    models: dict[str, catalog.Kind] = {f"teachers.{n}.model": "model" for n in trial.teachers}
    for path, kind in {**_COMPONENTS, **models}.items():
        *parents, last = path.split(".")
        place = whole
        for key in parents:
            place = place[key] or {}
        if last in place:
            place[last] = _component(kind, place[last])
    return whole


def defaults(path: str, value: Any) -> Any:
    """The value at a dotted path of a trial, its defaults written out; other values as they are.

    This is what ``Space.locate`` compares by: a value that is not allowed there stays as it is.
    """
    try:
        return _filled(path)(value)
    except (SpecError, ValidationError):
        return value


def _filled(path: str) -> Callable[[Any], Any]:
    if path == "teachers":
        return lambda value: {name: _teacher(each) for name, each in value.items()}
    # What is below a further teacher is as below the trial's own.
    path = re.sub(r"^teachers\.[^.]+", "teacher", path)
    if path in _COMPONENTS:
        return lambda value: _component(_COMPONENTS[path], value)
    extra = re.fullmatch(r"strategy\.extra\.([^.]+|[\w.]+:\w+)", path)
    if extra is not None:
        return lambda value: value if value is None else _extra(extra[1], value)
    below_teacher = path.removeprefix("teacher.")
    if path == "":
        return lambda value: resolved(TrialSpec.model_validate(value))
    if path == "teacher":
        return lambda value: value if value is None else _teacher(value)
    if below_teacher in _SCHEMAS:
        return lambda value: value if value is None else _plain(below_teacher, value)
    return lambda value: value


def _plain(path: str, value: Any) -> Any:
    adapter = _SCHEMAS[path]
    named = {"name": value} if isinstance(value, str) else value
    return adapter.dump_python(adapter.validate_python(named), mode="json")


def _teacher(value: Any) -> dict[str, Any]:
    dumped = TeacherSpec.model_validate(value).model_dump(mode="json")
    return dumped | {"model": _component("model", dumped["model"])}


def _component(kind: catalog.Kind, value: Any) -> dict[str, Any]:
    component = Component.model_validate(value)
    whole = {"name": component.name, **_written_out(kind, component)}
    if kind == "strategy" and "extra" in component.settings:
        extras = catalog.extras(component)
        given = component.settings["extra"] or {}
        whole["extra"] = {
            name: _written_out("strategy", extras[name]) if name in extras else None
            for name in given
        }
    return whole


def _extra(name: str, value: Any) -> dict[str, Any]:
    return _written_out("strategy", Component(**value, name=name))


def _written_out(kind: catalog.Kind, component: Component) -> dict[str, Any]:
    checked = catalog.params(kind, component)
    whole = checked.model_dump(mode="json")
    if type(checked) is Settings:
        return component.settings  # a class without Params: its constructor has the defaults
    if _reads_back(checked, whole):
        return whole
    kept = checked.model_dump(mode="json", exclude_unset=True)
    for key, value in whole.items():
        if key not in kept and _reads_back(checked, kept | {key: value}):
            kept[key] = value
    return {key: kept[key] for key in whole if key in kept}


def _reads_back(checked: Settings, written: dict[str, Any]) -> bool:
    try:
        return type(checked).model_validate(written) == checked
    except ValidationError:
        return False
