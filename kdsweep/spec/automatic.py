"""``sampler: auto``: which sampler suits a space, and why."""

import math
from dataclasses import dataclass

from kdsweep.spec.space import Space
from kdsweep.spec.sweep import NamedSampler, SearchSpec

MOST_DIMENSIONS_OF_GP = 5
MOST_TRIALS_OF_GP = 64
MOST_OBJECTIVES_OF_GP = 2
"""What a Gaussian process was measured with (benchmarks/samplers.py). Each of its proposals takes
up to a second of a processor, more with more of each, in which the driver hears nothing else."""


@dataclass(frozen=True)
class Chosen:
    """A sampler by its name, and a sentence that says why it is this one.

    ``whole`` is set where every point of the space is tried, so that nothing is left to sample.
    """

    name: NamedSampler
    why: str
    whole: bool = False


def choose(
    space: Space, search: SearchSpec, *, num_objectives: int = 2, num_constraints: int = 0
) -> Chosen:
    """The sampler that ``search`` names; for ``auto`` the one that the benchmarks speak for."""
    if search.sampler != "auto":
        return Chosen(search.sampler, "as the file says")
    num_points = space.num_points
    # A budget of something else than trials may pay for any number of them.
    trials = search.trials if search.has_most_trials else math.inf
    if num_points is not None and num_points <= trials:
        return Chosen("random", f"each of the {num_points} points of the space once", whole=True)
    dimensions = space.dimensions()
    num = len(dimensions)
    num_conditional = sum(bool(dimension.conditions) for dimension in dimensions)
    num_choices = sum(dimension.kind == "choice" for dimension in dimensions)
    if num_conditional:
        return Chosen("tpe", f"{num_conditional} of {num} settings are asked only on some branches")
    if num_choices:
        return Chosen("tpe", f"{num_choices} of {num} settings are choices")
    if math.isinf(trials):
        return Chosen("tpe", "a Gaussian process takes too long for what a budget may pay for")
    for amount, most, of in (
        (num, MOST_DIMENSIONS_OF_GP, "numbers"),
        (search.trials, MOST_TRIALS_OF_GP, "trials"),
        (num_objectives, MOST_OBJECTIVES_OF_GP, "objectives"),
        (num_constraints, 0, "constraints"),
    ):
        if amount > most:
            return Chosen("tpe", f"a Gaussian process takes too long for {amount} {of}")
    return Chosen(
        "gp", f"all settings are numbers, and there {'is' if num == 1 else 'are'} {num} of them"
    )
