"""The front trained again with fresh seeds, beside the numbers of the sweep."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from kdsweep.report.answers.section import Cell, Section, Table, cells, percent
from kdsweep.report.confirmed import labels
from kdsweep.report.confirmed_sentences import on_distillation
from kdsweep.report.confirmed_sentences import sentences as in_words
from kdsweep.results.confirmation import OWN, TEST_ACCURACY, Confirmation, Confirmed
from kdsweep.results.confirmations import best_first
from kdsweep.results.intervals import Summary


def confirmed(confirmation: "Told | None") -> Section | None:
    """The section, where there is a confirmation."""
    if confirmation is None:
        return None
    return Section(
        key="confirmed", title="What holds when the front is trained again?",
        sentences=confirmation.sentences, tables=confirmation.tables,
    )  # fmt: skip


@dataclass(frozen=True)
class Told:
    """What confirmations add to a report: a table of each, what follows, of distillation too."""

    tables: tuple[Table, ...]
    sentences: tuple[str, ...]
    helped: tuple[str, ...]
    """What the best of them says of distillation."""


def told(confirmations: Sequence[Confirmation]) -> Told | None:
    """What the confirmations of a sweep have found, see ``best_first``; none where there is none.

    Of several each is named before what follows from it.
    """
    found = best_first(confirmations)
    if not found:
        return None
    sentences: list[str] = []
    for each in found:
        sentences += [f"{_called(each)}:"] if len(found) > 1 else []
        sentences += in_words(each)
    return Told(tuple(map(_table, found)), tuple(sentences), tuple(on_distillation(found[0])))


def _called(found: Confirmation) -> str:
    also = ", trained on validation data as well" * found.confirms.with_validation
    return f"{found.meta.name}, {len(found.confirms.seeds)} fresh seeds{also}"


def _table(found: Confirmation) -> Table:
    """A row for each student and control, and one for the teacher."""
    header = (
        "trial", "student", "strategy", "sweep", "fresh seeds", "test", "minus its control",
        "95% interval", "P(front)",
    )  # fmt: skip
    again = (
        "the sweep's accuracy on validation data, that of fresh seeds on none, as they have "
        "learned from it"
        if found.confirms.with_validation
        else "sweep and fresh seeds on validation data"
    )
    note = (
        f"{_called(found)} ({found.place}): mean and standard deviation; {again}. The differences "
        "are in test accuracy, paired by seed, to a student of the same size without a teacher. "
        "P(front): how probably it is on the front of all these on test data, from 0 to 1, by the "
        "bootstrap over seeds."
    )
    rows = [_row(each, labels(found, position)) for position, each in enumerate(found.points)]
    if found.teacher:
        known = found.teacher
        test = percent(known.get(TEST_ACCURACY))
        rows.append(cells("", "teacher", "", percent(known["accuracy"]), "", test, "", "", ""))
    return Table(header, tuple(rows), note)


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
