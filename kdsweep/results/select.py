"""The choice of one student: the best that fits the limits, or which limit to relax."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from kdsweep.results.knee import knee_distances
from kdsweep.results.limits import Limit, given_limits
from kdsweep.results.pareto import Limits, Objectives, front, size_and_quality
from kdsweep.results.record import Metric, TrialResult
from kdsweep.results.relaxing import Relaxation, advice
from kdsweep.results.replicates import by_point

Prefer = Literal["accuracy", "params", "latency", "knee"]
PREFERENCES: tuple[Prefer, ...] = get_args(Prefer)
_RUNNERS_UP = 3


@dataclass(frozen=True)
class Choice:
    """What ``select`` found. Without ``chosen``, ``advice`` says which limit to relax."""

    chosen: TrialResult | None
    runners_up: tuple[TrialResult, ...]
    rejected: tuple[tuple[TrialResult, tuple[str, ...]], ...]
    """Each complete trial (or point) that does not fit, with every reason."""
    advice: tuple[str, ...]
    relaxations: tuple[Relaxation, ...] = ()
    """What ``advice`` says, as data."""
    fitting: tuple[TrialResult, ...] = ()
    """All that fit, the best first."""
    limits: tuple[Limit, ...] = ()
    prefer: Prefer = "accuracy"
    front_ids: frozenset[str] = frozenset()
    """The front of all complete trials, whether they fit or not."""

    @property
    def rejected_of_front(self) -> tuple[tuple[TrialResult, tuple[str, ...]], ...]:
        """Of ``rejected`` those that no other trial beats in every objective."""
        return tuple(each for each in self.rejected if each[0].trial_id in self.front_ids)


def select(
    results: Sequence[TrialResult],
    objectives: Objectives,
    *,
    max_params: float | None = None,
    max_macs: float | None = None,
    max_size_bytes: float | None = None,
    max_latency_ms: float | None = None,
    min_accuracy: float | None = None,
    within: float | None = None,
    teacher_accuracy: float | None = None,
    constraints: Limits | None = None,
    prefer: Prefer = "accuracy",
) -> Choice:
    """The best complete student within the limits: by ``prefer``, then by the other objectives.

    Every complete trial takes part, not the front alone: a limit on a metric that was no
    objective may be met off the front only. Of replicates the mean counts, for the whole point.
    ``within`` is how far below ``teacher_accuracy`` a student may be; ``constraints`` are the
    sweep's own. ``knee`` is of the front of those that fit, see ``knee``.

    Raises:
        ResultError: a limit is not a number, or the teacher's accuracy is needed and not known.
    """
    most: dict[Metric, float | None] = {
        "params": max_params, "macs": max_macs, "size_bytes": max_size_bytes,
        "latency_ms": max_latency_ms,
    }  # fmt: skip
    limits = given_limits(
        most, min_accuracy=min_accuracy, within=within, teacher_accuracy=teacher_accuracy,
        constraints=constraints,
    )  # fmt: skip
    students = [r for r in by_point(results) if r.status == "complete" and r.role != "teacher"]
    wanted = _wanted(prefer, objectives)
    fitting, rejected = [], []
    for student in students:
        reasons = [limit.reason(student) for limit in limits if limit.excess(student) > 0]
        missing = [each for each in wanted if not math.isfinite(_value(student, each))]
        if not reasons and missing:
            reasons = [f"{metric} was not measured" for metric in missing]
        if reasons:
            rejected.append((student, tuple(dict.fromkeys(reasons))))
        else:
            fitting.append(student)
    ranked = _ranked(fitting, prefer, objectives)
    sentences, relaxations = ((), ()) if ranked else advice(students, limits, wanted)
    return Choice(
        chosen=ranked[0] if ranked else None,
        runners_up=tuple(ranked[1 : 1 + _RUNNERS_UP]),
        rejected=tuple(rejected),
        advice=sentences,
        relaxations=relaxations,
        fitting=tuple(ranked),
        limits=tuple(limits),
        prefer=prefer,
        front_ids=frozenset(member.trial_id for member in front(students, objectives)),
    )


def preferred_metric(prefer: Prefer, objectives: Objectives) -> Metric:
    """What ranks students; of a knee the quality, by which those off the front are ranked."""
    if prefer == "latency":
        return "latency_ms"
    return list(size_and_quality(objectives))[1] if prefer == "knee" else prefer


def _wanted(prefer: Prefer, objectives: Objectives) -> tuple[Metric, ...]:
    if prefer == "knee":
        return tuple(size_and_quality(objectives))
    return (preferred_metric(prefer, objectives),)


def _ranked(
    students: Sequence[TrialResult], prefer: Prefer, objectives: Objectives
) -> list[TrialResult]:
    """The best first. A knee comes before the rest of the front, the front before all others."""
    metric = preferred_metric(prefer, objectives)
    distances = {}
    if prefer == "knee":
        members = knee_distances(students, objectives)
        # To what rounding leaves, so that members as far from the line are ranked by quality.
        distances = {member.trial_id: round(far, 12) for member, far in members}
    return sorted(
        students,
        key=lambda student: (
            -distances.get(student.trial_id, -math.inf), *_rank(student, metric, objectives)
        ),
    )  # fmt: skip


def _rank(result: TrialResult, wanted: Metric, objectives: Objectives) -> tuple[float, ...]:
    """Smaller is better: the wanted metric, accuracy, the other objectives, size, age."""
    order: dict[Metric, None] = dict.fromkeys((wanted, "accuracy", *objectives, "params"))
    values = []
    for metric in order:
        value = _value(result, metric)
        best_is_high = metric == "accuracy" or objectives.get(metric) == "max"
        signed = -value if best_is_high else value
        values.append(signed if math.isfinite(signed) else math.inf)
    return (*values, result.number)


def _value(result: TrialResult, metric: Metric) -> float:
    return result.metrics.get(metric, math.nan)
