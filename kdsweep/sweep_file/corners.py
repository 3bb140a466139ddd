"""Every end of every range and every choice, put into the trial and checked."""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from kdsweep.errors import SpecError
from kdsweep.spec import Assignment, Space, TrialSpec
from kdsweep.spec.branch import Together
from kdsweep.sweep_file.changes import put
from kdsweep.sweep_file.components import coerced, component_problems
from kdsweep.sweep_file.fit import Fitting, Measured
from kdsweep.sweep_file.training_data import training_data_problems

_MOST_STUDENTS = 64
_NAMED = ("data", "student", "strategy", "teacher.model")
"""What may be given by a name alone: a sentence about the whole must say which."""


def trial_problems(trial: TrialSpec, fitting: Fitting) -> list[str]:
    """All that is wrong with one trial, by dotted path.

    A network is built only if its settings and those of the data are right.
    """
    problems = component_problems(trial)
    wrong = {problem.partition(": ")[0].partition(".")[0] for problem in problems}
    if "data" not in wrong:
        # First: where a folder of a class should not be there, a teacher's file lacks that class.
        problems += fitting.data_problems(trial)
    if "data" not in wrong and "student" not in wrong:
        student = fitting.student(trial)
        problems += student if isinstance(student, list) else []
    if wrong.isdisjoint(("data", "teacher", "teachers")):
        problems += fitting.teacher_problems(trial)
    if "data" not in wrong:
        problems += training_data_problems(trial, fitting)
    return list(dict.fromkeys(problems))


def corner_problems(
    trial: TrialSpec, space: Space, fitting: Fitting, *, known: Iterable[str]
) -> list[str]:
    """What is wrong with the corners and not with the trial itself, whose problems are ``known``.

    Each sentence is given once, under the name of the dimension that is to blame.
    """
    found: dict[str, None] = {}
    before = set(known)
    for corner in chain(space.corners(), student_corners(space)):
        problems = [p for p in _problems_at(trial, corner, fitting) if p not in before]
        found |= dict.fromkeys(blamed(problem, corner, space) for problem in problems)
    return without_echoes(found)


def student_corners(space: Space) -> Iterator[Assignment]:
    """Every combination of the student's choices and ends, if they are few enough to build.

    Else one varied at a time, then all at their first, and all at their last.
    """
    of_student = space.under("student")
    return of_student.grid(2) if has_all_student_corners(space) else of_student.corners()


def has_all_student_corners(space: Space) -> bool:
    """Whether ``student_corners`` are all combinations."""
    return space.under("student").grid_size(2) <= _MOST_STUDENTS


def students(trial: TrialSpec, space: Space, fitting: Fitting) -> tuple[Measured, ...]:
    """The students at the corners and the trial's own, which the controls train; smallest first."""
    trials = (trial, *(put(trial, corner.changes) for corner in student_corners(space)))
    found: list[Measured] = []
    for each in trials:
        student = fitting.student(each)
        if isinstance(student, Measured) and student not in found:
            found.append(student)
    return tuple(sorted(found, key=lambda student: student.params))


def _problems_at(trial: TrialSpec, corner: Assignment, fitting: Fitting) -> list[str]:
    try:
        changed = put(trial, corner.changes)
    except SpecError as error:
        return list(error.problems)
    dumped = changed.model_dump()
    problems = [
        problem
        for path, value in corner.changes.items()
        for problem in coerced(value, _at(dumped, path), path)
    ]
    return problems or trial_problems(changed, fitting)


def _at(value: Any, path: str) -> Any:
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def blamed(problem: str, corner: Assignment, space: Space) -> str:
    """The sentence under the dimension that is to blame, or with what the corner has set."""
    path, _, sentence = problem.partition(": ")
    taken = [d for d in space.dimensions() if d.name in corner.params]
    above = [d for d in taken if path == d.path or path.startswith(d.path + ".")]
    if above:
        nearest, rest = above[-1], path.removeprefix(above[-1].path)
        inside = rest or path in _NAMED or isinstance(_set_at(corner, path), dict)
        member = f"[{corner.params[nearest.name]}]" if inside else ""
        return f"space.{nearest.name}{member}{rest}: {sentence}"
    together = _together(path, corner, space)
    if together is not None:
        return f"space.{together}[{corner.params[together]}].{path}: {sentence}"
    if any(changed.startswith(path + ".") for changed in corner.changes):
        return f"space.{path}: {sentence} (with {_below(path, corner)})"
    return f"trial.{path}: {sentence} (with {corner.label})"


def _together(path: str, corner: Assignment, space: Space) -> str | None:
    """The name of what sets a path, or something above it, together with other paths."""
    for name, node in space.entries:
        paths = node.paths if isinstance(node, Together) and name in corner.params else ()
        if any(path == each or path.startswith(each + ".") for each in paths):
            return name
    return None


def _set_at(corner: Assignment, path: str) -> Any:
    """What the corner put at a path, or inside a mapping that it put above the path."""
    for changed, value in corner.changes.items():
        if path == changed:
            return value
        if path.startswith(changed + "."):
            return _at(value, path.removeprefix(changed + "."))
    return None


def _below(path: str, corner: Assignment) -> str:
    return ", ".join(
        f"{changed}={value!r}"
        for changed, value in corner.changes.items() if changed.startswith(path + ".")
    )  # fmt: skip


def without_echoes(found: Iterable[str]) -> list[str]:
    """Corners that set many paths repeat what a corner of one path has shown already."""
    kept: dict[str, str] = {}
    for sentence in found:
        kept.setdefault(sentence.partition(" (with ")[0], sentence)
    return list(kept.values())
