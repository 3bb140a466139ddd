"""Which strategy is best at which size, with its spread."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from kdsweep.report.answers.alike import ChanceLevel
from kdsweep.report.answers.helped import NONE, interval_of
from kdsweep.report.answers.section import (
    Section,
    Table,
    between,
    cells,
    percent,
    percent_with,
    points,
    spread,
)
from kdsweep.report.answers.sureness import Interval, mean_and_deviation
from kdsweep.report.axes import UNITS
from kdsweep.report.labels import strategy_label
from kdsweep.report.pictures.view import SweepView
from kdsweep.report.size_classes import SizeClass, size_classes
from kdsweep.report.table import interval_text
from kdsweep.results.noise import accuracy_interval, validation_examples
from kdsweep.results.record import TrialResult


@dataclass(frozen=True)
class OfStrategy:
    """The students of a strategy among those of like size; accuracies from 0 to 1."""

    size_class: int
    """The smallest students are of class 0."""
    sizes: str
    strategy: str
    num: int
    best: float
    best_interval: Interval | None
    median: float
    mean: float
    deviation: float | None
    """Over students, which differ in their settings: no measure of chance."""
    is_first: bool
    behind: float
    """Of its best behind the best of all strategies at this size."""
    interval: Interval | None
    """Of that; none for the first."""
    at_chance: bool = False
    """Whether none of them learned: even its best cannot be told from guessing."""


def compared(view: SweepView) -> list[OfStrategy]:
    """Each strategy in each class of sizes, the best first."""
    examples = validation_examples(view.meta, view.results)
    chance = ChanceLevel(view.meta.num_classes, examples)
    students = [result for result in view.complete if "accuracy" in result.metrics]
    found: list[OfStrategy] = []
    for place, group in enumerate(size_classes(students, view.axes.x)):
        found += _at(place, group, chance)
    return found


def _at(place: int, group: SizeClass, chance: ChanceLevel) -> Iterable[OfStrategy]:
    examples = chance.examples
    by_strategy: dict[str, list[TrialResult]] = {}
    for result in group.results:
        by_strategy.setdefault(strategy_label(result), []).append(result)
    bests = {name: max(ours, key=_accuracy) for name, ours in by_strategy.items()}
    order = sorted(bests, key=lambda name: (-_accuracy(bests[name]), name))
    first = bests[order[0]]
    for name in order:
        values = [_accuracy(result) for result in by_strategy[name]]
        mean, deviation = mean_and_deviation(values)
        is_first = name == order[0]
        yield OfStrategy(
            size_class=place, sizes=group.words, strategy=name, num=len(values), best=max(values),
            best_interval=accuracy_interval(bests[name], examples),
            median=float(np.median(values)), mean=mean, deviation=deviation, is_first=is_first,
            behind=_accuracy(first) - max(values),
            interval=None if is_first else interval_of(first, bests[name], examples),
            at_chance=chance.has(max(values)),
        )  # fmt: skip


def _accuracy(result: TrialResult) -> float:
    return result.metrics["accuracy"]


def strategies(view: SweepView) -> Section:
    """The answer in words, and a table of sizes and strategies."""
    found = compared(view)
    rows = [
        cells(each.sizes, each.strategy, each.num, percent_with(each.best, each.best_interval),
              percent(each.median),
              percent(each.mean), spread(each.deviation),
              "best" if each.is_first else points(each.behind),
              "" if each.is_first else between(each.interval))
        for each in found
    ]  # fmt: skip
    header = (view.axes.x, "strategy", "n", "best", "median", "mean", "deviation", "behind",
              "95% interval")  # fmt: skip
    note = (
        "n complete students, those at chance level among them; below the best is its 95% "
        "interval; the deviation is over students, which differ in their settings. "
        "The search gives more trials to what does well, so that its best had more tries."
    )
    return Section(
        key="strategies", title="Which strategy is best at which size?",
        sentences=tuple(_sentences(found, UNITS.get(view.axes.x, "")))
        or ("No trial is complete yet.",),
        tables=(Table(header, tuple(rows), note),) if found else (), pictures=("strategies",),
        numbers={"by_size": [asdict(each) for each in found]},
    )  # fmt: skip


def _sentences(found: Sequence[OfStrategy], unit: str) -> Iterable[str]:
    for first in (each for each in found if each.is_first):
        alike = [each for each in found if each.size_class == first.size_class]
        others = [each for each in alike if not each.is_first and not each.at_chance]
        unlearned = [_words(each) for each in alike if each.at_chance]
        if first.at_chance:
            yield f"At {first.sizes} {unit} no student learned: all are at chance level."
            continue
        of = "one student" if first.num == 1 else (
            f"the best of {first.num}, whose median is {100 * first.median:.2f}%"
        )  # fmt: skip
        sure = "unknown" if first.best_interval is None else (
            interval_text(first.best_interval, " to ")
        )  # fmt: skip
        reached = f"{100 * first.best:.2f}% (95% interval {sure}; {of})"
        at = f"At {first.sizes} {unit}"
        rest = f" None with {' or '.join(unlearned)} learned." if unlearned else ""
        if not others:
            which = "students that learned" if unlearned else "complete students"
            yield f"{at} {_words(first)} alone has {which}: {reached}.{rest}"
            continue
        like = [_words(other) for other in others
                if other.interval is None or other.interval[0] <= 0]  # fmt: skip
        behind = min(others, key=lambda other: other.behind)
        said = (
            f"{at} {_words(first)} is first, with {reached}. Next is {_words(behind)}, "
            f"{100 * behind.behind:.2f} percentage points behind (95% interval "
            f"{between(behind.interval)}).{rest}"
        )
        yield f"{said} It cannot be told from {' and '.join(like)}." if like else said


def _words(each: OfStrategy) -> str:
    return "no teacher" if each.strategy == NONE else each.strategy
