"""How the values of a setting lie on an axis from 0 to 1, with ticks in real values."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kdsweep.report.axes import short
from kdsweep.report.labels import value_words
from kdsweep.report.pictures.canvas import shorten
from kdsweep.spec import Space

ABSENT = -0.16
"""Where a line passes an axis of a setting that the student has not."""
_BELOW, _ABOVE = -0.07, 1.07
"""Where a line passes an axis with a value beyond its end."""
_MOST_TICKS, _LONGEST_TICK, _APART = 8, 22, 0.07
_WITHOUT = "without"
Ticks = tuple[tuple[float, str], ...]


@dataclass(frozen=True)
class Coordinate:
    """One axis: its name, its ticks from 0 to 1, and where each student lies on it."""

    name: str
    ticks: Ticks
    """Those of values beyond an end have an arrow."""
    places: tuple[float, ...]
    """``ABSENT`` where a student has no such setting."""

    @property
    def marks(self) -> Ticks:
        """The ticks, and a word where some students have no such setting."""
        return (*self.ticks, (ABSENT, _WITHOUT)) if ABSENT in self.places else self.ticks


@dataclass(frozen=True)
class Scale:
    """The ends of an axis, and whether it is logarithmic."""

    low: float
    high: float
    logarithmic: bool

    def place(self, value: float) -> float:
        """From 0 to 1; what lies beyond an end is just beyond it, however far."""
        if value < self.low and not math.isclose(value, self.low):
            return _BELOW
        if value > self.high and not math.isclose(value, self.high):
            return _ABOVE
        scaled = math.log if self.logarithmic else float
        low, high = scaled(self.low), scaled(self.high)
        share = (scaled(value) - low) / ((high - low) or 1.0)
        return min(1.0, max(0.0, share))


def coordinate(
    name: str, values: Sequence[Any], *, scale: Scale | None = None, in_order: bool = False
) -> Coordinate:
    """An axis for what students have of a setting: numbers to scale, all else in order.

    Without a ``scale`` it is from the least to the greatest, logarithmic where positive numbers
    span more than a factor of 20. With ``in_order`` numbers are as far apart as names are.
    """
    there = [value for value in values if value is not None]
    if in_order or not all(map(is_number, there)):
        return _named(name, values)
    if scale is None:
        low, high = min(there), max(there)
        scale = Scale(low, high, low > 0 and high > 20 * low)
    places = tuple(ABSENT if value is None else scale.place(value) for value in values)
    whole = all(isinstance(value, int) for value in there)
    ticks = [(scale.place(value), _number(value)) for value in _ticks(scale, there, whole=whole)]
    if _BELOW in places:
        ticks.append((_BELOW, f"{_number(min(there))} \N{DOWNWARDS ARROW}"))
    if _ABOVE in places:
        ticks.append((_ABOVE, f"{_number(max(there))} \N{UPWARDS ARROW}"))
    return Coordinate(name, tuple(ticks), places)


def _named(name: str, values: Sequence[Any]) -> Coordinate:
    there = {value_words(value): value for value in values if value is not None}
    numbers = all(map(is_number, there.values()))
    order: Any = there.__getitem__ if numbers else str
    names = sorted(there, key=order)
    step = 1 / max(1, len(names) - 1)
    at = {each: number * step for number, each in enumerate(names)}
    places = [ABSENT if value is None else at[value_words(value)] for value in values]
    every = max(1, math.ceil(len(names) / _MOST_TICKS))
    ticks = [(at[each], shorten(each, _LONGEST_TICK)) for each in names[::every]]
    return Coordinate(name, tuple(ticks), tuple(places))


def is_number(value: Any) -> bool:
    """Whether a value can lie on a scale: finite, and no truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def scale_in(space: Space | None, path: str, values: Sequence[Any]) -> tuple[Scale | None, bool]:
    """The scale on which the search draws a setting, and whether it is a choice among values.

    The axis has the bounds of the space: of several branches with such a setting those of all.
    """
    found = [] if space is None else [d for d in space.dimensions() if d.path == path]
    ranges = [dimension for dimension in found if dimension.kind != "choice"]
    if not ranges:
        return None, bool(found)
    chosen = [label for d in found for label in d.labels if is_number(label)]
    if not all(is_number(value) for value in values if value is not None):
        return None, False
    ends: list[Any] = [*chosen, *(end for each in ranges for end in (each.low, each.high))]
    by_logarithm = min(ends) > 0 and any(each.log for each in ranges)
    return Scale(min(ends), max(ends), by_logarithm), False


def scale_of_most(values: Sequence[float], always: Sequence[float]) -> Scale:
    """From the least to the greatest, but for what lies far from the most of them.

    Far is what is more than one and a half times the distance of the quartiles beyond one of them
    (Tukey's fences). ``always`` are inside, however far.
    """
    lower, upper = np.quantile(values, [0.25, 0.75])
    reach = 1.5 * (upper - lower)
    near = [value for value in values if lower - reach <= value <= upper + reach]
    inside = [*(near or values), *always]
    return Scale(min(inside), max(inside), logarithmic=False)


def _ticks(scale: Scale, values: Sequence[float], *, whole: bool) -> list[float]:
    """Both ends, and round numbers between them that can be written above one another."""
    distinct = sorted({value for value in values if scale.low <= value <= scale.high})
    between = _round_numbers(scale)
    if whole and len(distinct) <= 5:
        between = list(map(float, distinct))
    # Of ends that differ in the last digit the logarithms may be the same.
    is_wide = scale.place(scale.high) > scale.place(scale.low)
    ends = [scale.low, scale.high] if is_wide else [scale.low]
    kept = list(ends)
    for value in between:
        if whole and value != round(value):
            continue
        if all(abs(scale.place(value) - scale.place(each)) >= _APART for each in kept):
            kept.append(value)
    return sorted(kept)


def _round_numbers(scale: Scale) -> list[float]:
    low, high = scale.low, scale.high
    if not high > low:
        return []
    if scale.logarithmic:
        tens = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        steps = (1, 2, 5) if len(tens) <= 4 else (1,)
        found = [step * 10.0**ten for step in steps for ten in tens]
    else:
        size = 10.0 ** math.floor(math.log10((high - low) / 2))
        step = next(m * size for m in (1, 2, 2.5, 5, 10) if (high - low) / (m * size) <= 6)
        first = math.ceil(low / step)
        found = [step * number for number in range(first, math.floor(high / step) + 1)]
    return [value for value in found if low < value < high]


def _number(value: float) -> str:
    return short(value) if abs(value) >= 1000 else f"{value:.3g}"
