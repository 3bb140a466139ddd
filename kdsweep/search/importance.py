"""Which settings of a sweep mattered, by Optuna, from the records alone."""

import math
import re
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, create_trial

from kdsweep.report.importance import (
    LEAST_STUDENTS,
    Importance,
    ObjectiveImportance,
    SettingShare,
)
from kdsweep.results.pareto import SIZE_LIKE, Objectives
from kdsweep.results.record import Metric, TrialResult
from kdsweep.results.replicates import by_point
from kdsweep.search.optuna_terms import distribution
from kdsweep.spec import Space
from kdsweep.spec.dimension import Dimension, Label

_LEAST_BEST = 5
"""Optuna advises that at least so many are among the best."""
_SHUFFLES, _BY_CHANCE = 40, 2
"""Of so many shuffles so few may reach what was found: one in twenty."""


def importance_of(
    results: Sequence[TrialResult], space: Space, objectives: Objectives
) -> Importance:
    """For each objective that is no size the share of each setting in who is among its best.

    PED-ANOVA (arXiv:2304.10255; of conditional dimensions arXiv:2601.20800) over the complete
    students. The best are a tenth of them, or five where that is more. Shares add to one. Beside
    each is what it comes to in the two of forty shuffles of the students' values in which it comes
    to most: a share above that is told from chance. A setting that fewer than twelve students have
    has neither. Dimensions of several branches of one name are one setting.

    Sizes follow from the settings, and are left out; of a sweep that has no other objective it is
    for accuracy. Where there are fewer than twelve students, or nothing differs, it says why.
    """
    asked = [name for name in objectives if name not in SIZE_LIKE] or ["accuracy"]
    dimensions = {dimension.name: dimension for dimension in space.dimensions()}
    points = [(result, _drawn(result, dimensions)) for result in by_point(results)]
    students = [
        (result, known) for result, known in points
        if result.status == "complete" and result.role != "teacher" and known
    ]  # fmt: skip
    settings = list(dict.fromkeys(map(_setting_of, dimensions)))
    found: dict[str, ObjectiveImportance] = {}
    for metric in asked:
        way = objectives.get(metric, "max" if metric == "accuracy" else "min")
        found[metric] = _for_one(students, dimensions, settings, metric, maximised=way == "max")
    return found


def _for_one(
    points: Sequence[tuple[TrialResult, Mapping[str, Label]]],
    dimensions: Mapping[str, Dimension],
    settings: Sequence[str],
    metric: Metric,
    *,
    maximised: bool,
) -> ObjectiveImportance:
    students = [(r, k) for r, k in points if math.isfinite(r.metrics.get(metric, math.nan))]
    values = np.array([(-1.0 if maximised else 1.0) * r.metrics[metric] for r, _ in students])
    had = [(_setting_of(name), value) for _, known in students for name, value in known.items()]
    counts = Counter(name for name, _ in had)
    several = {name for name, num in Counter(n for n, _ in {*had}).items() if num > 1}
    often = [name for name in settings if counts[name] >= LEAST_STUDENTS]
    varied = [name for name in often if name in several]
    if why := _why_none(settings, values, varied):
        return ObjectiveImportance((), len(students), why)
    study = optuna.create_study()
    study.add_trials([_optuna_trial(known, dimensions) for _, known in students])
    # What is the same in all makes no difference; its densities would differ by their numbers.
    raw = dict.fromkeys(often, 0.0) | _ped_anova(study, varied, values)
    chance = dict.fromkeys(often, 0.0) | _by_chance(study, varied, values)
    total = sum(raw.values()) or 1.0
    shares = [
        SettingShare(name, raw[name] / total, chance[name] / total, counts[name])
        if name in raw else SettingShare(name, None, None, counts[name])
        for name in settings
    ]  # fmt: skip
    shares.sort(key=lambda each: (each.share is None, -(each.share or 0.0), -each.students))
    return ObjectiveImportance(tuple(shares), len(students))


def _why_none(settings: Sequence[str], values: NDArray[np.float64], varied: Sequence[str]) -> str:
    num = len(values)
    if not settings:
        return "the sweep varies no setting"
    if num < LEAST_STUDENTS:
        there = "there is 1 complete trial" if num == 1 else f"there are {num} complete trials"
        return f"{there}, and {LEAST_STUDENTS} are needed"
    if len(set(values.tolist())) == 1:
        return f"all {num} complete students have the same value ({abs(values[0]):.4g})"
    if not varied:
        return f"no setting that {LEAST_STUDENTS} of the {num} complete students have varies"
    return ""


def _by_chance(
    study: optuna.Study, names: Sequence[str], values: NDArray[np.float64]
) -> dict[str, float]:
    """What each setting comes to where the values of the students are shuffled, in 1 of 20."""
    random = np.random.default_rng(0)
    shuffled = [_ped_anova(study, names, random.permutation(values)) for _ in range(_SHUFFLES)]
    return {name: sorted(each[name] for each in shuffled)[-_BY_CHANCE] for name in names}


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


def _optuna_trial(known: Mapping[str, Label], dimensions: Mapping[str, Dimension]) -> FrozenTrial:
    return create_trial(
        value=0.0,
        params={_setting_of(name): value for name, value in known.items()},
        distributions={_setting_of(name): distribution(dimensions[name]) for name in known},
    )


def _setting_of(name: str) -> str:
    """The temperature of the second member of the name ``kd`` is that of the first, elsewhere."""
    return re.sub(r"#\d+\]", "]", name)


def _drawn(result: TrialResult, dimensions: Mapping[str, Dimension]) -> dict[str, Label]:
    return {
        name: value for name, value in result.params.items()
        if name in dimensions and _holds(dimensions[name], value)
    }  # fmt: skip


def _holds(dimension: Dimension, value: object) -> bool:
    """A record of another space, as one of before the file was changed, may hold other values."""
    try:
        dist = distribution(dimension)
        return bool(dist._contains(dist.to_internal_repr(value)))
    except (TypeError, ValueError):
        return False
