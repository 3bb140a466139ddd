"""Whether a student knows more than which class comes most often."""

import math

from kdsweep.errors import TrialError
from kdsweep.strategies.base import EpochEnd


def least_accuracy(end: EpochEnd, errors: float) -> float:
    """Chance, and so many standard errors of it above: ``c + errors * sqrt(c (1 - c) / N)``.

    ``c`` is the share of the most frequent class. Whoever answers without looking is right for
    ``c`` at most on average, and of ``N`` images for a number that is binomial: with two standard
    errors about one in forty of such students passes, by luck.
    """
    chance = end.chance
    return chance + errors * math.sqrt(chance * (1 - chance) / end.num_validated)


def check_above_chance(end: EpochEnd, errors: float, *, advice: str) -> None:
    """Look at the accuracy of a student after its last epoch.

    Where images are so few that even one who knows them all could be lucky, nothing can be said.

    Raises:
        TrialError: it is not above chance by so many standard errors.
    """
    least = least_accuracy(end, errors)
    if not end.is_last or least >= 1 or end.accuracy > least:
        return
    raise TrialError(
        f"epoch {end.epoch}: the student is at chance: {end.accuracy:.1%} of {end.num_validated} "
        f"validation images are right; the most frequent class alone is {end.chance:.1%} of them, "
        f"and above {least:.1%} ({errors:g} standard errors more) is what luck does not explain; "
        f"{advice}"
    )
