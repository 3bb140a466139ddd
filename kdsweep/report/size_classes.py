"""Students in classes of like size, within which ways of teaching can be compared."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from kdsweep.report.axes import short
from kdsweep.results.record import Metric, TrialResult

MOST_CLASSES = 6


@dataclass(frozen=True)
class SizeClass:
    """Students from ``low`` to ``high`` of a size, both of them found in it."""

    low: float
    high: float
    results: tuple[TrialResult, ...]
    """In the order in which they were given."""

    @property
    def words(self) -> str:
        """``538 to 1k``, or the one size that all have."""
        low, high = short(self.low), short(self.high)
        return low if low == high else f"{low} to {high}"


def size_classes(results: Sequence[TrialResult], metric: Metric) -> list[SizeClass]:
    """Results by size, the smallest first: a class for each size where there are few of them.

    Else the range is cut into parts of one factor: the least of 2, 4, 8, ... that makes at most
    six. Those without a finite size are in none.
    """
    sized = [(result.metrics.get(metric, math.nan), result) for result in results]
    sized = [(size, result) for size, result in sized if math.isfinite(size) and size > 0]
    sizes = sorted({size for size, _ in sized})
    if not sizes:
        return []
    keys: dict[float, float] = {size: size for size in sizes}
    factor = 2
    while len(set(keys.values())) > MOST_CLASSES:
        keys = {size: math.floor(math.log(size / sizes[0], factor) + 1e-9) for size in sizes}
        factor *= 2
    found = []
    for key in dict.fromkeys(keys[size] for size in sizes):
        members = [(size, result) for size, result in sized if keys[size] == key]
        inside = [size for size, _ in members]
        found.append(SizeClass(min(inside), max(inside), tuple(result for _, result in members)))
    return found
