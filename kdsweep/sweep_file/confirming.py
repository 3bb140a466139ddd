"""The points of a confirmation: the chosen students, and what they are held against."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kdsweep.errors import SpecError
from kdsweep.results.confirms import ConfirmedPoint
from kdsweep.results.record import TrialResult
from kdsweep.spec import TrialSpec
from kdsweep.sweep_file.changes import at
from kdsweep.sweep_file.load import Sweep
from kdsweep.sweep_file.resolve import resolved
from kdsweep.sweep_file.training_data import student_reads

_NONE = "none"


def points_to_confirm(
    sweep: Sweep,
    students: Sequence[TrialResult],
    controls: Sequence[TrialResult],
    *,
    own_controls: bool,
) -> tuple[tuple[ConfirmedPoint, ...], dict[str, int]]:
    """The points, no two of them alike, and which of them are the sweep's controls, by strategy.

    With ``own_controls`` there is one without distillation for each kind of student and training.

    Raises:
        SpecError: a record's trial is none of this sweep file.
    """
    points: list[ConfirmedPoint] = []
    known: dict[str, int] = {}
    for result in students:
        _add(points, known, sweep, _point("student", result), is_new=True)
    of_sweep = {
        str(result.trial["strategy"]["name"]): _add(points, known, sweep, _point("control", result))
        for result in controls
    }
    if own_controls and not sweep.info.no_training:
        for place, student in enumerate(points[: len(students)]):
            own = _add(points, known, sweep, _own_control(student))
            if own != place:
                points[place] = student.model_copy(update={"own_control": own})
    return tuple(points), of_sweep


def refuse_validation(sweep: Sweep, points: Iterable[ConfirmedPoint]) -> None:
    """Complain of students that learn from no training data: validation data add nothing to them.

    Raises:
        SpecError: names them.
    """
    trials = {point.name: trial_of(sweep, point) for point in points}
    names = [name for name, trial in trials.items() if not student_reads(trial)]
    if names:
        raise SpecError(
            f"--with-validation: {', '.join(names)}: learns from no training data, so there are "
            "none to add the validation data to"
        )


def trial_of(sweep: Sweep, point: ConfirmedPoint) -> TrialSpec:
    """A point's trial, with the seed of the sweep's own."""
    return at(sweep.spec.trial, point.changes)


def _add(
    points: list[ConfirmedPoint],
    known: dict[str, int],
    sweep: Sweep,
    point: ConfirmedPoint,
    *,
    is_new: bool = False,
) -> int:
    """Where the point is among the others, its own place if there is none like it."""
    key = json.dumps(resolved(trial_of(sweep, point)), sort_keys=True)
    place = known.setdefault(key, len(points))
    if is_new or place == len(points):
        points.append(point)
    return place


def _point(kind: Any, result: TrialResult) -> ConfirmedPoint:
    return ConfirmedPoint(
        kind=kind,
        name=result.name,
        changes=_without(result.changes, "seed"),
        params=_without(result.params, "seed"),
        trial_ids=result.trial_ids,
        metrics=result.metrics,
    )


def _own_control(student: ConfirmedPoint) -> ConfirmedPoint:
    changes = {**_without(student.changes, "strategy"), "strategy": {"name": _NONE}}
    return ConfirmedPoint(kind="own_control", name=f"{_NONE} for {student.name}", changes=changes)


def _without(values: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Without what is at a path or below it, whichever choice of a space it is a part of."""
    return {
        name: value
        for name, value in values.items()
        if name != path and not name.startswith((f"{path}.", f"{path}["))
    }
