"""Whether distillation helped, in sentences: each with its number and how sure that is."""

from collections import Counter
from collections.abc import Iterable, Sequence

from kdsweep.report.answers.helped import NONE, AtSize, Paired, Verdict
from kdsweep.report.answers.section import between, counted
from kdsweep.report.axes import UNITS
from kdsweep.report.labels import strategy_label
from kdsweep.report.pictures.view import SweepView
from kdsweep.report.size_classes import size_classes
from kdsweep.report.table import interval_text
from kdsweep.results.noise import accuracy_interval

_COUNTED: dict[Verdict, str] = {
    "helped": "distillation helped at {}",
    "hurt": "distillation hurt at {}",
    "ahead, one seed": "the best student with a teacher is ahead at {}, with one seed each",
    "behind, one seed": "the best student with a teacher is behind at {}, with one seed each",
    "cannot tell": "the two cannot be told apart at {}",
}
_AT_SIZE: dict[Verdict, str] = {
    "helped": "distillation helped",
    "hurt": "distillation hurt",
    "ahead, one seed": "the best student with a teacher is ahead, with one seed each",
    "behind, one seed": "the best student with a teacher is behind, with one seed each",
    "cannot tell": "it cannot be told whether distillation helped",
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
    sure = [each for each in sizes if each.verdict != "cannot tell"]
    if not sure:
        most = max(sizes, key=lambda each: abs(each.difference))
        return (
            "This sweep cannot tell whether distillation helped. It has students with and without "
            f"a teacher at {counted(len(sizes), 'size')}, and nowhere is the best of the one kind "
            "farther from the best of the other than chance and the number of tries explain. The "
            f"largest difference is {_difference(most)}, at {most.sizes} {unit}."
        )
    most = max(sure, key=lambda each: abs(each.difference))
    if len(sizes) == 1:
        return _at_size(most, unit)
    num = Counter(each.verdict for each in sizes)
    said = "; ".join(words.format(num[kind]) for kind, words in _COUNTED.items() if num[kind])
    return (
        f"Of {len(sizes)} sizes at which there are students with and without a teacher: {said}. "
        f"The largest difference that is no chance is {_difference(most)}, at {most.sizes} {unit}."
    )


def size_sentences(view: SweepView, sizes: Sequence[AtSize]) -> Iterable[str]:
    """What can be said of single sizes; of one size alone the ``headline`` has said it."""
    unit = UNITS.get(view.axes.x, "")
    if len(sizes) > 1:
        yield from (_at_size(each, unit) for each in sizes if each.verdict != "cannot tell")


def _at_size(each: AtSize, unit: str) -> str:
    one = "the only one" if each.num_distilled == 1 else f"the best of {each.num_distilled}"
    other = "the only one" if each.num_undistilled == 1 else f"the best of {each.num_undistilled}"
    said = (
        f"At {each.sizes} {unit} {_AT_SIZE[each.verdict]}: {one} with a teacher, taught by "
        f"{each.strategy}, reached {_accuracy(each.distilled, each.distilled_interval)}, and "
        f"{other} without "
        f"{_accuracy(each.undistilled, each.undistilled_interval)}. The difference is "
        f"{_difference(each)}"
    )
    if each.num_distilled == each.num_undistilled:
        return f"{said}."
    return f"{said}, of which luck explains {100 * each.by_luck:+.2f}: the numbers of tries differ."


def pair_sentences(pairs: Iterable[Paired]) -> Iterable[str]:
    """A sentence for each strategy of which pairs say something."""
    for pair in pairs:
        if pair.verdict == "cannot tell":
            continue
        yield (
            f"Against no teacher and with all else the same, {pair.strategy} changed the accuracy "
            f"by {100 * pair.difference:+.2f} percentage points (95% interval "
            f"{between(pair.interval)}, of {counted(pair.num_pairs, 'pair')} of trials), so that "
            f"{_OF_PAIRS[pair.verdict]}."
        )


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
