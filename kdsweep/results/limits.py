"""What a student may have at most or at least, and who says so."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kdsweep.errors import ResultError
from kdsweep.results.pareto import Limits
from kdsweep.results.record import Metric, TrialResult

OWN_CONSTRAINT = "the sweep's own constraint"
OF_LATENCY = "p50, batch 1"
"""What ``latency_ms`` is of: the median of runs with one input."""
KB = 1000
"""Bytes."""


@dataclass(frozen=True)
class Limit:
    """The most (or the least, where it ``is_lower``) that a student may have of a metric."""

    metric: Metric
    bound: float
    is_lower: bool = False
    is_own: bool = False
    """Whether the sweep file says it, not whoever chooses."""
    teacher: float | None = None
    """The accuracy that the bound is a distance from, if it was given so."""

    def excess(self, result: TrialResult) -> float:
        """How far beyond the limit, zero where it fits, infinite where it was not measured."""
        value = result.metrics.get(self.metric, math.nan)
        if not math.isfinite(value):
            return math.inf
        return max(0.0, self.bound - value if self.is_lower else value - self.bound)

    def reason(self, result: TrialResult) -> str:
        """Why ``result`` does not fit: ``params 5,000 > 2,000``."""
        value = result.metrics.get(self.metric, math.nan)
        if not math.isfinite(value):
            return f"{self.metric} was not measured"
        sign = "<" if self.is_lower else ">"
        found, bound = self.said(value), self.said(self.bound)
        if self.metric == "accuracy":
            found, bound = accuracies_words(value, self.bound)
        said = f"{self.name} {found} {sign} {bound}"
        if self.metric == "latency_ms":
            said += f" ({OF_LATENCY})"
        return f"{said} ({self.source})" if self.source else said

    @property
    def is_in_kb(self) -> bool:
        """Whether it was given in kB: a sweep file has bytes, whoever chooses says kB."""
        return self.metric == "size_bytes" and not self.is_own

    @property
    def name(self) -> str:
        """What is limited, as a word beside a number with its unit."""
        return (
            "size" if self.is_in_kb else "latency" if self.metric == "latency_ms" else self.metric
        )

    def said(self, value: float) -> str:
        """A value of its metric in the unit that the limit was given in: ``9.256 kB``.

        An accuracy is in percent, as wherever people read one.
        """
        if self.metric == "accuracy":
            return accuracies_words(value)[0]
        if self.is_in_kb:
            return f"{number_words(value / KB)} kB"
        unit = " ms" if self.metric == "latency_ms" else ""
        return f"{number_words(value)}{unit}"

    def said_apart(self, distance: float) -> str:
        """How far two values of its metric are apart: accuracies in percentage points."""
        return points_words(distance) if self.metric == "accuracy" else self.said(distance)

    @property
    def source(self) -> str:
        """Where the bound comes from, unless it was given as it stands."""
        if self.teacher is not None:
            distance = points_words(round(self.teacher - self.bound, 9))
            return f"within {distance} of the teacher's {self.said(self.teacher)}"
        return OWN_CONSTRAINT if self.is_own else ""

    @property
    def words(self) -> str:
        """``max params 2,000``."""
        return f"{'min' if self.is_lower else 'max'} {self.name} {self.said(self.bound)}"


def given_limits(
    most: Mapping[Metric, float | None],
    *,
    min_accuracy: float | None = None,
    within: float | None = None,
    teacher_accuracy: float | None = None,
    constraints: Limits | None = None,
) -> list[Limit]:
    """The limits that were given, then the sweep's own.

    Raises:
        ResultError: a limit is not a number, or the teacher's accuracy is needed and not known.
    """
    limits = [Limit(metric, bound) for metric, bound in most.items() if bound is not None]
    if min_accuracy is not None:
        limits.append(Limit("accuracy", min_accuracy, is_lower=True))
    if within is not None:
        limits.append(_within(within, teacher_accuracy))
    for limit in limits:
        if math.isnan(limit.bound):
            raise ResultError(f"the limit of {limit.metric} is nan: it must be a number")
    return [*limits, *_own(constraints or {})]


def _within(distance: float, teacher_accuracy: float | None) -> Limit:
    if teacher_accuracy is None or not math.isfinite(teacher_accuracy):
        raise ResultError(
            "--within is a distance from the teacher's validation accuracy, which this run does "
            "not know: give --min-accuracy"
        )
    # Rounded, so that 0.99 - 0.01 is a limit that 0.98 meets.
    bound = round(teacher_accuracy - distance, 12)
    return Limit("accuracy", bound, is_lower=True, teacher=teacher_accuracy)


def _own(constraints: Limits) -> Iterable[Limit]:
    for metric, bounds in constraints.items():
        for direction, bound in bounds.items():
            if bound is not None:
                yield Limit(metric, bound, is_lower=direction == "min", is_own=True)


def bytes_of(size_kb: float) -> float:
    """A size in kB as bytes: of at most three decimals exactly what they say."""
    return round(KB * size_kb, 6)


def accuracies_words(*shares: float) -> list[str]:
    """Accuracies in percent, with two decimals, or with as many as tell them apart."""
    for decimals in range(2, 8):
        words = [f"{100 * share:.{decimals}f}%" for share in shares]
        if len(set(words)) == len(set(shares)):
            break
    return words


def points_words(distance: float) -> str:
    """A difference of accuracies in percentage points, never as nothing where it is something."""
    points = 100 * distance
    return f"{points:.2f} points" if abs(points) >= 0.005 or points == 0 else f"{points:.2g} points"


def number_words(value: float) -> str:
    """A whole number with commas, another one with six decimals at most."""
    return f"{value:,.0f}" if value == round(value) else f"{round(value, 6):,}"
