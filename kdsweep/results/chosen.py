"""Which students of a sweep are confirmed: the best of its front, or those that are named."""

from collections.abc import Sequence
from dataclasses import dataclass

from kdsweep.errors import ResultError
from kdsweep.results.meta import RunMeta
from kdsweep.results.pareto import SIZE_LIKE, front
from kdsweep.results.record import TrialResult
from kdsweep.results.replicates import by_point


@dataclass(frozen=True)
class ToConfirm:
    """Students (points, where there are replicates) and the sweep's controls, each complete.

    ``remarks`` are sentences on what was asked for and is not among them.
    """

    students: tuple[TrialResult, ...]
    controls: tuple[TrialResult, ...]
    remarks: tuple[str, ...] = ()


def best_of_front(results: Sequence[TrialResult], meta: RunMeta, top: int) -> ToConfirm:
    """The ``top`` best students of the front by its first objective that is no size.

    Raises:
        ResultError: there is no front.
    """
    on_front = front(results, meta.objectives, constraints=meta.constraints)
    if not on_front:
        raise ResultError(
            "has no front, so there is nothing to confirm: no complete trial meets the "
            "constraints; name trials with --trials, or go on with the sweep"
        )
    metric = next((m for m in meta.objectives if m not in SIZE_LIKE), next(iter(meta.objectives)))
    sign = -1 if meta.objectives[metric] == "max" else 1
    best = sorted(on_front, key=lambda result: sign * result.metrics[metric])[:top]
    remarks = list[str]()
    if len(on_front) < top:
        num = len(on_front)
        remarks.append(f"--top {top}: the front has {num}, and all of them are confirmed")
    elif len(on_front) > top:
        remarks.append(
            f"of {len(on_front)} students on the front the {top} best by {metric} are confirmed "
            f"(--top {len(on_front)}: all)"
        )
    chosen = tuple(each for each in on_front if each in best)
    controls, failed = _controls(results)
    return ToConfirm(chosen, controls, (*remarks, *failed))


def named_trials(results: Sequence[TrialResult], names: Sequence[str]) -> ToConfirm:
    """The points that trials are of, named by their numbers or ids, smallest number first.

    Raises:
        ResultError: one is not there, or is not complete.
    """
    students: dict[int, TrialResult] = {}
    problems = []
    called = _by_name(results)
    for name in names:
        of_name = called.get(name) or called.get(name.lstrip("0") or "0")
        if of_name is None:
            problems.append(f"--trials: there is no trial {name!r}")
        elif of_name.status != "complete":
            problems.append(
                f"--trials: {name} is {of_name.status}, and only complete trials can be confirmed"
            )
        else:
            students[of_name.point] = of_name
    if problems:
        raise ResultError(problems)
    controls, failed = _controls(results)
    return ToConfirm(tuple(students[point] for point in sorted(students)), controls, failed)


def _by_name(results: Sequence[TrialResult]) -> dict[str, TrialResult]:
    """Every point by the ids of its trials, and by their numbers."""
    number_of = {result.trial_id: result.number for result in results}
    points = [each for each in by_point(results) if each.role != "teacher"]
    by_number = {str(number_of[key]): point for point in points for key in point.trial_ids}
    return {**by_number, **{key: point for point in points for key in point.trial_ids}}


def _controls(results: Sequence[TrialResult]) -> tuple[tuple[TrialResult, ...], tuple[str, ...]]:
    found = [each for each in by_point(results) if each.role == "control"]
    complete = tuple(each for each in found if each.status == "complete")
    remarks = tuple(
        f"the sweep's control {each.name} is {each.status}, and is left out"
        for each in found if each.status != "complete"
    )  # fmt: skip
    return complete, remarks
