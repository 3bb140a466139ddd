"""Whether distillation helped, in sentences: each with its number and how sure that is."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from kdsweep.report.answers.alike import ChanceLevel, apart_words, at_chance_words
from kdsweep.report.answers.helped import (
    LEAST_OF_A_KIND,
    NONE,
    AtSize,
    AtSizeVerdict,
    Paired,
    Verdict,
)
from kdsweep.report.answers.section import between, counted
from kdsweep.report.axes import UNITS
from kdsweep.report.labels import strategy_label
from kdsweep.report.pictures.view import SweepView
from kdsweep.report.size_classes import size_classes
from kdsweep.report.table import interval_text
from kdsweep.results.noise import accuracy_interval

_MOST_IDS = 5
_COUNTED: dict[AtSizeVerdict, str] = {
    "helped": "distillation helped at {}",
    "hurt": "distillation hurt at {}",
    "ahead, one seed": "the best student with a teacher is ahead at {}, with one seed each",
    "behind, one seed": "the best student with a teacher is behind at {}, with one seed each",
    "cannot tell": "the two cannot be told apart at {}",
    "cannot tell, other settings differ": (
        f"other settings differ too, with fewer than {LEAST_OF_A_KIND} students of a kind, at {{}}"
    ),
    "cannot tell, at chance level": "one kind has none above chance level at {}",
}
_AT_SIZE: dict[AtSizeVerdict, str] = {
    "helped": "distillation helped",
    "hurt": "distillation hurt",
    "ahead, one seed": "the best student with a teacher is ahead, with one seed each",
    "behind, one seed": "the best student with a teacher is behind, with one seed each",
}
_OF_PAIRS: dict[Verdict, str] = {
    "helped": "it helped",
    "hurt": "it hurt",
    "ahead, one seed": "it is ahead; the luck of the one seed of each is not in that",
    "behind, one seed": "it is behind; the luck of the one seed of each is not in that",
}


def headline(view: SweepView, sizes: Sequence[AtSize], examples: int | None) -> str:
    """The answer of a sweep in a sentence or two, with the number that it stands on."""
    if not sizes:
        return _cannot_compare(view, examples)
    unit = UNITS.get(view.axes.x, "")
    sure = [each for each in sizes if each.is_told]
    num = Counter(each.verdict for each in sizes)
    said = "; ".join(words.format(num[kind]) for kind, words in _COUNTED.items() if num[kind])
    if not sure and num["cannot tell"] < len(sizes):
        return (
            "This sweep cannot tell whether distillation helped. It has students with and without "
            f"a teacher at {counted(len(sizes), 'size')}: {said}."
        )
    if not sure:
        most = max(sizes, key=lambda each: abs(each.difference))
        also = f", and the two differ in {apart_words(most.apart)} as well" if most.apart else ""
        return (
            "This sweep cannot tell whether distillation helped. It has students with and without "
            f"a teacher at {counted(len(sizes), 'size')}, and nowhere is the best of the one kind "
            "farther from the best of the other than chance and the number of tries explain. The "
            f"largest difference is {_difference(most)}, at {most.sizes} {unit}{also}."
        )
    most = max(sure, key=lambda each: abs(each.difference))
    if len(sizes) == 1:
        return _at_size(most, unit)
    return (
        f"Of {len(sizes)} sizes at which there are students with and without a teacher: {said}. "
        f"The largest difference that is no chance is {_difference(most)}, at {most.sizes} {unit}."
    )


def size_sentences(view: SweepView, sizes: Sequence[AtSize]) -> Iterable[str]:
    """What can be said of single sizes, and why no more; what the ``headline`` says is left out."""
    unit = UNITS.get(view.axes.x, "")
    for each in sizes:
        if each.is_told and len(sizes) > 1:
            yield _at_size(each, unit)
        elif each.verdict == "cannot tell, other settings differ":
            yield (
                f"At {each.sizes} {unit} {_the_two(each)}: {_difference(each)}. That is no answer "
                f"on distillation: the two differ in {apart_words(each.apart)} as well, and of one "
                f"kind fewer than {LEAST_OF_A_KIND} students of this size learned anything."
            )
        elif each.verdict == "cannot tell, at chance level":
            yield _of_those_at_chance(each, unit)


def chance_sentences(view: SweepView, examples: int | None) -> Iterable[str]:
    """Which students did not learn."""
    chance = ChanceLevel(view.meta.num_classes, examples)
    found = [r for r in view.complete if chance.has(r.metrics.get("accuracy", math.nan))]
    if found:
        ids = " ".join(result.trial_id for result in found[:_MOST_IDS])
        more = f" and {len(found) - _MOST_IDS} more" if len(found) > _MOST_IDS else ""
        they = "It" if len(found) == 1 else "They"
        yield (
            f"{counted(len(found), 'complete student')} cannot be told from guessing, of "
            f"{view.meta.num_classes} classes: {ids}{more}. {they} did not learn, as where a "
            "training diverges, and of such no verdict by size is given."
        )


def _at_size(each: AtSize, unit: str) -> str:
    said = (
        f"At {each.sizes} {unit} {_AT_SIZE[each.verdict]}: {_the_two(each)}. The difference is "
        f"{_difference(each)}"
    )
    if each.num_distilled != each.num_undistilled:
        luck = f"{100 * each.by_luck:+.2f}"
        said += (
            f", of which luck explains {luck}: the numbers of tries differ"
            if each.by_luck * each.difference > 0
            else f", against luck: the numbers of tries differ, which alone would make {luck}"
        )
    if each.apart:
        said += f". The two differ in {apart_words(each.apart)} as well: each is the best found"
    return f"{said}."


def _the_two(each: AtSize) -> str:
    """The best of each kind with its accuracy."""
    one = "the only one" if each.num_distilled == 1 else f"the best of {each.num_distilled}"
    other = "the only one" if each.num_undistilled == 1 else f"the best of {each.num_undistilled}"
    return (
        f"{one} with a teacher, taught by {each.strategy}, reached "
        f"{_accuracy(each.distilled, each.distilled_interval)}, and {other} without "
        f"{_accuracy(each.undistilled, each.undistilled_interval)}"
    )


def _of_those_at_chance(each: AtSize, unit: str) -> str:
    with_one = f"{each.distilled_id}, taught by {each.strategy}, with {100 * each.distilled:.2f}%"
    without = f"{each.undistilled_id}, without a teacher, with {100 * each.undistilled:.2f}%"
    if each.distilled_at_chance and each.undistilled_at_chance:
        said = f"the best of either kind are at chance level: {with_one}, and {without}"
    elif each.distilled_at_chance:
        said = f"the best with a teacher is at chance level: {with_one}, beside {without}"
    else:
        said = f"the best without a teacher is at chance level: {without}, beside {with_one}"
    also = f" The two differ in {apart_words(each.apart)} as well." if each.apart else ""
    return f"At {each.sizes} {unit} {said}. That is no answer on distillation.{also}"


def pair_sentences(pairs: Iterable[Paired]) -> Iterable[str]:
    """A sentence for each strategy of which pairs say something."""
    for pair in pairs:
        if pair.verdict == "cannot tell":
            continue
        yield (
            f"Against no teacher and with all else the same, {pair.strategy} changed the accuracy "
            f"by {100 * pair.difference:+.2f} percentage points (95% interval "
            f"{between(pair.interval)}, of {_pairs(pair)}), so that "
            f"{_OF_PAIRS[pair.verdict]}.{at_chance_words(pair.num_at_chance, pair.num_trials)}"
        )


def _pairs(pair: Paired) -> str:
    """``3 pairs of trials``; where several are alike in all settings their means are paired."""
    said = f"{counted(pair.num_pairs, 'pair')} of trials"
    if pair.num_trials == 2 * pair.num_pairs:
        return said
    return f"{said}, {pair.num_trials} in all, of those alike the mean"


def _cannot_compare(view: SweepView, examples: int | None) -> str:
    """Why there is nothing to compare, and what there is instead."""
    students = [result for result in view.complete if "accuracy" in result.metrics]
    if not students:
        return "No student is complete yet: nothing can be said of distillation."
    without = [result for result in students if strategy_label(result) == NONE]
    best = max(students, key=lambda result: result.metrics["accuracy"])
    reached = _accuracy(best.metrics["accuracy"], accuracy_interval(best, examples))
    if not without or len(without) == len(students):
        kind, other = ("with", "without") if not without else ("without", "with")
        lacks = "it has no control: " if not without else ""
        return (
            f"This sweep cannot tell whether distillation helped, because {lacks}no complete "
            f"student was trained {other} a teacher. The best of "
            f"{counted(len(students), 'student')} {kind} one reached {reached}."
        )
    num = len(size_classes(students, view.axes.x))
    return (
        "This sweep cannot tell whether distillation helped: it has "
        f"{counted(len(students) - len(without), 'student')} with a teacher and {len(without)} "
        f"without one, but at none of its {num} sizes both. The best of all reached {reached}."
    )


def _difference(each: AtSize) -> str:
    return f"{100 * each.difference:+.2f} percentage points (95% interval {between(each.interval)})"


def _accuracy(share: float, interval: Sequence[float] | None) -> str:
    sure = "unknown" if interval is None else interval_text(interval, " to ")
    return f"{100 * share:.2f}% (95% interval {sure})"
