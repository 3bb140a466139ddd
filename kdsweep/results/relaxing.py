"""Which limit to relax where no student fits, and by how much."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from kdsweep.results.limits import Limit, number_words, points_words
from kdsweep.results.record import Metric, TrialResult


@dataclass(frozen=True)
class Relaxation:
    """Limits with the bounds that let ``trial`` fit; limits of the sweep's own are left out."""

    bounds: tuple[tuple[Limit, float], ...]
    trial: TrialResult

    @property
    def words(self) -> str:
        """``max params 40,000 (by 38,000) and min accuracy 80.00% (--min-accuracy 0.8, ...)``."""
        given = [_words(limit, bound) for limit, bound in self.bounds if not limit.is_own]
        own = [limit for limit, _ in self.bounds if limit.is_own]
        if own:
            missed = ", ".join(f"{each.words} by {_excess(each, self.trial)}" for each in own)
            given.append(f"--ignore-constraints (it misses the sweep's own {missed})")
        return " and ".join(given)


def advice(
    students: Sequence[TrialResult], limits: Sequence[Limit], wanted: Sequence[Metric]
) -> tuple[tuple[str, ...], tuple[Relaxation, ...]]:
    """Sentences for a run none of whose ``students`` fits, and what they say as data.

    Each limit that is enough alone; else all together, for the student that misses them least.
    Without a student there is nothing to relax, nor where none measured a metric.
    """
    if not students:
        return ("the run has no complete trial yet",), ()
    for metric in dict.fromkeys([*(limit.metric for limit in limits), *wanted]):
        if not any(math.isfinite(s.metrics.get(metric, math.nan)) for s in students):
            return (f"no trial of this run measured {metric}: choose without it",), ()
    students = [s for s in students if _measured(s, wanted)]
    own = tuple(limit for limit in limits if limit.is_own)
    groups = [*((limit,) for limit in limits if not limit.is_own), *((own,) if own else ())]
    found = [one for group in groups if (one := _alone(students, limits, group)) is not None]
    if found:
        return tuple(f"{each.words} lets {_named(each.trial)} fit" for each in found), tuple(found)
    nearest = _nearest(students, limits)
    if nearest is None:
        return ("no trial of this run measured all the limited metrics: choose with fewer",), ()
    together = _relaxed(nearest, limits)
    sentence = f"no single limit is enough; together {together.words} let {_named(nearest)} fit"
    return (sentence,), (together,)


def _measured(student: TrialResult, metrics: Sequence[Metric]) -> bool:
    return all(math.isfinite(student.metrics.get(metric, math.nan)) for metric in metrics)


def _alone(
    students: Sequence[TrialResult], limits: Sequence[Limit], group: Sequence[Limit]
) -> Relaxation | None:
    """What to make of ``group`` if the others stay; none where that is not enough."""
    others = [limit for limit in limits if limit not in group]
    fitting = [s for s in students if not any(other.excess(s) > 0 for other in others)]
    nearest = _nearest(fitting, group)
    return None if nearest is None else _relaxed(nearest, group)


def _nearest(students: Sequence[TrialResult], limits: Sequence[Limit]) -> TrialResult | None:
    """Whose worst excess, relative to the limit, is least; of equals the most accurate."""

    def worst(student: TrialResult) -> float:
        return max(limit.excess(student) / (abs(limit.bound) or 1.0) for limit in limits)

    measured = [student for student in students if math.isfinite(worst(student))]
    return min(
        measured, key=lambda s: (worst(s), -s.metrics.get("accuracy", 0.0)), default=None
    )  # fmt: skip


def _relaxed(student: TrialResult, limits: Sequence[Limit]) -> Relaxation:
    missed = [limit for limit in limits if limit.excess(student) > 0]
    return Relaxation(
        tuple((limit, _bound(limit, student.metrics[limit.metric])) for limit in missed), student
    )


def _bound(limit: Limit, value: float) -> float:
    """The nearest short number that lets ``value`` fit; of a distance from the teacher, that."""
    if limit.teacher is not None:
        distance = _above(round(limit.teacher - value, 9), 1e4)
        # What select makes of it is rounded as well.
        fits = round(limit.teacher - distance, 12) <= value
        return distance if fits else _above(distance + 5e-5, 1e4)
    return -_above(-value, 1e4) if limit.is_lower else _above(value, 1e3)


def _above(value: float, steps: float) -> float:
    """The least of the multiples of ``1 / steps`` that is not below ``value``."""
    shown = math.ceil(value * steps) / steps
    return shown if shown >= value else (math.ceil(value * steps) + 1) / steps


def _words(limit: Limit, bound: float) -> str:
    if limit.teacher is not None:
        more = round(bound - (limit.teacher - limit.bound), 9)
        return (
            f"within {points_words(bound)} of the teacher (--within {number_words(bound)}, by "
            f"{points_words(more)})"
        )
    side = "min" if limit.is_lower else "max"
    # The option takes a share, as the files do.
    option = f"--min-accuracy {number_words(bound)}, " if limit.metric == "accuracy" else ""
    apart = limit.said_apart(abs(limit.bound - bound))
    return f"{side} {limit.name} {limit.said(bound)} ({option}by {apart})"


def _excess(limit: Limit, student: TrialResult) -> str:
    return limit.said_apart(limit.excess(student))


def _named(student: TrialResult) -> str:
    return f"trial {student.number} ({student.name})"
