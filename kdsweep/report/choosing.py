"""A student chosen from the records of a run, with what the choice is explained by."""

from collections.abc import Sequence
from dataclasses import dataclass

from kdsweep.report.axes import teacher_metrics
from kdsweep.report.choice import Facts
from kdsweep.results.latencies import Measured, in_quiet
from kdsweep.results.limits import bytes_of
from kdsweep.results.noise import validation_examples
from kdsweep.results.record import TrialResult
from kdsweep.results.select import Choice, Prefer, select
from kdsweep.results.store import RunStore


@dataclass(frozen=True)
class Asked:
    """The limits and the preference that somebody chooses by; see ``kdsweep select``."""

    max_params: float | None = None
    max_macs: float | None = None
    max_size_kb: float | None = None
    """Of 1000 bytes."""
    max_latency_ms: float | None = None
    min_accuracy: float | None = None
    within: float | None = None
    """How far below the teacher's accuracy it may be."""
    prefer: Prefer = "accuracy"
    ignore_constraints: bool = False

    @property
    def by_latency(self) -> bool:
        """Whether a latency decides, so that it has to be one that was measured alone."""
        return self.max_latency_ms is not None or self.prefer == "latency"


@dataclass(frozen=True)
class Found:
    """A choice, what it is explained by, and the latencies where these decided it."""

    choice: Choice
    facts: Facts
    measured: Measured | None


def choose(store: RunStore, results: Sequence[TrialResult], asked: Asked) -> Found:
    """The best student of ``results``, all that the run has, by what is ``asked``.

    Raises:
        ResultError: a limit is not a number, the teacher's accuracy is needed and not known, or
            ``latency.json`` is needed and damaged.
    """
    meta = store.meta
    measured = in_quiet(store.directory, results) if asked.by_latency else None
    judged = results if measured is None else measured.results
    teacher = teacher_metrics(meta, judged)
    choice = select(
        judged, meta.objectives,
        max_params=asked.max_params, max_macs=asked.max_macs,
        max_size_bytes=None if asked.max_size_kb is None else bytes_of(asked.max_size_kb),
        max_latency_ms=asked.max_latency_ms, min_accuracy=asked.min_accuracy,
        within=asked.within, teacher_accuracy=(teacher or {}).get("accuracy"),
        constraints={} if asked.ignore_constraints else meta.constraints, prefer=asked.prefer,
    )  # fmt: skip
    return Found(
        choice, Facts(meta.objectives, teacher, validation_examples(meta, judged)), measured
    )
