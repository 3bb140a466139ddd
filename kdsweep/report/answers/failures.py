"""What failed and why, by reason."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from kdsweep.report.answers.alike import ChanceLevel
from kdsweep.report.answers.section import Section, Table, cells, counted
from kdsweep.report.pictures.view import SweepView
from kdsweep.results.noise import validation_examples
from kdsweep.results.record import TrialResult

_NUMBER = re.compile(r"0x[0-9a-fA-F]+|[-+]?\d+(?:[.,]\d+)*(?:[eE][-+]?\d+)?")
_LONGEST = 300


@dataclass(frozen=True)
class Reason:
    """Trials that failed in the same way but for numbers, and the first of them."""

    reason: str
    num: int
    example: str
    """The id of a trial."""
    error: str
    """What that one said."""


def reasons(results: Iterable[TrialResult]) -> list[Reason]:
    """Why trials failed, the most frequent first; errors that differ in numbers alone are one."""
    groups: dict[str, list[TrialResult]] = {}
    for result in results:
        if result.status == "failed" and result.role != "teacher":
            groups.setdefault(_kind(result.error), []).append(result)
    found = [
        Reason(kind, len(failed), failed[0].trial_id, (failed[0].error or "").strip()[:_LONGEST])
        for kind, failed in groups.items()
    ]
    return sorted(found, key=lambda each: (-each.num, each.reason))


def _kind(error: str | None) -> str:
    lines = (error or "").strip().splitlines()
    return _NUMBER.sub("#", lines[0])[:_LONGEST] if lines else "no reason is recorded"


def failures(view: SweepView) -> Section:
    """The answer in words, and a table of reasons."""
    trials = [result for result in view.results if result.role != "teacher"]
    found = reasons(trials)
    rows = tuple(cells(each.reason, each.num, each.example, each.error) for each in found)
    header = ("reason", "trials", "for example", "which said")
    return Section(
        key="failures", title="What failed, and why?",
        sentences=(*_sentences(trials, found), *_unlearned(view)),
        tables=(Table(header, rows),) if rows else (),
        numbers={
            "failed": sum(each.num for each in found), "trials": len(trials),
            "stopped": sum(result.status == "stopped" for result in trials),
            "interruptions": sum(len(result.interruptions) for result in trials),
            "reasons": [asdict(each) for each in found],
        },
    )  # fmt: skip


def _sentences(trials: Sequence[TrialResult], found: Sequence[Reason]) -> Iterable[str]:
    failed = sum(each.num for each in found)
    if failed:
        yield (
            f"{counted(failed, 'trial').capitalize()} of {len(trials)} failed, for "
            f"{counted(len(found), 'reason')}. The most frequent "
            f"({found[0].num} of {failed}): {found[0].reason}"
        )
    else:
        yield f"No trial of {len(trials)} failed."
    stopped = sum(result.status == "stopped" for result in trials)
    if stopped:
        yield (
            f"{counted(stopped, 'trial').capitalize()} was cut short with the sweep."
            if stopped == 1
            else f"{stopped} trials were cut short with the sweep."
        )
    cut = [result for result in trials if result.interruptions]
    if cut:
        times = sum(len(result.interruptions) for result in cut)
        yield (
            f"Lanes or sweeps ended while they trained {counted(len(cut), 'trial')}, "
            f"{times} time{'s' * (times != 1)} in all; what went on did so from a checkpoint."
        )


def _unlearned(view: SweepView) -> Iterable[str]:
    """That some came to their end without having learned, which is no failure of a trial."""
    chance = ChanceLevel(view.meta.num_classes, validation_examples(view.meta, view.results))
    num = sum(chance.has(result.metrics.get("accuracy", math.nan)) for result in view.complete)
    if num:
        yield (
            f"{counted(num, 'complete student').capitalize()} did not learn, though no error ended "
            "the training: see whether distillation helped."
        )
