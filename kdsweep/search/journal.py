"""What the driver writes down: one record per trial, to the run directory first, then to others."""

import logging
import threading
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kdsweep.report.labels import trial_name
from kdsweep.report.progress import Progress
from kdsweep.results.names import LOG_FILE, RESULT_FILE
from kdsweep.results.pareto import front
from kdsweep.results.record import ENDED, WAITING, EpochMetrics, Role, TrialResult
from kdsweep.results.replicates import Gathering
from kdsweep.results.store import RunStore
from kdsweep.search.room import Room
from kdsweep.search.teacher_record import teacher_meta, teacher_result
from kdsweep.search.trial_record import ended_with, with_cut
from kdsweep.spec import TrialSpec
from kdsweep.sweep_file import resolved
from kdsweep.tracking.tracker import Tracker

_log = logging.getLogger(__name__)

TRACK_RUNNING_EVERY_S = 10.0
"""How often MLflow hears of a trial that is still running."""


class Journal:
    """Keeps the records of a sweep's trials; the only writer of its run directory."""

    def __init__(
        self,
        store: RunStore,
        progress: Progress,
        tracker: Tracker | None,
        *,
        done: Sequence[TrialResult] = (),
        may_be_refused: bool = False,
        varied: Collection[str] | None = None,
    ) -> None:
        """Where the sweep ``may_be_refused`` nothing is written until ``begin_for_sure``; the
        dotted paths ``varied`` are what its trials are called by."""
        self._store, self.progress, self._tracker = store, progress, tracker
        self._lock, self._varied = threading.RLock(), varied
        self._open: dict[str, TrialResult] = {}
        self._kept: dict[str, tuple[int, str]] = {}
        self._unsure, self._held_back = may_be_refused, dict[str, TrialResult]()
        self._untold: list[TrialResult] = []
        self._told: dict[str, int] = {}
        self._left_open = 0
        self._tracked_at: dict[str, float] = {}
        self._said_where = False
        self._warned: set[str] = set()
        self.earlier = tuple(done)
        """Records of an earlier process, those of trials that were cut short among them."""
        self._cut_short = {r.trial_id: r for r in done if r.status not in ENDED}
        # What ended in this process is kept without its epochs.
        self.results: list[TrialResult] = [r for r in done if r.status in ENDED]
        self._gathering = Gathering(self.results)
        self._front = self._front_of(self.results)

    @property
    def log(self) -> Path:
        """``names.LOG_FILE`` of the run."""
        return self._store.directory / LOG_FILE

    @property
    def front(self) -> list[TrialResult]:
        """The front of what has ended so far."""
        return list(self._front)

    def begin(
        self,
        key: str,
        number: int,
        role: Role,
        trial: TrialSpec,
        changes: Mapping[str, Any],
        params: Mapping[str, Any],
        *,
        replicate: int = 0,
        replicates: int = 1,
    ) -> TrialResult:
        """A trial was proposed: it has a record from now on, whatever dies.

        The epochs of one that was cut short stay in it until its lane tells others.
        """
        plain, before = resolved(trial), self._cut_short.get(key)
        result = TrialResult(
            trial_id=key, number=number, role=role, status="running",
            point=number // replicates, replicate=replicate, replicates=replicates,
            name=trial_name(plain, params, varied=self._varied), trial=plain,
            changes=dict(changes), params=dict(params), started=time.time(),
            epochs=self.epochs_before(key),
            interruptions=() if before is None else with_cut(before),
        )  # fmt: skip
        with self._lock:
            self._open[key] = result
            self._keep(result)
        self.progress.trial_started(key, result.label)
        return result

    @property
    def is_held_back(self) -> bool:
        """Whether the sweep may still be refused."""
        return self._unsure

    def begin_for_sure(self) -> None:
        """The sweep is not refused: what was held back until now is written, and told."""
        with self._lock:
            self._unsure, held_back, self._held_back = False, self._held_back, {}
            for result in held_back.values():
                self._keep(result)
        self._tell()

    def _keep(self, result: TrialResult) -> None:
        if self._unsure:
            self._held_back[result.trial_id] = result
            return
        self._store.write(result)
        if result.status in ENDED:
            self._store.drop_checkpoints(result.trial_id)

    def epochs_before(self, key: str) -> tuple[EpochMetrics, ...]:
        """What an earlier process has noted down of a trial that was cut short with it."""
        before = self._cut_short.get(key)
        return () if before is None else before.epochs

    def interrupted(self, key: str, how: Sequence[str]) -> None:
        """How often a running trial has lost its lane in this process, and how."""
        with self._lock:
            before = self._cut_short.get(key)
            cut = () if before is None else with_cut(before, self._told.get(key, 0))
            all_of_them = (*cut, *how)
            self._open[key] = self._open[key].model_copy(update={"interruptions": all_of_them})

    def make_room(self, room: Room) -> None:
        """Have ``room`` look, and take the weights that it has given up out of the records."""
        with self._lock:
            ended, on_front = list(self.results), list(self._front)
        gone = room.look(ended, on_front)
        for record in self._store.read_some(gone):
            self._store.write(record.model_copy(update={"weights": None}))
        if gone:
            _log.info("weights given up for room: %s", ", ".join(gone))

    def keep_running(self, lane_of: Mapping[str, str]) -> None:
        """Write down how far the running trials are: a driver that dies cannot do it any more.

        ``lane_of`` says which living lane has a trial; those that none has are waiting for one.
        """
        for key in list(self._open):
            with self._lock:
                result = self._open.get(key)
                if result is None:
                    continue  # one at a time: meanwhile another may end
                lane = lane_of.get(key, WAITING)
                kept = len(result.epochs), lane
                if kept != self._kept.get(key):
                    result = self._open[key] = result.model_copy(update={"lane": lane})
                    self._keep(result)
                    self._kept[key] = kept
        self._store.sent(LOG_FILE)

    def epochs(
        self,
        key: str,
        reported: Sequence[Mapping[str, Any]],
        lane: str | None,
        resumed_after: int = 0,
    ) -> None:
        """Epochs of a running trial; one that is already known is a repeat after a restart.

        Those up to ``resumed_after`` its lane has not trained, but found in a checkpoint.
        """
        with self._lock:
            result = self._open[key]
            known = result.epochs if key in self._told else ()
            new = [EpochMetrics.model_validate(epoch) for epoch in reported]
            if new and not known:
                # Until now the trial may have waited: for a lane, or for its teacher.
                begun = time.time() - sum(epoch.seconds for epoch in new)
                result = result.model_copy(update={"started": begun})
            if new:
                self._told.setdefault(key, resumed_after)
                kept = {epoch.epoch: epoch for epoch in (*known, *new)}
                in_order = tuple(kept[number] for number in sorted(kept))
                result = result.model_copy(update={"epochs": in_order})
            result = self._open[key] = result.model_copy(update={"lane": lane or ""})
        if new and len(result.epochs) > len(known):
            self.progress.trial_epoch(key, result.epochs[-1], result.trial["train"]["epochs"])
            self._track_running(result)

    def trained(self, key: str) -> int:
        """Epochs of a running trial that no earlier process has trained."""
        with self._lock:
            if key not in self._told:
                return 0
            found = min(len(self.epochs_before(key)), self._told[key])
            return len(self._open[key].epochs) - found

    def trained_by_running(self) -> int:
        """``trained`` of all that run, or ran when the sweep ended."""
        with self._lock:
            return self._left_open + sum(map(self.trained, self._open))

    def end(self, key: str, outcome: Mapping[str, Any]) -> TrialResult:
        """A trial ended, well or not: its record is on disk when this returns."""
        with self._lock:
            result = self._open.pop(key)
            result = ended_with(result, outcome, weights=self._store.weights_name(key))
            self._keep(result)
            self._kept.pop(key, None)
            self._untold.append(result)
            # The epochs of thousands of trials are on disk, and would fill the memory.
            ended = result.model_copy(update={"epochs": ()})
            self.results.append(ended)
            point = self._gathering.add(ended)
            if point is not None and point.status == "complete":
                self._front = self._front_of([*self._front, point])
        self.warn(outcome.get("warnings") or ())
        self._tell()
        return result

    def _tell(self) -> None:
        """Whoever else listens hears what has ended, once it is sure that the sweep begins."""
        if self._unsure:
            return
        with self._lock:
            untold, self._untold = self._untold, []
        for result in untold:
            self.progress.trial_ended(result, self._front)
            if result.traceback and not self._said_where:
                self._said_where = True  # once: others may well fail in the same way
                where = f"its record, {self._store.trial_dir(result.trial_id) / RESULT_FILE}"
                self.progress.message(f"the whole traceback of a failed trial is in {where}")
            if self._tracker is not None:
                self._tracker.log(result)
                self._tracker.stands(self.results, self._front)

    def warn(self, sentences: Iterable[str]) -> None:
        """Show what a lane warned of, once however many lanes do, and put it into the log."""
        with self._lock:
            new = [each for each in dict.fromkeys(sentences) if each not in self._warned]
            self._warned |= set(new)
        for sentence in new:
            _log.warning(sentence)
            self.progress.message(f"warning: {sentence}")

    def end_open(self, why: str) -> None:
        """Everything that still runs is recorded as stopped, with the epochs that it had."""
        for key in list(self._open):
            self._left_open += self.trained(key)
            self.end(key, {"status": "stopped", "error": why})

    def data(self, outcome: Mapping[str, Any]) -> None:
        """The data that all trials share, once they were read: see ``train.outcome.Outcome``."""
        if self._store.meta.data_fingerprint is None:
            known = {key: outcome[key] for key in ("examples", "num_classes", "inputs")}
            self._store.update_meta(data_fingerprint=outcome["data"], **known)

    def teacher(self, card: Mapping[str, Any], trial: TrialSpec) -> None:
        """A teacher that the sweep's own trial names; the first of them goes into ``run.json``."""
        with self._lock:
            if self._store.meta.teacher is None:
                self._store.update_meta(teacher=teacher_meta(card))
        self._record_teacher(card, trial)

    def teacher_of(self, key: str, card: Mapping[str, Any]) -> None:
        """The one that a running trial learns from, where that is not the sweep's."""
        with self._lock:
            trial = TrialSpec.model_validate(self._open[key].trial)
        self._record_teacher(card, trial)

    def _record_teacher(self, card: Mapping[str, Any], trial: TrialSpec) -> None:
        result = teacher_result(card, trial)
        with self._lock:
            known = next((r for r in self.results if r.trial_id == result.trial_id), None)
            if known is not None:
                # A trial may tell of its teacher before the job that has measured it on test data.
                if not result.metrics.keys() - known.metrics.keys():
                    return
                self.results.remove(known)
            self._store.write(result)
            self.results.append(result)
        if self._tracker is not None:
            self._tracker.log(result)

    def _front_of(self, results: Sequence[TrialResult]) -> list[TrialResult]:
        meta = self._store.meta
        return front(results, meta.objectives, constraints=meta.constraints)

    def _track_running(self, result: TrialResult) -> None:
        now = time.monotonic()
        last = self._tracked_at.setdefault(result.trial_id, now)
        if self._tracker is not None and now - last >= TRACK_RUNNING_EVERY_S:
            self._tracked_at[result.trial_id] = now
            self._tracker.log(result)
