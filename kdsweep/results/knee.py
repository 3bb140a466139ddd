"""The knee of a front: where a little more of one objective begins to cost much of the other.

It is the member farthest from the straight line between the two ends of the front, towards the
ideal corner, both objectives scaled to 0..1 between the ends and sizes on a logarithmic axis: the
maximum bulge of I. Das, On characterizing the "knee" of the Pareto curve based on Normal-Boundary
Intersection, Structural Optimization 18 (1999) 107-115. With the ends at (0, 1) and (1, 0), both
to be minimised, the distance of (x, y) is ``(1 - x - y) / sqrt(2)``; it is 0 at the ends, and
negative where the front bends away from the ideal corner.
"""

import math
from collections.abc import Sequence

from kdsweep.results.pareto import Objectives, front, size_and_quality
from kdsweep.results.record import TrialResult


def knee_distances(
    results: Sequence[TrialResult], objectives: Objectives
) -> list[tuple[TrialResult, float]]:
    """The front of ``results`` in size and quality, smallest first, each with its distance.

    One or two members are ends: their distance is 0. A size that is not above 0 has no logarithm,
    and its trial takes no part.
    """
    pair = size_and_quality(objectives)
    size, quality = pair
    members = front([r for r in results if r.metrics.get(size, math.nan) > 0], pair)
    sign = -1.0 if pair[quality] == "max" else 1.0
    xs = _scaled([math.log(member.metrics[size]) for member in members])
    ys = _scaled([sign * member.metrics[quality] for member in members])
    last = len(members) - 1
    # Of the ends it is known, whatever rounding makes of it.
    return [
        (member, 0.0 if number in (0, last) else (1 - x - y) / math.sqrt(2))
        for number, (member, x, y) in enumerate(zip(members, xs, ys, strict=True))
    ]


def _scaled(values: Sequence[float]) -> list[float]:
    """To 0..1 between the least and the greatest."""
    low, high = min(values, default=0.0), max(values, default=0.0)
    return [(value - low) / ((high - low) or 1.0) for value in values]
