"""The choice of one student: the best that fits the limits, or which limit to relax."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from kdsweep.errors import ResultError
from kdsweep.results.pareto import Objectives
from kdsweep.results.record import Metric, TrialResult
from kdsweep.results.replicates import by_point

Prefer = Literal["accuracy", "params", "latency"]
_METRIC: dict[Prefer, Metric] = {
    "accuracy": "accuracy", "params": "params", "latency": "latency_ms"
}  # fmt: skip
_RUNNERS_UP = 3


@dataclass(frozen=True)
class Limit:
    """The most (or, for accuracy, the least) that a student may have of a metric."""

    metric: Metric
    bound: float

    @property
    def is_lower(self) -> bool:
        """Whether values below the bound are refused, not those above."""
        return self.metric == "accuracy"

    def excess(self, result: TrialResult) -> float:
        """How far beyond the limit, zero where it fits, infinite where it was not measured."""
        value = result.metrics.get(self.metric, math.nan)
        if not math.isfinite(value):
            return math.inf
        return max(0.0, self.bound - value if self.is_lower else value - self.bound)

    def reason(self, result: TrialResult) -> str:
        """Why ``result`` does not fit."""
        value = result.metrics.get(self.metric, math.nan)
        if not math.isfinite(value):
            return f"{self.metric} was not measured"
        return (
            f"{self.metric} {_number(value)} {'<' if self.is_lower else '>'} {_number(self.bound)}"
        )


@dataclass(frozen=True)
class Choice:
    """What ``select`` found. Without ``chosen``, ``advice`` says which limit to relax."""

    chosen: TrialResult | None
    runners_up: tuple[TrialResult, ...]
    rejected: tuple[tuple[TrialResult, tuple[str, ...]], ...]
    """Each complete trial (or point) that does not fit, with every reason."""
    advice: tuple[str, ...]


def select(
    results: Sequence[TrialResult],
    objectives: Objectives,
    *,
    max_params: float | None = None,
    max_macs: float | None = None,
    max_size_bytes: float | None = None,
    max_latency_ms: float | None = None,
    min_accuracy: float | None = None,
    prefer: Prefer = "accuracy",
) -> Choice:
    """The best complete student within the limits: by ``prefer``, then by the other objectives.

    Every complete trial takes part, not the front alone: a limit on a metric that was no
    objective may be met off the front only. Of replicates the mean counts, for the whole point.

    Raises:
        ResultError: a limit is not a number.
    """
    bounds: dict[Metric, float | None] = {
        "params": max_params, "macs": max_macs, "size_bytes": max_size_bytes,
        "latency_ms": max_latency_ms, "accuracy": min_accuracy,
    }  # fmt: skip
    for metric, bound in bounds.items():
        if bound is not None and math.isnan(bound):
            raise ResultError(f"the limit of {metric} is {bound}: it must be a number")
    limits = [Limit(metric, bound) for metric, bound in bounds.items() if bound is not None]
    students = [r for r in by_point(results) if r.status == "complete" and r.role != "teacher"]
    wanted = _METRIC[prefer]
    ranked, rejected = [], []
    for student in students:
        reasons = [limit.reason(student) for limit in limits if limit.excess(student) > 0]
        if not reasons and not math.isfinite(student.metrics.get(wanted, math.nan)):
            reasons = [f"{wanted} was not measured"]
        if reasons:
            rejected.append((student, tuple(reasons)))
        else:
            ranked.append(student)
    ranked.sort(key=lambda student: _rank(student, wanted, objectives))
    return Choice(
        chosen=ranked[0] if ranked else None,
        runners_up=tuple(ranked[1 : 1 + _RUNNERS_UP]),
        rejected=tuple(rejected),
        advice=() if ranked else tuple(_advice(students, limits, wanted)),
    )


def _rank(result: TrialResult, wanted: Metric, objectives: Objectives) -> tuple[float, ...]:
    """Smaller is better: the wanted metric, accuracy, the other objectives, size, age."""
    order: dict[Metric, None] = dict.fromkeys((wanted, "accuracy", *objectives, "params"))
    values = []
    for metric in order:
        value = result.metrics.get(metric, math.nan)
        best_is_high = metric == "accuracy" or objectives.get(metric) == "max"
        signed = -value if best_is_high else value
        values.append(signed if math.isfinite(signed) else math.inf)
    return (*values, result.number)


def _advice(students: Sequence[TrialResult], limits: Sequence[Limit], wanted: Metric) -> list[str]:
    if not students:
        return ["the run has no complete trial yet"]
    for metric in dict.fromkeys([*(limit.metric for limit in limits), wanted]):
        if not any(math.isfinite(s.metrics.get(metric, math.nan)) for s in students):
            return [f"no trial of this run measured {metric}: choose without it"]
    students = [s for s in students if math.isfinite(s.metrics.get(wanted, math.nan))]
    alone = [sentence for limit in limits if (sentence := _relaxed_alone(students, limits, limit))]
    return alone or _relaxed_together(students, limits)


def _relaxed_alone(
    students: Sequence[TrialResult], limits: Sequence[Limit], limit: Limit
) -> str | None:
    """What to make of ``limit`` if the others stay; none where that is not enough."""
    others = [other for other in limits if other is not limit]
    fitting = [s for s in students if not any(other.excess(s) > 0 for other in others)]
    near = [s for s in fitting if math.isfinite(limit.excess(s))]
    if not near:
        return None
    nearest = min(near, key=lambda s: (limit.excess(s), -s.metrics.get("accuracy", 0.0)))
    return f"{_relaxed(limit, nearest)} lets trial {nearest.number} ({nearest.name}) fit"


def _relaxed_together(students: Sequence[TrialResult], limits: Sequence[Limit]) -> list[str]:
    """What to make of all limits, for the trial whose worst relative excess is least."""

    def worst(student: TrialResult) -> float:
        return max(limit.excess(student) / (abs(limit.bound) or 1.0) for limit in limits)

    measured = [student for student in students if math.isfinite(worst(student))]
    if not measured:
        return ["no trial of this run measured all the limited metrics: choose with fewer"]
    nearest = min(measured, key=worst)
    changes = [_relaxed(limit, nearest) for limit in limits if limit.excess(nearest) > 0]
    return [
        f"no single limit is enough; together {' and '.join(changes)} "
        f"let trial {nearest.number} ({nearest.name}) fit"
    ]


def _relaxed(limit: Limit, result: TrialResult) -> str:
    side = "min" if limit.is_lower else "max"
    value = result.metrics[limit.metric]
    # Rounded to the side on which the trial still fits.
    shown = math.floor(value * 1e4) / 1e4 if limit.is_lower else math.ceil(value * 1e3) / 1e3
    return f"{side} {limit.metric} {_number(shown)} (by {_number(abs(limit.bound - shown))})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) else f"{round(value, 6):,}"
