"""What a result is told as: its objectives, and by how much it misses the bounds."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kdsweep.results.pareto import SIZE_LIKE
from kdsweep.results.record import Metric, TrialResult
from kdsweep.spec.sweep import Bound

SizesOf = Callable[[Mapping[str, Any]], Mapping[Metric, float] | None]
"""Changes of the trial -> what is known of its student untrained; ``None`` if nothing is."""


def objective_values(result: TrialResult, objectives: Iterable[Metric]) -> list[float] | None:
    """The result's objectives in order; ``None`` unless it has come to its end and all are finite.

    A pruned trial has values too: those that it is thought to have come to.
    """
    if result.status not in ("complete", "pruned"):
        return None
    values = [result.metrics.get(name, math.nan) for name in objectives]
    return values if all(map(math.isfinite, values)) else None


def user_attrs(result: TrialResult) -> dict[str, Any]:
    """What a study keeps of a trial beside its values; those of a pruned one are marked."""
    guessed = {"pruned_at_epoch": max((e.epoch for e in result.epochs), default=0)}
    guessed = guessed if result.status == "pruned" else {}
    return {"trial_id": result.trial_id, **guessed}


def told_values(values: Iterable[float], objectives: Iterable[Metric]) -> list[float]:
    """Objectives as the sampler hears of them: sizes and costs by their logarithm.

    Which trial beats which is the same, and a student of half the size counts as much among small
    ones as among large ones, which would otherwise be all that a measure of the front sees.
    """
    return [
        math.log(max(value, 1e-12)) if name in SIZE_LIKE else value
        for value, name in zip(values, objectives, strict=True)
    ]


def violations(metrics: Mapping[Any, float], bounds: Mapping[Metric, Bound]) -> dict[str, float]:
    """By how much each bound is missed; zero or less where it is met."""
    missed: dict[str, float] = {}
    for name, bound in bounds.items():
        value = metrics.get(name, math.nan)
        if bound.max is not None:
            missed[f"{name}.max"] = _violation(value - bound.max)
        if bound.min is not None:
            missed[f"{name}.min"] = _violation(bound.min - value)
    return missed


def _violation(excess: float) -> float:
    """What was not measured meets no bound; Optuna takes no NaN."""
    return math.inf if math.isnan(excess) else excess
