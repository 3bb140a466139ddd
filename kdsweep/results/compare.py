"""Fronts of several runs side by side: who is better by how much, and where.

All is of two objectives, a size and a quality, see ``pareto.size_and_quality``: those of the first
run. Each run's trials are taken within its own constraints.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kdsweep.results.meta import RunMeta
from kdsweep.results.pareto import (
    Objectives,
    Points,
    eligible,
    front,
    hypervolume,
    non_dominated,
    points,
    size_and_quality,
)
from kdsweep.results.record import Metric, TrialResult

_OUTSIDE = 0.1
"""How far beyond the worst members the reference lies, in widths of the fronts."""
_MOST_BANDS = 10


@dataclass(frozen=True)
class Compared:
    """A run that is compared with others."""

    meta: RunMeta
    results: Sequence[TrialResult]


@dataclass(frozen=True)
class Shared:
    """A member of the joint front, and the runs (by number) that have a student as good."""

    result: TrialResult
    runs: tuple[int, ...]


@dataclass(frozen=True)
class Band:
    """The best student of each run with ``low <= size < high``; none where it has no student."""

    low: float
    high: float
    best: tuple[TrialResult | None, ...]


@dataclass(frozen=True)
class Comparison:
    """What ``compare`` found; ``fronts`` and ``hypervolumes`` are by run."""

    objectives: Objectives
    fronts: tuple[tuple[TrialResult, ...], ...]
    reference: dict[Metric, float]
    """The corner that areas are measured to; empty where no run has a front."""
    hypervolumes: tuple[float, ...]
    """As shares (0..1) of the box between the reference and the best value of each objective."""
    joint: tuple[Shared, ...]
    joint_hypervolume: float
    bands: tuple[Band, ...]


def compare(runs: Sequence[Compared]) -> Comparison:
    """Compare the fronts of ``runs``.

    Hypervolumes are areas over the logarithm of size and over quality, up to one reference for
    all: beyond the worst size and the worst quality among the members of all the fronts by a tenth
    of the width of these, so that ends count (H. Ishibuchi et al., Evolutionary Computation 26
    (2018) 411-440). They are to be compared with one another only.
    """
    pair = size_and_quality(runs[0].meta.objectives)
    size, _ = pair
    students = [
        [r for r in eligible(run.results, pair, constraints=run.meta.constraints)
         if r.metrics[size] > 0]
        for run in runs
    ]  # fmt: skip
    fronts = [front(each, pair) for each in students]
    places = [_places(each, pair) for each in fronts]
    everything = np.concatenate(places)
    if not len(everything):
        empty = tuple(() for _ in runs)
        return Comparison(pair, empty, {}, (0.0,) * len(runs), (), 0.0, ())
    best, worst = everything.min(axis=0), everything.max(axis=0)
    # Where all are alike in an objective, any width will do: nobody gains by it.
    corner = worst + _OUTSIDE * np.where(worst > best, worst - best, 1.0)
    box = float(np.prod(corner - best))
    return Comparison(
        objectives=pair,
        fronts=tuple(map(tuple, fronts)),
        reference=_in_metrics(corner, pair),
        hypervolumes=tuple(hypervolume(each, list(corner)) / box for each in places),
        joint=tuple(_joint(fronts, places)),
        joint_hypervolume=hypervolume(everything, list(corner)) / box,
        bands=tuple(_bands(students, pair)),
    )


def _places(members: Sequence[TrialResult], pair: Objectives) -> Points:
    """``[N, 2]``, to be minimised: powers of ten of the size, and the quality."""
    found = points(members, pair)
    found[:, 0] = np.log10(found[:, 0])
    return found


def _in_metrics(corner: Points, pair: Objectives) -> dict[Metric, float]:
    size, quality = pair
    sign = -1.0 if pair[quality] == "max" else 1.0
    return {size: _power(10, corner[0]), quality: sign * float(corner[1])}


def _joint(fronts: Sequence[Sequence[TrialResult]], places: Sequence[Points]) -> list[Shared]:
    """The members that none of any run beats, smallest first."""
    everything = np.concatenate(places)
    members = [(run, result) for run, each in enumerate(fronts) for result in each]
    found = []
    for row in non_dominated(everything):
        same = (everything == everything[row]).all(axis=1)
        runs = dict.fromkeys(members[other][0] for other in np.flatnonzero(same))
        found.append((float(everything[row, 0]), Shared(members[row][1], tuple(runs))))
    return [shared for _, shared in sorted(found, key=lambda each: each[0])]


def _bands(students: Sequence[Sequence[TrialResult]], pair: Objectives) -> list[Band]:
    """Bands that have a student in them: octaves of size, or wider where these would be many."""
    size, quality = pair
    sign = -1.0 if pair[quality] == "max" else 1.0
    sizes = [student.metrics[size] for each in students for student in each]
    ratio = _ratio(min(sizes), max(sizes))
    best: dict[int, list[TrialResult | None]] = {}
    for run, each in enumerate(students):
        for student in each:
            row = best.setdefault(_band(student.metrics[size], ratio), [None] * len(students))
            held = row[run]
            if held is None or sign * student.metrics[quality] < sign * held.metrics[quality]:
                row[run] = student
    return [Band(_power(ratio, at), _power(ratio, at + 1), tuple(best[at])) for at in sorted(best)]


def _ratio(smallest: float, largest: float) -> int:
    """The least of 2, 4, 10, 100, ... with which the sizes lie in few bands."""
    ratio, more = 2, [4, 10, 100, 1_000, 1_000_000]
    while more and _band(largest, ratio) - _band(smallest, ratio) >= _MOST_BANDS:
        ratio = more.pop(0)
    return ratio


def _band(size: float, ratio: int) -> int:
    """The power of ``ratio`` that a size begins at; exact at the powers themselves."""
    at = math.floor(math.log(size, ratio))
    while _power(ratio, at + 1) <= size:
        at += 1
    while _power(ratio, at) > size:
        at -= 1
    return at


def _power(base: int, exponent: float) -> float:
    """Infinite beyond the largest number."""
    try:
        return float(float(base) ** float(exponent))
    except OverflowError:
        return math.inf
