"""How sure means over seeds are: Student's t for what is paired, the bootstrap for a front."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

CONFIDENCE: Final = 0.95
RESAMPLES: Final = 10_000
_MOST_COMPARED = 2**22
"""Pairs of points in resamples that are compared at once: some megabytes."""


@dataclass(frozen=True)
class Summary:
    """Values of one number, one for each seed, with their mean and sample standard deviation.

    ``deviation`` is that of ``n - 1``; NaN where there is one value alone.
    """

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The arithmetic mean."""
        return math.fsum(self.values) / len(self.values)

    @property
    def deviation(self) -> float:
        """How far the values lie from their mean."""
        if len(self.values) < 2:
            return math.nan
        mean = self.mean
        squares = math.fsum((value - mean) ** 2 for value in self.values)
        return math.sqrt(squares / (len(self.values) - 1))

    @property
    def half(self) -> float:
        """Half the width of the interval of the mean, by Student's t with n - 1 degrees.

        NaN of fewer than two values.
        """
        num = len(self.values)
        if num < 2:
            return math.nan
        return t_quantile((1 + CONFIDENCE) / 2, num - 1) * self.deviation / math.sqrt(num)

    @property
    def interval(self) -> tuple[float, float]:
        """Where the mean of all possible seeds lies, at 95 % confidence."""
        return self.mean - self.half, self.mean + self.half

    @property
    def share_interval(self) -> tuple[float, float]:
        """``interval`` of values that are shares, as accuracies are: no end is beyond 0 or 1."""
        low, high = self.interval
        # A NaN is neither: it stays.
        return (0.0 if low < 0 else low), (1.0 if high > 1 else high)


def t_quantile(probability: float, degrees: float) -> float:
    """What Student's t of so many ``degrees`` of freedom stays below with a ``probability``.

    Raises:
        ValueError: the probability is not between 0 and 1, or there are no degrees of freedom.
    """
    if not 0 < probability < 1 or degrees <= 0:
        raise ValueError(f"no quantile {probability} of Student's t with {degrees} degrees")
    # Late: SciPy takes half a second.
    from scipy.special import stdtrit

    return float(stdtrit(degrees, probability))


def front_probabilities(
    values: NDArray[np.float64], *, resamples: int = RESAMPLES, seed: int = 0
) -> NDArray[np.float64]:
    """How often each point is on the front of the means, when seeds are drawn again: ``[P]``.

    ``values`` ``[P, S, M]`` are the objectives of each point by seed, all to be minimised. In each
    resample as many seeds as there are are drawn with replacement, the same ones for all points,
    and of each point the mean is taken (Efron, Bootstrap methods, Annals of Statistics 7, 1979).
    A point that others equal in all is dominated by none of them.
    """
    num_points, num_seeds, num_objectives = values.shape
    if not num_points:
        return np.zeros(0)
    drawn = np.random.default_rng(seed).integers(num_seeds, size=(resamples, num_seeds))
    # How often each seed was drawn is all that a mean depends on.
    shares = np.stack([(drawn == s).sum(axis=1) for s in range(num_seeds)], axis=1) / num_seeds
    on_front = np.zeros(num_points)
    at_once = max(1, _MOST_COMPARED // (num_points * num_points))
    for start in range(0, resamples, at_once):
        share = shares[start : start + at_once]
        no_worse = np.ones((len(share), num_points, num_points), dtype=bool)
        better = np.zeros_like(no_worse)
        for objective in range(num_objectives):
            column = values[:, :, objective]
            same = (column == column[:, :1]).all(axis=1)
            means = np.where(same, column[:, 0], share @ column.T)
            no_worse &= means[:, :, None] <= means[:, None, :]
            better |= means[:, :, None] < means[:, None, :]
        on_front += (~(no_worse & better).any(axis=1)).sum(axis=0)
    return on_front / resamples
