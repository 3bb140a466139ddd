"""How sure an accuracy is, and a difference of two, from what the records hold."""

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from statistics import NormalDist
from typing import Final

from kdsweep.results.meta import RunMeta
from kdsweep.results.record import TrialResult
from kdsweep.results.replicates import PointResult, deviation

_MOST_EXAMPLES = 1_000_000
_ENOUGH = 200
"""Accuracies that differ: so many counts have no common divisor left."""
_95_PERCENT = 1.96
_Z: Final = NormalDist().inv_cdf(0.975)


def wilson(share: float, num: int) -> tuple[float, float]:
    """Where the accuracy on all such data lies, when it is ``share`` of ``num`` examples.

    Wilson's score interval (Journal of the American Statistical Association 22, 1927), 95 %.
    """
    middle = (share + _Z**2 / (2 * num)) / (1 + _Z**2 / num)
    root = math.sqrt(share * (1 - share) / num + _Z**2 / (4 * num**2))
    half = _Z * root / (1 + _Z**2 / num)
    return max(0.0, middle - half), min(1.0, middle + half)


def accuracy_interval(result: TrialResult, examples: int | None) -> tuple[float, float] | None:
    """Where the accuracy of a result lies, 0..1, at 95 % confidence.

    Of replicates it is Student's t for their mean, over the luck of seeds; of one trial Wilson's
    for the validation ``examples``, in which the luck of its seed is not. None where neither is
    known.
    """
    accuracy, spread = result.metrics.get("accuracy", math.nan), _of_the_mean(result)
    if not math.isfinite(accuracy):
        return None
    if spread is not None and len(result.trial_ids) > 1:
        # Late: NumPy and SciPy take half a second, and most sweeps have no replicates.
        from kdsweep.results.intervals import CONFIDENCE, t_quantile

        half = t_quantile((1 + CONFIDENCE) / 2, len(result.trial_ids) - 1) * spread
        return max(0.0, accuracy - half), min(1.0, accuracy + half)
    # What is no share at all, as in a record that somebody wrote, is at the edge.
    return wilson(min(max(accuracy, 0.0), 1.0), examples) if examples else None


def validation_examples(meta: RunMeta, results: Sequence[TrialResult]) -> int | None:
    """How many examples the accuracies of a sweep were measured on.

    It is in ``run.json`` once the data were read; for runs without it, and where the data are
    varied, it is worked out from the accuracies, see ``validation_size``.
    """
    known = meta.examples.get("validation")
    varied = any(path.partition(".")[0] == "data" for r in results for path in r.changes)
    return validation_size(results) if known is None or varied else known


def validation_size(results: Iterable[TrialResult]) -> int | None:
    """The number of validation examples: the least of which every accuracy is a whole share.

    Those of all epochs count, so that it is the number itself after a few trials; before that it
    may be a divisor, which makes noise look larger. None where there are no such accuracies.
    """
    seen: set[float] = set()
    size = 1
    for result in results:
        if isinstance(result, PointResult) and len(result.trial_ids) > 1:
            continue  # a mean is a share of another number
        shares = [result.metrics.get("accuracy", math.nan), *(e.accuracy for e in result.epochs)]
        for share in shares:
            if share in seen or not 0 < share < 1:
                continue
            seen.add(share)
            found = Fraction(share).limit_denominator(_MOST_EXAMPLES)
            size = math.lcm(size, found.denominator)
            if abs(float(found) - share) > 1e-13 or size > _MOST_EXAMPLES:
                return None
            if len(seen) == _ENOUGH:
                return size
    return size if seen else None


def accuracy_noise(one: TrialResult, other: TrialResult, examples: int | None) -> float | None:
    """What two accuracies may differ by through chance alone, in 95 of 100 cases.

    It is 1.96 standard errors of their difference. Each is a share of ``examples`` drawn anew, by
    A. Agresti and B. Caffo, The American Statistician 54 (2000) 280-288 (a success and a failure
    are added to both); of replicates the standard error of their mean comes on top. Both students
    are in truth judged on the same examples, which makes chance smaller: the number errs on the
    side of caution. None where neither is known.
    """
    spreads = [_of_the_mean(result) for result in (one, other)]
    if examples is None and None in spreads:
        return None
    variance = math.fsum(spread * spread for spread in spreads if spread is not None)
    if examples is not None:
        for result in (one, other):
            # What is no share at all, as in a record that somebody wrote, is at the edge.
            accuracy = min(max(result.metrics["accuracy"], 0.0), 1.0)
            share = (accuracy * examples + 1) / (examples + 2)
            variance += share * (1 - share) / (examples + 2)
    return _95_PERCENT * math.sqrt(variance)


def _of_the_mean(result: TrialResult) -> float | None:
    """The standard error of the mean over replicates; none where there is one trial only."""
    spread, num = deviation(result, "accuracy"), len(result.trial_ids)
    return None if spread is None or not math.isfinite(spread) else spread / math.sqrt(num)
