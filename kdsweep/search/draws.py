"""Points at random, without a sampler that learns."""

import math

import numpy as np

from kdsweep.spec.dimension import Dimension, Label


def draw(dimension: Dimension, random: np.random.Generator) -> Label:
    """One value of a dimension, all as likely; by their logarithm where it is logarithmic."""
    if dimension.kind == "choice":
        return dimension.labels[int(random.integers(len(dimension.labels)))]
    low, high = dimension.low, dimension.high
    if dimension.kind == "int" and not dimension.log:
        return int(low) + dimension.step * int(random.integers(dimension.num_values or 1))
    # Half a step on either side, so that the ends are as likely as other whole numbers.
    margin = 0.5 if dimension.kind == "int" else 0.0
    if dimension.log:
        found = math.exp(random.uniform(math.log(low - margin), math.log(high + margin)))
    else:
        found = float(random.uniform(low, high))
    kept = min(max(found, low), high)
    return int(min(max(round(kept), low), high)) if dimension.kind == "int" else kept
