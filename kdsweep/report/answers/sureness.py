"""How sure a number is: intervals for accuracies and their differences, and what choosing adds."""

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Final

from kdsweep.results.intervals import CONFIDENCE, Summary, t_quantile
from kdsweep.results.noise import wilson

Interval = tuple[float, float]
_Z: Final = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)


def newcombe(one: float, other: float, num: int) -> Interval:
    """Where ``one - other`` lies on all such data, both measured on ``num`` examples.

    Newcombe's method 10 (Statistics in Medicine 17, 1998), 95 %. It takes the two for independent:
    measured on the same examples they are not, and the interval is wider than it need be.
    """
    (low, high), (other_low, other_high) = wilson(one, num), wilson(other, num)
    difference = one - other
    return (
        difference - math.hypot(one - low, other_high - other),
        difference + math.hypot(high - one, other - other_low),
    )


def of_pairs(differences: Sequence[float]) -> Interval | None:
    """Where the mean of paired differences lies, by Student's t, 95 %; none of fewer than two."""
    if len(differences) < 2:
        return None
    return Summary(tuple(differences)).interval


def of_means(one: tuple[float, float, int], other: tuple[float, float, int]) -> Interval | None:
    """Where a difference of means lies, each given as mean, standard deviation and number.

    Welch's t (Biometrika 34, 1947), 95 %; none where one of them is of fewer than two.
    """
    (mean, spread, num), (other_mean, other_spread, other_num) = one, other
    if min(num, other_num) < 2:
        return None
    a, b = spread**2 / num, other_spread**2 / other_num
    difference = mean - other_mean
    if a + b == 0:
        return difference, difference
    degrees = (a + b) ** 2 / (a**2 / (num - 1) + b**2 / (other_num - 1))
    half = t_quantile((1 + CONFIDENCE) / 2, degrees) * math.sqrt(a + b)
    return difference - half, difference + half


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float | None]:
    """The mean and the sample standard deviation, which one value alone has not."""
    found = Summary(tuple(values))
    return found.mean, found.deviation if len(values) > 1 else None


def binomial_deviation(share: float, num: int) -> float:
    """How far an accuracy of ``share`` deviates from one set of ``num`` examples to the next."""
    return math.sqrt(share * (1 - share) / num)


def luck_of_the_best(num: int, noise: float) -> float:
    """How far the best of ``num`` like students is expected above each of them, by luck alone.

    ``noise`` is the standard deviation of what one of them measures. The expected greatest of
    ``num`` normal numbers is Blom's approximation (1958). Students that are not alike gain less.
    """
    return 0.0 if num < 2 else NormalDist().inv_cdf((num - 0.375) / (num + 0.25)) * noise


def rank_correlation(
    ones: Sequence[float], others: Sequence[float]
) -> tuple[float, Interval] | None:
    """Spearman's rank correlation and its 95 % interval; none of fewer than six or of no spread.

    The interval is Fisher's, with the standard error of Bonett and Wright (Psychometrika 65, 2000).
    """
    num = len(ones)
    if num < 6:
        return None
    a, b = _ranks(ones), _ranks(others)
    mean = (num - 1) / 2
    across = math.fsum((x - mean) * (y - mean) for x, y in zip(a, b, strict=True))
    both = math.sqrt(math.fsum((x - mean) ** 2 for x in a) * math.fsum((y - mean) ** 2 for y in b))
    if both == 0:
        return None
    found = max(-1.0, min(1.0, across / both))
    if abs(found) > 1 - 1e-12:
        return found, (found, found)
    half = _Z * math.sqrt((1 + found**2 / 2) / (num - 3))
    return found, (math.tanh(math.atanh(found) - half), math.tanh(math.atanh(found) + half))


def _ranks(values: Sequence[float]) -> list[float]:
    """From zero; equal values share the mean of their ranks."""
    order = sorted(range(len(values)), key=lambda index: values[index])
    ranks, start = [0.0] * len(values), 0
    while start < len(order):
        end = start
        while end + 1 < len(order) and values[order[end + 1]] == values[order[start]]:
            end += 1
        for place in range(start, end + 1):
            ranks[order[place]] = (start + end) / 2
        start = end + 1
    return ranks
