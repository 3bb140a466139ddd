"""The teacher that an exported student had, and how good it is on which data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kdsweep.report.axes import teacher_metrics
from kdsweep.results.meta import RunMeta
from kdsweep.results.record import TrialResult

_IDENTITY = ("model", "weights", "train", "seed")


@dataclass(frozen=True)
class Taught:
    """The first teacher of a trial: its metrics as records have them, none where unknown."""

    metrics: Mapping[str, float] = field(default_factory=dict)
    is_of_sweep: bool = True
    """Whether it is the one that the run notes as its own, and that confirmations measure."""


def taught(meta: RunMeta, results: Sequence[TrialResult], result: TrialResult) -> Taught:
    """Who taught ``result``, by the records of a run, whose trials may differ in their teachers."""
    records = [each for each in results if each.role == "teacher" and each.metrics]
    if len(records) < 2:
        return Taught(teacher_metrics(meta, records) or {})
    own = "" if meta.teacher is None else f"teacher-{meta.teacher.hash[:8]}"
    wanted = _identity(result, result)
    found = [each for each in records if _identity(each, result) == wanted]
    # An additional teacher of the same network cannot be told from the trial's own otherwise.
    found.sort(key=lambda each: each.trial_id != own)
    if not found:
        return Taught(is_of_sweep=False)
    return Taught(found[0].metrics, found[0].trial_id == own)


def _identity(record: TrialResult, result: TrialResult) -> list[Any]:
    """What tells a teacher from others; of an additional one records have the network alone."""
    teacher = record.trial.get("teacher")
    if not result.trial.get("teacher"):
        additional = record.trial.get("teachers") or {}
        first = next(iter(additional.values()), None) if record is result else teacher
        return [(first or {}).get("model")]
    return [(teacher or {}).get(key) for key in _IDENTITY]
