"""The front: the trials that no other trial beats in every objective.

Within, every objective is minimised (``max`` is negated). Only complete trials with a finite value
in each objective, within the constraints, take part; the teacher never does. Where trials are
replicates, it is of points: each is one result, with the mean of all its replicates.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from kdsweep.results.meta import Direction
from kdsweep.results.record import Metric, TrialResult
from kdsweep.results.replicates import by_point

Objectives = Mapping[Metric, Direction]
Limits = Mapping[Metric, Mapping[Direction, float | None]]
Points = NDArray[np.float64]

SIZE_LIKE: tuple[Metric, ...] = ("params", "macs", "size_bytes", "latency_ms")


def known_untrained(metric: Metric) -> Metric:
    """The metric, or what stands for it before a student is trained: only then is it timed."""
    return "macs" if metric == "latency_ms" else metric


def front(
    results: Sequence[TrialResult],
    objectives: Objectives,
    *,
    constraints: Limits | None = None,
) -> list[TrialResult]:
    """The trials (or points, see ``by_point``) that none dominates, smallest first.

    Of equals it is the earliest.

    They are sorted by the first objective that is a size, or else best first by the first one. A
    front can be kept up to date at small cost: ``front([*front_so_far, new])`` is the same as
    asking of all results.
    """
    candidates = eligible(results, objectives, constraints=constraints)
    candidates.sort(key=lambda result: result.number)
    kept = [candidates[i] for i in non_dominated(points(candidates, objectives))]
    size = size_objective(objectives)
    first = next(iter(objectives)) if size is None else size
    order: list[Metric] = [first, *(metric for metric in objectives if metric != first)]
    return sorted(
        kept, key=lambda result: [_minimised(result, metric, objectives) for metric in order]
    )


def eligible(
    results: Sequence[TrialResult],
    objectives: Objectives,
    *,
    constraints: Limits | None = None,
) -> list[TrialResult]:
    """The results that may be on a front at all, one for each point."""
    return [
        result
        for result in by_point(results)
        if result.status == "complete"
        and result.role != "teacher"
        and all(math.isfinite(result.metrics.get(metric, math.nan)) for metric in objectives)
        and is_feasible(result, constraints or {})
    ]


def is_feasible(result: TrialResult, constraints: Limits) -> bool:
    """Whether every constrained metric is known and within its limits, the limit included."""
    for metric, limits in constraints.items():
        value = result.metrics.get(metric, math.nan)
        low, high = limits.get("min"), limits.get("max")
        if math.isnan(value) or (low is not None and value < low):
            return False
        if high is not None and value > high:
            return False
    return True


def dominates(one: TrialResult, other: TrialResult, objectives: Objectives) -> bool:
    """Whether ``one`` is at least as good in every objective and better in one."""
    a, b = points([one, other], objectives)
    return bool((a <= b).all() and (a < b).any())


def points(results: Sequence[TrialResult], objectives: Objectives) -> Points:
    """The objectives of each result, ``[N, M]`` float64, all to be minimised."""
    rows = [[_minimised(result, metric, objectives) for metric in objectives] for result in results]
    return np.array(rows, dtype=np.float64).reshape(len(results), len(objectives))


def non_dominated(values: Points) -> list[int]:
    """Rows of ``[N, M]`` that no row dominates; of equal rows the first. No row may hold NaN.

    In lexicographic order a row can be dominated only by rows before it, and then also by one of
    the front so far: O(N log N + N F) for a front of F.
    """
    order = np.lexsort(values.T[::-1])
    kept: list[int] = []
    so_far = np.empty_like(values)
    for row in order:
        # Equal rows come later in the order than the first of them, and go with "<=".
        if not (so_far[: len(kept)] <= values[row]).all(axis=1).any():
            so_far[len(kept)] = values[row]
            kept.append(int(row))
    return sorted(kept)


def domination_counts(values: Points) -> NDArray[np.int64]:
    """How many rows of ``[N, M]`` dominate each row, ``[N]``; zero on the front."""
    counts = np.zeros(len(values), dtype=np.int64)
    # A block of rows against all keeps memory at block * N bytes, whatever N is.
    for start in range(0, len(values), 256):
        block = values[start : start + 256]
        no_worse = np.ones((len(block), len(values)), dtype=bool)
        better = np.zeros_like(no_worse)
        for column, ours in zip(values.T, block.T, strict=True):
            no_worse &= column <= ours[:, None]
            better |= column < ours[:, None]
        counts[start : start + 256] = (no_worse & better).sum(axis=1)
    return counts


def hypervolume(values: Points, reference: Sequence[float]) -> float:
    """The area between rows of ``[N, 2]``, to be minimised, and ``reference``, the worst corner.

    It is what a row dominates and what dominates the reference: a row that is not better than the
    reference in both columns adds nothing. Exact. No row may hold NaN.

    Raises:
        ValueError: there are not two columns, or the reference has not two finite numbers.
    """
    worst = np.asarray(reference, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] != 2 or worst.shape != (2,):
        raise ValueError(
            f"values {values.shape} and reference {worst.shape}: a hypervolume is of two "
            "objectives, [N, 2] and [2]"
        )
    if not np.isfinite(worst).all():
        raise ValueError(f"reference {worst.tolist()}: must be finite, or no area is")
    inside = values[(values < worst).all(axis=1)]
    best = inside[non_dominated(inside)]
    # From left to right each row of the front goes lower: a strip down from the one before it.
    best = best[np.argsort(best[:, 0])]
    above = np.concatenate([worst[1:], best[:-1, 1]])
    return float(((worst[0] - best[:, 0]) * (above - best[:, 1])).sum())


def size_objective(objectives: Objectives) -> Metric | None:
    """The first objective that is a size or a cost."""
    return next((metric for metric in objectives if metric in SIZE_LIKE), None)


def size_and_quality(objectives: Objectives) -> Objectives:
    """Of any number of objectives two: the first of each kind, the size (to be small) first.

    Where there is none of a kind it is parameters, or accuracy.
    """
    size: Metric = size_objective(objectives) or "params"
    others: list[Metric] = [metric for metric in objectives if metric not in SIZE_LIKE]
    quality: Metric = others[0] if others else "accuracy"
    return {size: "min", quality: objectives[quality] if others else "max"}


def _minimised(result: TrialResult, metric: Metric, objectives: Objectives) -> float:
    value = result.metrics[metric]
    return -value if objectives[metric] == "max" else value
