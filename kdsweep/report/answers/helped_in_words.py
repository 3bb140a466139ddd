"""Did distillation help against the control, by how much and how surely."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict

from kdsweep.report.answers.confirmed import Told
from kdsweep.report.answers.helped import LEAST_OF_A_KIND, AtSize, Paired, by_size, paired
from kdsweep.report.answers.helped_sentences import (
    chance_sentences,
    headline,
    pair_sentences,
    size_sentences,
)
from kdsweep.report.answers.kd_control import ControlPair, control_pairs, control_sentence
from kdsweep.report.answers.section import (
    Section,
    Table,
    between,
    cells,
    percent_with,
    points,
    spread,
)
from kdsweep.report.pictures.view import SweepView
from kdsweep.results.noise import validation_examples


def helped(view: SweepView, confirmation: Told | None = None) -> Section:
    """The answer in words, a table by size, and one of pairs; what was confirmed comes first."""
    examples = validation_examples(view.meta, view.results)
    num_classes = view.meta.num_classes
    sizes, pairs = by_size(view, examples), paired(view.results, examples, num_classes)
    control = control_pairs(view.results, examples, num_classes)
    tables = []
    if sizes:
        rows = [
            cells(s.sizes, percent_with(s.undistilled, s.undistilled_interval), s.num_undistilled,
                  percent_with(s.distilled, s.distilled_interval), s.strategy, s.num_distilled,
                  points(s.difference), between(s.interval), points(s.by_luck), s.verdict)
            for s in sizes
        ]  # fmt: skip
        header = (str(view.axes.x), "best without", "n", "best distilled", "strategy", "n",
                  "difference", "95% interval", "by luck", "distillation")  # fmt: skip
        tables.append(Table(header, tuple(rows), _note(view, examples)))
    if pairs:
        rows = [
            cells(p.strategy, p.num_pairs, points(p.difference), spread(p.deviation),
                  between(p.interval), p.verdict)
            for p in pairs
        ]  # fmt: skip
        names = (
            "strategy",
            "pairs",
            "mean difference",
            "deviation",
            "95% interval",
            "distillation",
        )
        note = (
            "Trials that differ from one without a teacher in their strategy alone, in percentage "
            "points. Of several pairs the interval is Student's t; of one it is binomial."
        )
        tables.append(Table(names, tuple(rows), note))
    return Section(
        key="helped", title="Did distillation help?", tables=tuple(tables),
        sentences=(*_confirmed(confirmation),
                   *_sentences(view, sizes, pairs, control, examples, confirmation)),
        numbers={
            "validation_examples": examples, "replicates": view.meta.replicates,
            "by_size": [{**asdict(s), "verdict": s.verdict} for s in sizes],
            "paired": [{**asdict(p), "verdict": p.verdict} for p in pairs],
            "controls": [{**asdict(c), "verdict": c.verdict} for c in control],
        },
    )  # fmt: skip


def _confirmed(confirmation: Told | None) -> Iterable[str]:
    if confirmation is not None:
        yield from confirmation.helped
        if confirmation.helped:
            yield (
                "That is of fresh seeds and test data, and is the answer. What follows is what the "
                "sweep alone would say, of the seeds by which its best were chosen."
            )


def _sentences(
    view: SweepView,
    sizes: Sequence[AtSize],
    pairs: Sequence[Paired],
    control: Sequence[ControlPair],
    examples: int | None,
    confirmation: Told | None,
) -> Iterable[str]:
    yield headline(view, sizes, examples)
    yield from (control_sentence(pair, examples) for pair in control)
    yield from size_sentences(view, sizes)
    yield from chance_sentences(view, examples)
    # What the controls say is said already.
    said = {(pair.strategy, pair.num_seeds, pair.difference) for pair in control}
    yield from pair_sentences(
        pair for pair in pairs if (pair.strategy, pair.num_pairs, pair.difference) not in said
    )
    if view.meta.replicates == 1 and confirmation is None:
        yield (
            "Each student was trained once, so that the luck of its seed is in no interval here. "
            "What a sweep chooses as its best is also in part its luckiest: train the front again "
            "with fresh seeds before you rely on a difference (kdsweep confirm)."
        )
    if examples is None and view.meta.replicates == 1:
        yield (
            "How many validation examples there are does not follow from the accuracies, so that "
            "no interval can be given."
        )


def _note(view: SweepView, examples: int | None) -> str:
    if view.meta.replicates > 1:
        of = f"over {view.meta.replicates} seeds (Welch's t)"
    elif examples is not None:
        of = f"of {examples:,} validation examples (Newcombe's, for independent samples)"
    else:
        of = "unknown"
    luck = (
        "; by luck: what the best of more students is expected to be ahead by if all were alike"
        if examples is not None
        else ""
    )
    return (
        "n students of each kind, and below the accuracy of the best its 95% interval; differences "
        f"in percentage points, their intervals {of}{luck}. "
        "A verdict is given where the interval, less what luck explains, does not hold zero; of "
        f"twenty such intervals one misses. None is given where other settings of the best differ "
        f"and there are fewer than {LEAST_OF_A_KIND} of a kind, or where no student of a kind is "
        "above chance level; beside others those at chance level are not counted."
    )
