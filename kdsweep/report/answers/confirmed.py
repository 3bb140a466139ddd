"""The front trained again with fresh seeds, beside the numbers of the sweep."""

import math
from dataclasses import dataclass

from kdsweep.report.answers.section import Cell, Section, Table, cells, percent
from kdsweep.report.confirmed import labels
from kdsweep.report.confirmed_sentences import on_distillation
from kdsweep.report.confirmed_sentences import sentences as in_words
from kdsweep.results.confirmation import OWN, Confirmation, Confirmed
from kdsweep.results.intervals import Summary


def confirmed(confirmation: "Told | None") -> Section | None:
    """The section, where there is a confirmation."""
    if confirmation is None:
        return None
    return Section(
        key="confirmed", title="What holds when the front is trained again?",
        sentences=confirmation.sentences, tables=(confirmation.table,),
    )  # fmt: skip


@dataclass(frozen=True)
class Told:
    """What a confirmation adds to a report: a table, what follows, what it says of distillation."""

    table: Table
    sentences: tuple[str, ...]
    helped: tuple[str, ...]


def told(found: Confirmation) -> Told:
    """A row for each student and control of a confirmation, and what follows in words."""
    header = (
        "trial", "student", "strategy", "sweep", "fresh seeds", "test", "minus its control",
        "95% interval", "P(front)",
    )  # fmt: skip
    note = (
        f"{found.place}: {len(found.confirms.seeds)} fresh seeds, mean and standard deviation; "
        "sweep and fresh seeds on validation data. The differences are in test accuracy, paired by "
        "seed, to a student of the same size without a teacher. P(front): how probably it is on "
        "the front of all these on test data, from 0 to 1, by the bootstrap over seeds."
    )
    rows = (_row(each, labels(found, position)) for position, each in enumerate(found.points))
    table = Table(header, tuple(rows), note)
    return Told(table, tuple(in_words(found)), tuple(on_distillation(found)))


def _row(each: Confirmed, named: tuple[str, str]) -> tuple[Cell, ...]:
    minus = each.minus.get(OWN)
    ends = None if minus is None or math.isnan(minus.half) else minus.interval
    return cells(
        " ".join(each.point.trial_ids),
        *named,
        percent(each.swept),
        _mean(each.validation),
        _mean(each.test),
        None if minus is None else Cell(f"{100 * minus.mean:+.2f}", minus.mean),
        None if ends is None else f"{100 * ends[0]:+.2f} to {100 * ends[1]:+.2f}",
        None if each.on_front is None else Cell(f"{each.on_front:.2f}", each.on_front),
    )


def _mean(summary: Summary | None) -> Cell:
    if summary is None or math.isnan(summary.mean):
        return Cell("-")
    spread = "" if math.isnan(summary.deviation) else f" ±{100 * summary.deviation:.2f}"
    return Cell(f"{100 * summary.mean:.2f}%{spread}", summary.mean)
