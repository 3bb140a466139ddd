"""``sampler: auto``: which sampler suits a space, and why."""

import math
from dataclasses import dataclass

from kdsweep.spec.space import Space
from kdsweep.spec.sweep import NamedSampler, SearchSpec

MOST_DIMENSIONS_OF_GP = 5
"""A Gaussian process was measured in spaces of two to five numbers (benchmarks/samplers.py)."""

MOST_TRIALS_OF_GP = 100
"""Each proposal takes a Gaussian process up to a second, in which nothing else is heard."""


@dataclass(frozen=True)
class Chosen:
    """A sampler by its name, and a sentence that says why it is this one.

    ``whole`` is set where every point of the space is tried, so that nothing is left to sample.
    """

    name: NamedSampler
    why: str
    whole: bool = False


def choose(space: Space, search: SearchSpec) -> Chosen:
    """The sampler that ``search`` names; for ``auto`` the one that the benchmarks speak for."""
    if search.sampler != "auto":
        return Chosen(search.sampler, "as the file says")
    dimensions = space.dimensions()
    num_points = space.num_points
    # A budget of something else than trials may pay for any number of them.
    trials = search.trials if search.has_most_trials else math.inf
    if num_points is not None and num_points <= trials:
        return Chosen("random", f"each of the {num_points} points of the space once", whole=True)
    num_conditional = sum(bool(dimension.conditions) for dimension in dimensions)
    if num_conditional:
        return Chosen(
            "tpe",
            f"{num_conditional} of {len(dimensions)} settings are asked only on some branches",
        )
    num_choices = sum(dimension.kind == "choice" for dimension in dimensions)
    if num_choices:
        return Chosen("tpe", f"{num_choices} of {len(dimensions)} settings are choices")
    if len(dimensions) > MOST_DIMENSIONS_OF_GP:
        return Chosen("tpe", f"{len(dimensions)} numbers are too many for a Gaussian process")
    if trials > MOST_TRIALS_OF_GP:
        many = f"{trials} trials" if search.has_most_trials else "as many trials as a budget allows"
        return Chosen("tpe", f"{many} are too many for a Gaussian process")
    numbers, fitted = (
        ("1 number", "it") if len(dimensions) == 1 else (f"{len(dimensions)} numbers", "them")
    )
    return Chosen("gp", f"{numbers} and no branches: a Gaussian process fits {fitted}")
