"""``sampler: auto``: which sampler suits a space, and why."""

import math
from dataclasses import dataclass

from kdsweep.spec.space import Space
from kdsweep.spec.sweep import NamedSampler, SearchSpec


@dataclass(frozen=True)
class Chosen:
    """A sampler by its name, and a sentence that says why it is this one.

    ``whole`` is set where every point of the space is tried, so that nothing is left to sample.
    """

    name: NamedSampler
    why: str
    whole: bool = False


def choose(space: Space, search: SearchSpec) -> Chosen:
    """The sampler that ``search`` names; for ``auto`` the one that benchmarks/samplers.py favours.

    A Gaussian process is not among them: with trials in flight and noisy results it found no more
    than TPE in spaces of numbers, and took a second of a processor for each proposal.
    """
    if search.sampler != "auto":
        return Chosen(search.sampler, "as the file says")
    if search.warm_start:
        return Chosen("tpe", "it learns from the trials of earlier sweeps")
    num_points = space.num_points
    # A budget of something else than trials may pay for any number of them.
    trials = search.trials if search.has_most_trials else math.inf
    if num_points is not None and num_points <= trials:
        return Chosen("random", f"each of the {num_points} points of the space once", whole=True)
    dimensions = space.dimensions()
    num_conditional = sum(bool(dimension.conditions) for dimension in dimensions)
    if num_conditional:
        settings = f"{num_conditional} of {len(dimensions)} settings"
        return Chosen("tpe", f"{settings} are asked only on some branches")
    points = "points without end" if num_points is None else f"{num_points:,} points"
    many = f"{search.trials:,}" if search.has_most_trials else "all"
    return Chosen("tpe", f"{many} trials are to learn from each other among {points}")
