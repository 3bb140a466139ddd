"""One thing that a sweep varies: a choice among labels, or a range of numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

Label = None | bool | int | float | str
"""What a sampler draws: a number of a range, or the name of a choice's member."""

DimensionKind = Literal["choice", "uniform", "loguniform", "int"]


@dataclass(frozen=True)
class Dimension:
    """A choice among ``labels``, or a range ``low..high`` with both ends inside.

    ``name`` is unique in its space, ``path`` the dotted path of the trial that it sets.
    ``conditions`` are the choices, from the outside in, that must have been taken for it to be
    reached: pairs of a choice's name and a label. ``step`` and an ``int`` with ``log`` exclude
    each other; ``loguniform`` always has ``log``.
    """

    name: str
    path: str
    kind: DimensionKind
    labels: tuple[Label, ...] = ()
    low: float = 0
    high: float = 0
    step: int = 1
    log: bool = False
    conditions: tuple[tuple[str, Label], ...] = ()

    def ends(self) -> tuple[Label, ...]:
        """Every label of a choice, or both ends of a range."""
        return self.labels if self.kind == "choice" else (self.low, self.high)

    def allowed(self) -> str:
        """What may be drawn, in words."""
        if self.kind == "choice":
            return f"one of {', '.join(repr(label) for label in self.labels)}"
        if self.kind == "int":
            step = f" in steps of {self.step}" if self.step > 1 else ""
            return f"a whole number {self.low}..{self.high}{step}"
        return f"a number {self.low}..{self.high}"

    def contains(self, value: Any) -> bool:
        """Whether ``value`` can be drawn: ``8.0`` is no whole number and ``true`` no number."""
        if self.kind == "choice":
            return any(same(value, label) for label in self.labels)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        if self.kind == "int":
            on_step = isinstance(value, int) and (value - int(self.low)) % self.step == 0
            return on_step and self.low <= value <= self.high
        return self.low <= value <= self.high

    @property
    def num_values(self) -> int | None:
        """How many values there are to draw; ``None`` for a range of real numbers."""
        if self.kind == "choice":
            return len(self.labels)
        if self.kind == "int":
            return (int(self.high) - int(self.low)) // self.step + 1
        return None

    def every_value(self) -> Sequence[Label]:
        """All values of a choice or of whole numbers; of real numbers there is no end."""
        if self.kind == "choice":
            return self.labels
        if self.kind == "int":
            return range(int(self.low), int(self.high) + 1, self.step)
        raise ValueError(f"{self.name} cannot be listed: it is {self.allowed()}")

    def values(self, points: int) -> tuple[Label, ...]:
        """Every label, or at most ``points`` numbers (two or more) with both ends among them.

        Numbers are evenly spaced, by their logarithm where ``log``; whole numbers lie on the
        steps, and those that fall together are given once.
        """
        if points < 2:
            raise ValueError(f"a range needs at least 2 points, not {points}")
        if self.kind == "choice":
            return self.labels
        inner = [self._between(index, points - 1) for index in range(1, points - 1)]
        return tuple(dict.fromkeys((self.low, *inner, self.high)))

    def _between(self, index: int, last: int) -> float:
        low, high = self.low, self.high
        if self.kind == "int" and not self.log:
            steps = (int(high) - int(low)) // self.step
            # Whole-number arithmetic: a float would round steps beyond 2**53.
            return int(low) + (2 * index * steps + last) // (2 * last) * self.step
        share = index / last
        if self.log:
            found = math.exp((1 - share) * math.log(low) + share * math.log(high))
        else:
            found = (1 - share) * low + share * high
        kept = min(max(found, low), high)
        return round(kept) if self.kind == "int" else kept


def same(first: Any, second: Any) -> bool:
    """Whether two plain values are the same setting: ``1`` is ``1.0``, but ``true`` is not."""
    if isinstance(first, bool) or isinstance(second, bool):
        return first is second
    if isinstance(first, list | tuple) and isinstance(second, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(same(first[k], second[k]) for k in first)
    return bool(first == second)
