"""One trial trained with several seeds: what its metrics are, and how far they spread."""

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path


def mean_and_deviation(
    metrics: Sequence[Mapping[str, float]],
) -> dict[str, tuple[float, float | None]]:
    """Of each metric that all have: its mean, and its sample standard deviation (``n - 1``).

    One seed alone has no deviation; where a value is not finite, neither is the mean.
    """
    found: dict[str, tuple[float, float | None]] = {}
    for name in metrics[0] if metrics else ():
        values = [each[name] for each in metrics if name in each]
        if len(values) < len(metrics):
            continue
        if not all(map(math.isfinite, values)):
            found[name] = (math.nan, None)
            continue
        spread = statistics.stdev(values) if len(values) > 1 else None
        found[name] = (statistics.fmean(values), spread)
    return found


def spread_lines(metrics: Sequence[Mapping[str, float]]) -> list[str]:
    """``accuracy         95.12% ±0.34``, a line for each metric; sizes do not spread."""
    return [
        f"{name:16} {measured_text(name, mean, spread)}"
        for name, (mean, spread) in mean_and_deviation(metrics).items()
    ]


def measured_text(name: str, value: float, spread: float | None = None) -> str:
    """``95.12% ±0.34``: a value and its deviation, of an accuracy in percent and points."""
    if name.endswith("accuracy"):
        return f"{value:.2%}" + (f" ±{100 * spread:.2f}" if spread else "")
    return f"{value:.6g}" + (f" ±{spread:.2g}" if spread else "")


def weights_of_seed(weights: Path, seed: int) -> Path:
    """``student.safetensors`` of seed 3 is ``student-seed3.safetensors``."""
    return weights.with_name(f"{weights.stem}-seed{seed}{weights.suffix}")
