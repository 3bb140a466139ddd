"""A trial that has ended, in one line of a log."""

import re
from collections.abc import Sequence

from kdsweep.report.table import value_text
from kdsweep.results.pareto import Objectives
from kdsweep.results.record import EpochMetrics, Metric, TrialResult

_LEAST_NAME = 20
"""Columns that the name gets before anything that can be missed."""
_UNITS: dict[Metric, str] = {
    "accuracy": "", "loss": " nats", "params": " params", "macs": " MACs",
    "size_bytes": " bytes", "latency_ms": " ms",
}  # fmt: skip


def trial_line(
    result: TrialResult,
    objectives: Objectives,
    front: Sequence[TrialResult],
    *,
    counted: str,
    width: int = 80,
) -> str:
    """``[ 3/42] complete  00002  kd w8  93.10%  2,784 params  front  lr 0.003  1.2 s``.

    A long name is cut to fit ``width``, and what is in it can be read in the trial's record. A
    failure has its whole reason, however long that is. ``front`` marks a trial that is on it now.
    """
    start = f"[{counted}] {result.status:<8}  {result.trial_id}  "
    if result.status == "failed":
        reason = " ".join((result.error or "no reason given").split())
        return f"{start}{result.label}  {reason}  {result.seconds:.1f} s"
    said = [
        f"{value_text(metric, result.metrics[metric])}{_UNITS[metric]}"
        for metric in objectives
        if metric in result.metrics
    ]
    if result.status == "pruned":
        said.append(f"epoch {len(result.epochs)}/{result.trial['train']['epochs']}")
    room = width - len(start) - sum(2 + len(each) for each in said)
    least = min(len(result.label), _LEAST_NAME)
    for more in _that_can_be_missed(result, front):
        if room - 2 - len(more) >= least:
            said.append(more)
            room -= 2 + len(more)
    return "  ".join([start + shortened(result.label, room), *said])


def shortened(label: str, room: int) -> str:
    """A trial's name in at most ``room`` columns (12 at least), which replicate it is kept."""
    room = max(12, room)
    if len(label) <= room:
        return label
    which = re.search(r" \(\d+/\d+\)$", label)
    end = which[0] if which else ""
    return f"{label[: room - len(end) - 1].rstrip()}…{end}"


def _that_can_be_missed(result: TrialResult, front: Sequence[TrialResult]) -> list[str]:
    """The most important first."""
    lr = (result.trial.get("train") or {}).get("lr")
    said = ["front"] if any(result.trial_id in member.trial_ids for member in front) else []
    said += [] if lr is None else [f"lr {lr:.3g}"]
    return [*said, f"{result.seconds:.1f} s"]


def epoch_words(epoch: EpochMetrics) -> str:
    """``accuracy 93.04%, loss 0.2572 (total 2.2000, hard 0.2344), 0.01 s``."""
    terms = ", ".join(f"{name} {value:.4f}" for name, value in epoch.train.items())
    return f"accuracy {epoch.accuracy:.2%}, loss {epoch.loss:.4f} ({terms}), {epoch.seconds:.2f} s"
