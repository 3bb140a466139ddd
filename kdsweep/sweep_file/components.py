"""Data, models and strategies of a trial, checked by the classes that their names stand for."""

from collections.abc import Iterator, Mapping
from typing import Any

from kdsweep import catalog
from kdsweep.errors import SpecError
from kdsweep.spec import Component, TeacherSpec, TrialSpec
from kdsweep.spec.problems import dotted
from kdsweep.spec.trial import MAIN_TEACHER


def components(trial: TrialSpec) -> Iterator[tuple[str, catalog.Kind, Component]]:
    """Every component with its dotted path; extras come after the strategy that they are part of.

    Raises:
        SpecError: the ``extra`` of the strategy is not what it should be.
    """
    yield "data", "data", trial.data
    for path, teacher in teacher_paths(trial):
        yield f"{path}.model", "model", teacher.model
    yield "student", "model", trial.student
    yield "strategy", "strategy", trial.strategy
    for name, extra in catalog.extras(trial.strategy).items():
        yield f"strategy.extra.{name}", "strategy", extra


def teacher_paths(trial: TrialSpec) -> Iterator[tuple[str, TeacherSpec]]:
    """Every teacher with its dotted path, the trial's own first."""
    for name, teacher in trial.all_teachers.items():
        yield "teacher" if name == MAIN_TEACHER else f"teachers.{name}", teacher


def component_problems(trial: TrialSpec) -> list[str]:
    """All that the classes have against the settings, and a teacher that is needed and absent."""
    problems: list[str] = []
    walk = components(trial)
    try:
        for path, kind, component in walk:
            problems += _problems_of(kind, component, path)
    except SpecError as error:
        problems += error.problems
    if trial.teacher is None:
        problems += _absent_teacher(trial.strategy)
    elif not problems:
        problems += _unknown_teachers(trial)
    return problems


def _problems_of(kind: catalog.Kind, component: Component, path: str) -> list[str]:
    try:
        checked = catalog.params(kind, component, at=path)
    except SpecError as error:
        return list(error.problems)
    return list(coerced(component.settings, checked.model_dump(), path))


def _absent_teacher(strategy: Component) -> list[str]:
    try:
        each = (strategy, *catalog.extras(strategy).values())
        learners = [c.name for c in each if catalog.find("strategy", c.name).needs.teacher]
    except SpecError:
        return []  # the wrong name has been reported with the settings
    if not learners:
        return []
    names = catalog.names("strategy")
    others = [name for name in names if not catalog.find("strategy", name).needs.teacher]
    return [
        f"teacher: is missing, and strategy {learners[0]!r} learns from one: "
        f"give the trial a teacher, or use in its place what needs none: {', '.join(others)}"
    ]


def _unknown_teachers(trial: TrialSpec) -> list[str]:
    """What each strategy has against the names of the trial's further teachers."""
    problems: list[str] = []
    for path, kind, component in components(trial):
        if kind == "strategy":
            settings = catalog.params(kind, component, at=path)
            try:
                catalog.find(kind, component.name).chosen(settings, tuple(trial.teachers))
            except SpecError as error:
                problems += [f"{dotted((path, problem))}" for problem in error.problems]
    return problems


def coerced(given: Any, checked: Any, path: str) -> Iterator[str]:
    """A sentence for every number that was written as text or as true or false.

    ``checked`` is what ``given`` became: where the one is a number and the other is none, the file
    says something else than it seems to.
    """
    if isinstance(given, Mapping) and isinstance(checked, Mapping):
        for key in given:
            if key in checked:
                yield from coerced(given[key], checked[key], dotted((path, key)))
    elif isinstance(given, list | tuple) and isinstance(checked, list | tuple):
        for index, (old, new) in enumerate(zip(given, checked, strict=False)):
            yield from coerced(old, new, dotted((path, index)))
    elif _is_number(checked) and not _is_number(given):
        yield f"{path}: {given!r} is not a number" + (
            ": write it without quotes" if isinstance(given, str) else ""
        )
    elif isinstance(checked, bool) and not isinstance(given, bool):
        yield f"{path}: {given!r} is not allowed: must be true or false"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
