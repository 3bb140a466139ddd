"""The teachers of a trial, or of all trials of a sweep, in words."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from kdsweep.spec import TeacherSpec, TrialSpec

_MOST_SHOWN = 4


def teacher_words(trial: TrialSpec) -> str:
    """Where each teacher comes from; with their names where there are several."""
    each = {name: _teacher(teacher) for name, teacher in trial.all_teachers.items()}
    if len(each) > 1:
        return "; ".join(f"{name}: {words}" for name, words in each.items())
    return next(iter(each.values()), "none")


def _teacher(teacher: TeacherSpec) -> str:
    if teacher.weights is not None:
        return f"{teacher.model.name}, loaded from {teacher.weights}"
    num = teacher.training.epochs
    return f"{teacher.model.name}, trained first for {num} epoch{'' if num == 1 else 's'}"


def varied_teacher_words(trials: Sequence[TrialSpec]) -> str:
    """As ``teacher_words``; where the teachers of the ``trials`` differ, each of the first few.

    The first trial is the sweep's own, the others those at the ends of its space.
    """
    found: dict[str, dict[str, TeacherSpec]] = {}
    for trial in trials:
        for name, teacher in trial.all_teachers.items():
            found.setdefault(name, {}).setdefault(repr(teacher.identity), teacher)
    if all(len(kinds) == 1 for kinds in found.values()):
        return teacher_words(trials[0])
    said = []
    for name, kinds in found.items():
        whose = f"{name}: " if len(found) > 1 else ""
        teachers = list(kinds.values())
        if len(teachers) > 1:
            said.append(f"{whose}{len(teachers)} at the ends of the space, which varies it:")
            said += [f"{_teacher(each)}, {how}" for each, how in _apart(teachers)]
            more = len(teachers) - _MOST_SHOWN
            said += [f"and {more} more"] if more > 0 else []
        else:
            said.append(whose + _teacher(teachers[0]))
    return "; ".join(said)


def _apart(teachers: Sequence[TeacherSpec]) -> Iterator[tuple[TeacherSpec, str]]:
    """Of the first few what tells them from one another: ``model.width=8``."""
    flat = [dict(_leaves("", teacher.identity)) for teacher in teachers]
    paths = dict.fromkeys(path for each in flat for path in each)
    differing = [path for path in paths if len({repr(each.get(path)) for each in flat}) > 1]
    for teacher, each in list(zip(teachers, flat, strict=True))[:_MOST_SHOWN]:
        yield teacher, " ".join(f"{path}={each[path]}" for path in differing if path in each)


def _leaves(path: str, value: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(f"{path}.{key}" if path else str(key), inner)
    else:
        yield path, value
