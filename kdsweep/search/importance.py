"""Which settings of a sweep mattered, by Optuna, from the records alone."""

import math
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import create_trial

from kdsweep.errors import SpecError
from kdsweep.results.pareto import Objectives
from kdsweep.results.record import TrialResult
from kdsweep.results.replicates import by_point
from kdsweep.search.bounds import objective_values
from kdsweep.search.optuna_terms import distribution
from kdsweep.spec import Space
from kdsweep.spec.dimension import Dimension
from kdsweep.spec.space_parse import parse_entries
from kdsweep.sweep_file.read import parse_yaml

LEAST_STUDENTS = 12
"""With fewer the best of them are too few for a density; so many must have a setting as well."""
_LEAST_BEST = 5
"""Optuna advises that at least so many are among the best."""
_SHUFFLES, _BY_CHANCE = 40, 2
"""Of so many shuffles so few may reach what was found: one in twenty."""


def importance_of(
    results: Sequence[TrialResult], space: Space, objectives: Objectives
) -> dict[str, dict[str, float]] | None:
    """For each objective the share of each dimension in who is among its best, adding to one.

    PED-ANOVA (arXiv:2304.10255; of conditional dimensions arXiv:2601.20800) over the complete
    students. The best are a tenth of them, or five where that is more. A dimension has no share
    where fewer than twelve students have it, or where it comes to no more than in the two of forty
    shuffles of the students' values in which it comes to most: it is not told from chance.

    None where there are fewer than twelve students; an objective in which no dimension makes a
    difference is left out.
    """
    dimensions = {dimension.name: dimension for dimension in space.dimensions()}
    students = list(_students(results, dimensions, objectives))
    if len(students) < LEAST_STUDENTS:
        return None
    counts = Counter(name for _, _, known in students for name in known)
    common = [name for name, count in counts.items() if count >= LEAST_STUDENTS]
    trials = [
        create_trial(
            value=0.0,
            params={name: result.params[name] for name in known},
            distributions={name: distribution(dimensions[name]) for name in known},
        )
        for result, _, known in students
    ]
    study = optuna.create_study()
    study.add_trials(trials)
    found: dict[str, dict[str, float]] = {}
    for index, (objective, way) in enumerate(objectives.items()):
        sign = -1.0 if way == "max" else 1.0
        values = np.array([sign * given[index] for _, given, _ in students])
        raw = _told_from_chance(study, common, values)
        total = sum(raw.values())
        if total > 0:
            found[objective] = {
                name: raw.get(name, 0.0) / total for name in dimensions if name in counts
            }
    return found or None


def space_of(sweep_text: str) -> Space:
    """The space of a sweep file; nothing that it names is looked for or built.

    Raises:
        SpecError: it is no YAML, or its ``space`` is none.
    """
    raw, problems = parse_yaml(sweep_text)
    entries, wrong = parse_entries(raw.get("space") or {})
    if problems or wrong:
        raise SpecError([*problems, *wrong])
    return Space(entries)


def _told_from_chance(
    study: optuna.Study, names: Sequence[str], values: NDArray[np.float64]
) -> dict[str, float]:
    """The importance of each dimension for low ``values``, of those that are above chance."""
    raw = _ped_anova(study, names, values)
    random = np.random.default_rng(0)
    shuffled = [_ped_anova(study, names, random.permutation(values)) for _ in range(_SHUFFLES)]
    chance = {name: sorted(each[name] for each in shuffled)[-_BY_CHANCE] for name in names}
    return {name: raw[name] for name in names if raw[name] > chance[name]}


def _ped_anova(
    study: optuna.Study, names: Sequence[str], values: NDArray[np.float64]
) -> dict[str, float]:
    best = max(0.1, _LEAST_BEST / len(values))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = get_param_importances(
            study, evaluator=PedAnovaImportanceEvaluator(target_quantile=best),
            params=list(names), target=lambda trial: float(values[trial.number]), normalize=False,
        )  # fmt: skip
    return {name: float(share) if math.isfinite(share) else 0.0 for name, share in found.items()}


def _students(
    results: Sequence[TrialResult], dimensions: Mapping[str, Dimension], objectives: Objectives
) -> Iterable[tuple[TrialResult, list[float], list[str]]]:
    """Complete points that the space holds, with their objectives and dimensions."""
    for result in by_point(results):
        values = objective_values(result, objectives)
        known = [
            name for name, value in result.params.items()
            if name in dimensions and _holds(dimensions[name], value)
        ]  # fmt: skip
        if result.status == "complete" and result.role != "teacher" and known and values:
            yield result, values, known


def _holds(dimension: Dimension, value: object) -> bool:
    """A record of another space, as one of before the file was changed, may hold other values."""
    try:
        dist = distribution(dimension)
        return bool(dist._contains(dist.to_internal_repr(value)))
    except (TypeError, ValueError):
        return False
