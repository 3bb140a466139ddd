"""Our search space and settings in Optuna's terms: its samplers, trials and distributions."""

import warnings
from typing import Any

import numpy as np
import optuna
import torch
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers._ga import BaseGASampler

from kdsweep.search.tpe import GroupedTpe
from kdsweep.spec.dimension import Dimension, Label
from kdsweep.spec.sweep import NamedSampler, SearchSpec

optuna.logging.set_verbosity(optuna.logging.WARNING)


NUM_SPREAD: dict[NamedSampler, int] = {
    "tpe": 10, "gp": 10, "nsga2": 10, "nsga3": 10, "random": 0, "grid": 0
}  # fmt: skip
"""Points that are spread over the sizes of students before a sampler proposes its own."""


def make_sampler(
    name: NamedSampler, search: SearchSpec, *, num_known: int = 0
) -> optuna.samplers.BaseSampler:
    """Optuna's sampler of that name, seeded.

    A sampler that goes on after ``num_known`` trials of an earlier process draws other numbers than
    that one did: with the same it would propose the same again. The grid has no sampler: its points
    are known beforehand.
    """
    seed = search.seed if num_known == 0 else seed_after(search.seed, num_known)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        if name == "tpe":
            return GroupedTpe(seed=seed)
        if name == "nsga2":
            return optuna.samplers.NSGAIISampler(seed=seed, population_size=search.population)
        if name == "nsga3":
            return optuna.samplers.NSGAIIISampler(seed=seed, population_size=search.population)
        if name == "gp":
            # Its small matrix products gain nothing from threads that the lanes need.
            torch.set_num_threads(1)
            return optuna.samplers.GPSampler(seed=seed, warn_independent_sampling=False)
        return optuna.samplers.RandomSampler(seed=seed)


def first_generation(sampler: optuna.samplers.BaseSampler) -> dict[str, Any]:
    """What marks a trial as one of the first generation; nothing for samplers that have none.

    NSGA-II and III breed from trials that they have marked themselves: without the mark, those that
    are added to a study would teach them nothing. The key is internal to Optuna; a test holds it.
    """
    if not isinstance(sampler, BaseGASampler):
        return {}
    return {sampler._get_generation_key(): 0}


def seed_after(seed: int, num_known: int) -> int:
    """Another seed for what goes on after ``num_known`` trials, the same each time."""
    return int(np.random.SeedSequence([seed, num_known]).generate_state(1)[0])


def suggest(trial: optuna.Trial, dimension: Dimension) -> Label:
    """What Optuna's trial draws for a dimension of the space."""
    name, low, high = dimension.name, dimension.low, dimension.high
    if dimension.kind == "choice":
        chosen: Label = trial.suggest_categorical(name, dimension.labels)
        return chosen
    if dimension.kind == "int":
        step = dimension.step
        return int(trial.suggest_int(name, int(low), int(high), log=dimension.log, step=step))
    return float(trial.suggest_float(name, low, high, log=dimension.log))


def distribution(dimension: Dimension) -> BaseDistribution:
    """A dimension of the space, as Optuna keeps it."""
    if dimension.kind == "choice":
        return CategoricalDistribution(dimension.labels)
    if dimension.kind == "int":
        return IntDistribution(
            int(dimension.low), int(dimension.high), log=dimension.log, step=dimension.step
        )
    return FloatDistribution(dimension.low, dimension.high, log=dimension.log)
