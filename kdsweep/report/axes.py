"""Which two metrics a picture of the front shows, and how numbers read."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from kdsweep.results.limits import OF_LATENCY
from kdsweep.results.meta import RunMeta
from kdsweep.results.pareto import SIZE_LIKE, Objectives, size_objective
from kdsweep.results.record import Metric, TrialResult
from kdsweep.results.replicates import deviation

LABELS: dict[Metric, str] = {
    "accuracy": "validation accuracy [%]",
    "loss": "validation loss [nats]",
    "params": "student parameters",
    "macs": "multiply-adds per sample",
    "size_bytes": "size of the weights [bytes]",
    "latency_ms": f"latency ({OF_LATENCY}) [ms]",
}
UNITS: dict[Metric, str] = {
    "params": "parameters", "macs": "multiply-adds", "size_bytes": "bytes", "latency_ms": "ms"
}  # fmt: skip
"""What sizes are counted in, for sentences."""


@dataclass(frozen=True)
class Axes:
    """``x`` is a size and logarithmic, ``y`` is how good; accuracy is shown in percent."""

    x: Metric
    y: Metric

    def point(self, metrics: dict[str, float]) -> tuple[float, float] | None:
        """Where metrics lie; none where a value is missing or cannot be drawn."""
        x, y = metrics.get(self.x, math.nan), metrics.get(self.y, math.nan)
        if not (math.isfinite(x) and math.isfinite(y) and x > 0):
            return None
        return x, y * 100 if self.y == "accuracy" else y

    def spread(self, result: TrialResult) -> float:
        """How far ``y`` deviates over replicates, as it is shown; zero where that is unknown."""
        found = deviation(result, self.y) or 0.0
        return 0.0 if not math.isfinite(found) else found * 100 if self.y == "accuracy" else found


def axes_of(objectives: Objectives) -> Axes:
    """Size against quality: the first objective of each kind, or parameters and accuracy."""
    x = size_objective(objectives)
    y = next((metric for metric in objectives if metric not in SIZE_LIKE), None)
    return Axes(x="params" if x is None else x, y="accuracy" if y is None else y)


def teacher_metrics(meta: RunMeta, results: Sequence[TrialResult]) -> dict[str, float] | None:
    """The metrics of the trial's own teacher, from its record or from what the run notes of it."""
    records = [result for result in results if result.role == "teacher" and result.metrics]
    own = "" if meta.teacher is None else f"teacher-{meta.teacher.hash[:8]}"
    # Of several the run notes the trial's own: another one's numbers are not its.
    for result in records:
        if result.trial_id == own:
            return result.metrics
    if meta.teacher is None:
        return records[0].metrics if len(records) == 1 else None
    noted = meta.teacher.model_dump(include={"accuracy", "loss", "params", "macs", "size_bytes"})
    return {name: float(value) for name, value in noted.items() if value is not None}


def focus(wanted: Sequence[float], everything: Sequence[float]) -> tuple[float, float]:
    """The part of the ``y`` axis to show: all that is ``wanted``, and a margin of the rest.

    A few trials at chance level would press everything else against the upper edge.
    """
    shown = wanted or everything
    low, high = min(shown), max(shown)
    span = (high - low) or max(abs(high) * 0.02, 1e-3)
    return (
        max(min(everything), low - 0.6 * span) - 0.06 * span,
        min(max(everything), high + 0.6 * span) + 0.06 * span,
    )


def short(value: float) -> str:
    """A count in at most five characters: ``950``, ``12.3k``, ``4.5M``."""
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= 0.9995 * size:
            scaled = value / size
            return f"{scaled:.{1 if abs(scaled) < 99.95 else 0}f}".removesuffix(".0") + unit
    return f"{value:.3g}"
