"""Hypervolume over wall time: what a sweep had found, when."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from kdsweep.results.pareto import hypervolume

KDSWEEP = "kdsweep"
SHARES = (0.95, 0.99, 1.0)
"""Of the other side's final hypervolume: when was that reached?"""


@dataclass(frozen=True)
class Trial:
    """A finished trial, and how long after the start of the command it was."""

    s: float
    accuracy: float
    params: int


def trials_of(events: Iterable[Mapping[str, Any]], *, began: float, limit_s: float) -> list[Trial]:
    """The trials that ended within the limit, in order; a failed one has found nothing."""
    found = [
        Trial(event["at"] - began, event["metrics"]["accuracy"], int(event["metrics"]["params"]))
        for event in events
        if event["what"] == "ended" and event.get("status", "complete") == "complete"
    ]
    within = (trial for trial in found if trial.s <= limit_s and math.isfinite(trial.accuracy))
    return sorted(within, key=lambda trial: trial.s)


def curve(trials: Sequence[Trial], *, largest: int) -> list[tuple[float, float]]:
    """Seconds and hypervolume after each trial.

    Between accuracy and accuracy 0, and between ``log10`` of the parameters and that of the
    ``largest`` student: in accuracy times decades. A student of the largest size adds nothing.
    """
    points = np.array([(-trial.accuracy, math.log10(trial.params)) for trial in trials])
    corner = (0.0, math.log10(largest))
    return [
        (trial.s, hypervolume(points[: i + 1], corner)) for i, trial in enumerate(trials)
    ]  # fmt: skip


def reached(found: Sequence[tuple[float, float]], target: float) -> float:
    """When a curve first was at the target; infinity if it never was."""
    # The same front in another order of its points differs by rounding.
    return next((s for s, volume in found if volume >= target * (1 - 1e-9)), math.inf)


def compare(
    curves: Mapping[str, Sequence[tuple[float, float]]],
) -> dict[str, dict[str, float]]:
    """For each other side its final hypervolume, when it had it, when kdsweep had it, the ratio.

    ``faster`` is the one of them that first had what both have in the end.
    """
    others = {side: found for side, found in curves.items() if side != KDSWEEP and found}
    compared = {}
    for side, found in others.items():
        final = found[-1][1]
        row = {"final": final}
        for share in SHARES:
            theirs, ours = (reached(each, share * final) for each in (found, curves[KDSWEEP]))
            row |= {
                f"theirs_{share:.0%}": theirs,
                f"ours_{share:.0%}": ours,
                f"ratio_{share:.0%}": ours / theirs,
            }
        compared[side] = row
    common = min((row["final"] for row in compared.values()), default=0.0)
    first = sorted(others, key=lambda side: reached(others[side], common))
    if first:
        compared["faster"] = {**compared[first[0]]}
    return compared


def middle(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Medians over the seeds; what most seeds never reached is infinite."""
    return {name: median(row[name] for row in rows) for name in rows[0]}
