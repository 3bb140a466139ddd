"""The teachers of a trial, or of all trials of a sweep, in words."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from kdsweep import catalog
from kdsweep.data.treatment import ImageSettings
from kdsweep.spec import Component, TeacherSpec, TrialSpec

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


def normalisation_words(trials: Iterable[TrialSpec]) -> list[str]:
    """How the loaded teachers of the ``trials`` see images, a sentence for each way.

    Nothing of a data set of one's own that normalises in ways of its own.
    """
    said = (_normalised(trial.data) for trial in trials if any(_loaded_for_images(trial)))
    return list(dict.fromkeys(each for each in said if each))[:_MOST_SHOWN]


def _loaded_for_images(trial: TrialSpec) -> Iterator[bool]:
    for teacher in trial.all_teachers.values():
        reads = getattr(catalog.find("model", teacher.model.name), "reads", "images")
        yield teacher.weights is not None and reads == "images"


def _normalised(data: Component) -> str:
    settings = catalog.params("data", data)
    if not isinstance(settings, ImageSettings):
        return ""
    given = {"mean": settings.mean, "std": settings.std}
    each = [f"{name} {list(values)}" for name, values in given.items() if values is not None]
    missing = [name for name, values in given.items() if values is None]
    if missing:
        each.append(f"the {' and '.join(missing)} of the training part")
    asked = " and ".join(f"data.{name}" for name in missing)
    also = f" (if it was trained with others, give {asked})" if missing else ""
    return (
        f"a loaded teacher sees pixels in 0..1, normalised by {' and '.join(each)}: it must have "
        f"been trained so{also}"
    )


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
