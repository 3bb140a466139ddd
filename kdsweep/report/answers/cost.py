"""What the sweep cost, and what ending trials early has saved."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from kdsweep.report.answers.section import Section, Table, cells, counted
from kdsweep.report.answers.sureness import mean_and_deviation
from kdsweep.report.labels import clock_words, money_words
from kdsweep.report.pictures.view import SweepView
from kdsweep.results.record import TrialResult


@dataclass(frozen=True)
class Cost:
    """Seconds of wall time, epochs of students, and money where it has a price."""

    wall_seconds: float
    epochs: int
    money: float | None
    num_complete: int
    mean_seconds: float | None
    deviation_seconds: float | None
    """Of the training of a complete trial."""
    num_pruned: int
    epochs_saved: int
    """That pruned trials would have trained to their end."""
    share_saved: float | None
    """Of all epochs that would have been trained without pruning."""
    teacher_seconds: float
    teacher_reused: bool


def cost_of(view: SweepView) -> Cost:
    """The sweep's cost, from its records."""
    trials = [result for result in view.results if result.role != "teacher"]
    complete = [result.seconds for result in trials if result.status == "complete"]
    mean, spread = mean_and_deviation(complete) if complete else (None, None)
    pruned = [result for result in trials if result.status == "pruned"]
    saved = sum(max(0, _planned(result) - len(result.epochs)) for result in pruned)
    meta = view.meta
    whole = meta.student_epochs + saved
    return Cost(
        wall_seconds=meta.wall_seconds, epochs=meta.student_epochs, money=meta.cost,
        num_complete=len(complete), mean_seconds=mean, deviation_seconds=spread,
        num_pruned=len(pruned), epochs_saved=saved, share_saved=saved / whole if whole else None,
        teacher_seconds=meta.teacher.seconds if meta.teacher else 0.0,
        teacher_reused=meta.teacher.reused if meta.teacher else False,
    )  # fmt: skip


def _planned(result: TrialResult) -> int:
    """The epochs that a trial would have had."""
    train: Any = result.trial.get("train")
    epochs = train.get("epochs") if isinstance(train, Mapping) else None
    return epochs if isinstance(epochs, int) else len(result.epochs)


def cost(view: SweepView) -> Section:
    """The answer in words, and a table."""
    found = cost_of(view)
    said = (
        f"{clock_words(found.wall_seconds)} of wall time and {found.epochs:,} epochs of students"
        f"{'' if found.money is None else f', {money_words(found.money)} in money'}."
    )
    sentences = [said]
    if found.num_pruned and found.share_saved is not None:
        sentences.append(
            f"{counted(found.num_pruned, 'trial').capitalize()} ended at a rung, which left out "
            f"{found.epochs_saved:,} epochs: {100 * found.share_saved:.0f}% of what "
            "there would have been."
        )
    if view.meta.teacher is not None:
        how = (
            "was found, and took none of this sweep's time"
            if found.teacher_reused
            else f"took {clock_words(found.teacher_seconds)}"
        )
        sentences.append(f"The teacher {how}.")
    each = None if found.mean_seconds is None else f"{found.mean_seconds:.3g} s"
    if found.deviation_seconds is not None:
        each = f"{each} ± {found.deviation_seconds:.2g} s"
    rows = [
        ("wall time", clock_words(found.wall_seconds)),
        ("epochs of students", f"{found.epochs:,}"),
        ("money", "not asked for" if found.money is None else money_words(found.money)),
        ("complete trials", f"{found.num_complete:,}"),
        ("time of a complete trial, mean and deviation", each or "-"),
        ("trials ended at a rung", f"{found.num_pruned:,}"),
        ("epochs that this left out", f"{found.epochs_saved:,}"),
        (
            "time of the teacher",
            clock_words(found.teacher_seconds)
            + (", when it was trained" if found.teacher_reused else ""),
        ),
    ]
    return Section(
        key="cost", title="What did it cost?", sentences=tuple(sentences),
        tables=(Table(("", ""), tuple(cells(*row) for row in rows)),), pictures=("hypervolume",),
        numbers=asdict(found),
    )  # fmt: skip
