"""With a teacher against without: of students of like size, and of those alike in all else."""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from kdsweep.report.answers.alike import Apart, ChanceLevel, apart
from kdsweep.report.answers.sureness import (
    Interval,
    binomial_deviation,
    luck_of_the_best,
    mean_and_deviation,
    newcombe,
    of_means,
    of_pairs,
)
from kdsweep.report.labels import strategy_label
from kdsweep.report.pictures.view import SweepView
from kdsweep.report.size_classes import size_classes
from kdsweep.results.noise import accuracy_interval
from kdsweep.results.record import TrialResult
from kdsweep.results.replicates import deviation

NONE = "none"
LEAST_OF_A_KIND = 3
"""So many students of each kind have to be tried where the best of them have other settings."""
Verdict = Literal["helped", "hurt", "ahead, one seed", "behind, one seed", "cannot tell"]
AtSizeVerdict = (
    Verdict | Literal["cannot tell, other settings differ", "cannot tell, at chance level"]
)


@dataclass(frozen=True)
class AtSize:
    """The best student with a teacher against the best without, among those of like size.

    Those at chance level, which did not learn, are counted apart, and are the best of their kind
    only where there are no others.
    """

    sizes: str
    distilled: float
    distilled_interval: Interval | None
    strategy: str
    num_distilled: int
    undistilled: float
    undistilled_interval: Interval | None
    num_undistilled: int
    difference: float
    interval: Interval | None
    by_luck: float
    """Of the difference, what having more tries is expected to add if all were alike."""

    over_seeds: bool
    """Whether the interval is of the luck of seeds; else of that of validation examples alone."""

    distilled_id: str = ""
    undistilled_id: str = ""
    apart: tuple[Apart, ...] = ()
    """The settings in which the two differ besides how they were taught."""

    num_at_chance: int = 0
    """Students of this size, of either kind, that did not learn."""

    distilled_at_chance: bool = False
    undistilled_at_chance: bool = False

    @property
    def verdict(self) -> AtSizeVerdict:
        """What can be said of the difference, less what is luck.

        Nothing of one that may be of other settings: of the two best of a few tries each nobody
        knows what these have done.
        """
        if self.distilled_at_chance or self.undistilled_at_chance:
            return "cannot tell, at chance level"
        found = verdict(self.interval, less=self.by_luck, over_seeds=self.over_seeds)
        least = min(self.num_distilled, self.num_undistilled)
        if found != "cannot tell" and self.apart and least < LEAST_OF_A_KIND:
            return "cannot tell, other settings differ"
        return found

    @property
    def is_told(self) -> bool:
        """Whether the two are told apart."""
        return not self.verdict.startswith("cannot tell")


@dataclass(frozen=True)
class Paired:
    """A strategy against none where all else was the same, seeds included."""

    strategy: str
    num_pairs: int
    difference: float
    deviation: float | None
    interval: Interval | None
    num_trials: int = 2
    num_at_chance: int = 0
    """Of those the ones that did not learn."""

    @property
    def verdict(self) -> Verdict:
        """What can be said of the difference."""
        return verdict(self.interval, over_seeds=self.num_pairs > 1)


def verdict(interval: Interval | None, *, less: float = 0.0, over_seeds: bool) -> Verdict:
    """Whether an interval of a difference, less what is explained otherwise, leaves zero out.

    Students that were trained once each are ahead or behind: that their strategy did it is not
    told from the luck of their seeds.
    """
    if interval is None:
        return "cannot tell"
    low, high = (end - less for end in interval)
    if low > 0:
        return "helped" if over_seeds else "ahead, one seed"
    if high < 0:
        return "hurt" if over_seeds else "behind, one seed"
    return "cannot tell"


def by_size(view: SweepView, examples: int | None) -> list[AtSize]:
    """Each class of sizes that has students of both kinds."""
    found, chance = [], ChanceLevel(view.meta.num_classes, examples)
    students = [result for result in view.complete if "accuracy" in result.metrics]
    for group in size_classes(students, view.axes.x):
        ours = [result for result in group.results if strategy_label(result) != NONE]
        theirs = [result for result in group.results if strategy_label(result) == NONE]
        if not ours or not theirs:
            continue
        num_tried = len(ours) + len(theirs)
        (ours, num_learned), (theirs, num_others) = _learned(ours, chance), _learned(theirs, chance)
        best, control = max(ours, key=_accuracy), max(theirs, key=_accuracy)
        luck = [
            luck_of_the_best(len(tried), _noise(of, examples))
            for tried, of in ((ours, best), (theirs, control))
        ]
        found.append(
            AtSize(
                sizes=group.words, distilled=_accuracy(best),
                distilled_interval=accuracy_interval(best, examples),
                strategy=strategy_label(best), num_distilled=len(ours),
                undistilled=_accuracy(control),
                undistilled_interval=accuracy_interval(control, examples),
                num_undistilled=len(theirs), difference=_accuracy(best) - _accuracy(control),
                interval=interval_of(best, control, examples), by_luck=luck[0] - luck[1],
                over_seeds=_has_spread(best) and _has_spread(control),
                distilled_id=best.trial_id, undistilled_id=control.trial_id,
                apart=apart(best, control), num_at_chance=num_tried - num_learned - num_others,
                distilled_at_chance=not num_learned, undistilled_at_chance=not num_others,
            )
        )  # fmt: skip
    return found


def _learned(tried: list[TrialResult], chance: ChanceLevel) -> tuple[list[TrialResult], int]:
    """Those above chance level and their number; all and none where there are none."""
    found = [result for result in tried if not chance.has(_accuracy(result))]
    return found or tried, len(found)


def _has_spread(result: TrialResult) -> bool:
    return deviation(result, "accuracy") is not None


def _noise(result: TrialResult, examples: int | None) -> float:
    """The standard deviation of its accuracy: of a mean over seeds, else over examples."""
    spread = deviation(result, "accuracy")
    if spread is not None:
        return spread / math.sqrt(result.replicates)
    return 0.0 if examples is None else binomial_deviation(_accuracy(result), examples)


def interval_of(one: TrialResult, other: TrialResult, examples: int | None) -> Interval | None:
    """Of a difference of accuracies: over seeds where both have replicates, else over examples."""
    spreads = deviation(one, "accuracy"), deviation(other, "accuracy")
    if spreads[0] is not None and spreads[1] is not None:
        return of_means(
            (_accuracy(one), spreads[0], one.replicates),
            (_accuracy(other), spreads[1], other.replicates),
        )
    return None if examples is None else newcombe(_accuracy(one), _accuracy(other), examples)


def paired(
    results: Iterable[TrialResult], examples: int | None, num_classes: int | None = None
) -> list[Paired]:
    """Trials that differ from one without a teacher in their strategy alone, by strategy.

    Of several of a strategy at the same settings their mean is one side of a pair.
    """
    chance = ChanceLevel(num_classes, examples)
    groups: dict[tuple[str, int], dict[str, list[float]]] = {}
    for result in results:
        if (
            result.status == "complete"
            and result.role != "teacher"
            and "accuracy" in result.metrics
        ):
            by_strategy = groups.setdefault((_all_else(result), result.replicate), {})
            by_strategy.setdefault(strategy_label(result), []).append(_accuracy(result))
    pairs: dict[str, list[tuple[float, float]]] = {}
    trained: dict[str, list[float]] = {}
    for by_strategy in groups.values():
        for strategy, values in by_strategy.items():
            if strategy != NONE and NONE in by_strategy:
                means = (mean_and_deviation(each)[0] for each in (values, by_strategy[NONE]))
                pairs.setdefault(strategy, []).append((next(means), next(means)))
                trained.setdefault(strategy, []).extend([*values, *by_strategy[NONE]])
    found = []
    for strategy, both in sorted(pairs.items()):
        differences = [one - other for one, other in both]
        mean, spread = mean_and_deviation(differences)
        interval = of_pairs(differences)
        if interval is None and examples is not None:
            interval = newcombe(*both[0], examples)
        tried = trained[strategy]
        num_at_chance = sum(map(chance.has, tried))
        found.append(Paired(strategy, len(both), mean, spread, interval, len(tried), num_at_chance))
    return found


def _all_else(result: TrialResult) -> str:
    other = {key: value for key, value in result.trial.items() if key not in ("strategy", "seed")}
    return json.dumps(other, sort_keys=True, default=str)


def _accuracy(result: TrialResult) -> float:
    return result.metrics["accuracy"]
