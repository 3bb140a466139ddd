"""The switchboard between trials and lanes: one light actor per sweep.

It imports nothing but the standard library, so that it is up before anything else is.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

Job = dict[str, Any]
"""What a lane is asked to do: ``key`` names it, ``trial`` is the resolved trial.

``after`` may name a job that must have ended before; others are handed out meanwhile. ``rungs``
are the epochs after which its lane waits to hear whether the job goes on.
"""

Answer = dict[str, Any]
"""Whether a job ``goes_on`` after a rung, and ``why`` not."""

HEARTBEAT_S = 30.0
"""A trial without news says at least this often that it is still there."""


@dataclass
class _Progress:
    """What is known of one job, and who waits to hear more."""

    job: Job
    lane: str | None = None
    epochs: list[dict[str, Any]] = field(default_factory=list)
    teacher_epochs: list[dict[str, Any]] = field(default_factory=list)
    outcome: dict[str, Any] | None = None
    stopped: bool = False
    attempts: int = 0
    at_rung: dict[str, Any] | None = None
    rung_told: bool = False
    answers: dict[int, Answer] = field(default_factory=dict)
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    news: asyncio.Event = field(default_factory=asyncio.Event)


class Switchboard:
    """Hands jobs to whichever lane is free, and reports back to whoever asked for them.

    Every method is a coroutine on one event loop, so that nothing needs a lock and a waiting
    call costs nothing.
    """

    def __init__(self, *, max_failures: int = 2) -> None:
        self._max_failures = max_failures
        self._waiting: deque[str] = deque()
        self._jobs: dict[str, _Progress] = {}
        self._lanes: dict[str, dict[str, Any]] = {}
        self._assigned: dict[str, list[str]] = {}
        self._lives: dict[str, int] = {}
        self._forgotten: set[str] = set()
        self._changed = asyncio.Event()
        self._closed = False
        self._why_closed = "the sweep has ended"

    # --- what a lane calls

    async def hello(self, lane: str, about: dict[str, Any]) -> None:
        """A lane is up; what it had in hand when it was lost goes to the front of the queue."""
        self._lanes[lane] = about
        self._give_back(lane, "its worker died")
        self._wake()

    async def take(self, lane: str, after: int) -> tuple[int, Job] | None:
        """The lane's next job after the ``after`` it has had; ``None`` when the sweep is over.

        The first to ask for a job that the lane does not yet have takes one from the queue: with
        several workers in a lane, all of them get the same jobs in the same order. A job that the
        others have ended without this one is passed over.
        """
        life = self._lives.get(lane, 0)
        # A call outlives the worker that made it: what it took then, nobody would train.
        while not self._closed and self._lives.get(lane, 0) == life:
            had = self._assigned.setdefault(lane, [])
            if after < len(had):
                progress = self._jobs.get(had[after])
                after += 1
                if progress is not None and progress.outcome is None:
                    return after, progress.job
            elif (key := self._first_ready()) is not None:
                self._waiting.remove(key)
                self._jobs[key].lane = lane
                had.append(key)
                self._wake()
            else:
                await self._changed.wait()
        return None

    async def report(
        self, key: str, epochs: list[dict[str, Any]], of_teacher: bool = False
    ) -> bool:
        """Epochs of a job; the answer is whether to go on."""
        progress = self._jobs.get(key)
        if progress is None:
            return False
        (progress.teacher_epochs if of_teacher else progress.epochs).extend(epochs)
        progress.news.set()
        return not (progress.stopped or self._closed)

    async def reach(self, key: str, epochs: list[dict[str, Any]]) -> Answer:
        """As ``report``, where the last of the epochs is at a rung: waits for the answer.

        What has been answered once is not asked again, as when a lane was lost after its rung.
        """
        progress = self._jobs.get(key)
        if progress is None:
            return {"goes_on": False, "why": None}
        epoch, life = epochs[-1], progress.attempts
        progress.epochs.extend(epochs)
        if epoch["epoch"] not in progress.answers:
            progress.at_rung, progress.rung_told = epoch, False
            progress.news.set()
        while epoch["epoch"] not in progress.answers:
            # A call outlives the worker that made it; and nobody answers at the end of a sweep.
            over = progress.stopped or self._closed or progress.outcome is not None
            if over or progress.attempts != life:
                return {"goes_on": False, "why": None}
            progress.answered.clear()
            await progress.answered.wait()
        return progress.answers[epoch["epoch"]]

    async def finish(
        self, key: str, outcome: dict[str, Any], epochs: Sequence[dict[str, Any]] = ()
    ) -> None:
        """The end of a job, with its last epochs."""
        progress = self._jobs.get(key)
        if progress is not None and progress.outcome is None:
            progress.epochs.extend(epochs)
            progress.outcome = outcome
            progress.news.set()
            progress.answered.set()
            self._wake()

    async def finish_and_take(
        self,
        key: str,
        outcome: dict[str, Any],
        epochs: Sequence[dict[str, Any]],
        lane: str,
        after: int,
    ) -> tuple[int, Job] | None:
        """``finish`` and then ``take``, in one call."""
        await self.finish(key, outcome, epochs)
        return await self.take(lane, after)

    # --- what a trial calls

    async def submit(self, job: Job, ended: str | None = None) -> None:
        """Put a job at the end of the queue; one that is there already goes on as it is.

        ``ended`` is the caller's last job, to be forgotten: a call less than to say so alone.

        The second time it comes from a trial whose own actor died, not its lane, or from an actor
        that Tune started too many. A job that has ended does not begin again.
        """
        if ended is not None:
            await self.forget(ended)
        if job["key"] in self._jobs or job["key"] in self._forgotten:
            if job["key"] in self._jobs:
                # The actor that was told of a rung may be the one that died.
                self._jobs[job["key"]].rung_told = False
            return
        progress = self._jobs[job["key"]] = _Progress(job)
        if self._closed:
            progress.outcome = {"status": "stopped", "error": self._why_closed}
            return
        self._waiting.append(job["key"])
        self._wake()

    async def look(self, key: str) -> dict[str, Any]:
        """What is known of a job now, all its epochs included."""
        return self._told(self._jobs[key], 0)

    async def news(self, key: str, seen: int, every_s: float) -> dict[str, Any]:
        """What happened to a job after its first ``seen`` epochs.

        Waits for the outcome or a rung, but no longer than ``every_s`` once there is an epoch to
        tell of, and ``HEARTBEAT_S`` if there is none.
        """
        progress, loop = self._jobs[key], asyncio.get_running_loop()
        start = loop.time()
        while progress.outcome is None and (progress.at_rung is None or progress.rung_told):
            until = every_s if len(progress.epochs) > seen else HEARTBEAT_S
            left = start + until - loop.time()
            if left <= 0:
                break
            progress.news.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(progress.news.wait(), left)
        progress.rung_told = True
        return self._told(progress, seen)

    async def forget(self, key: str) -> None:
        """Drop a finished job."""
        self._jobs.pop(key, None)
        self._forgotten.add(key)
        with suppress(ValueError):
            self._waiting.remove(key)

    async def stop(self, key: str) -> None:
        """Ask the lane of a job to stop after the epoch it is in."""
        progress = self._jobs.get(key)
        if progress is not None:
            progress.stopped = True
            progress.answered.set()

    async def answer(self, key: str, epoch: int, answer: Answer) -> None:
        """Whether a job goes on after its rung at an epoch."""
        progress = self._jobs.get(key)
        if progress is not None:
            progress.answers[epoch] = answer
            progress.at_rung = None
            progress.answered.set()

    # --- what the driver calls

    async def lanes(self) -> dict[str, dict[str, Any]]:
        """What every lane that is up said of itself."""
        return dict(self._lanes)

    async def lost(self, lanes: list[str], why: str) -> None:
        """These lanes will not come back: what they had in hand goes to others."""
        for lane in lanes:
            self._lanes.pop(lane, None)
            self._give_back(lane, why)
        self._wake()

    async def close(self) -> None:
        """The sweep is over: lanes that wait for a job go home."""
        self._closed = True
        for progress in self._jobs.values():
            progress.answered.set()
        self._wake()

    async def abort(self, why: str) -> None:
        """End every job here and now, and take no more: the sweep is cut short."""
        self._waiting.clear()
        self._why_closed = why
        for progress in self._jobs.values():
            if progress.outcome is None:
                progress.outcome = {"status": "stopped", "error": why}
                progress.news.set()
        await self.close()

    @staticmethod
    def _told(progress: _Progress, seen: int) -> dict[str, Any]:
        return {
            "epochs": progress.epochs[seen:],
            "last_teacher_epoch": progress.teacher_epochs[-1] if progress.teacher_epochs else None,
            "outcome": progress.outcome,
            "lane": progress.lane,
            "at_rung": progress.at_rung,
        }

    def _give_back(self, lane: str, why: str) -> None:
        """What a lane had in hand goes back to the queue; whoever asked for more is sent away."""
        self._lives[lane] = self._lives.get(lane, 0) + 1
        for key in self._assigned.pop(lane, []):
            progress = self._jobs.get(key)
            if progress is not None and progress.outcome is None and progress.lane == lane:
                self._lost(key, progress, why)

    def _lost(self, key: str, progress: _Progress, why: str) -> None:
        progress.attempts += 1
        progress.lane = None
        progress.epochs.clear()
        progress.at_rung = None
        progress.answered.set()
        if progress.attempts > self._max_failures:
            progress.outcome = {
                "status": "failed",
                "error": f"given up after {progress.attempts} attempts: {why}",
            }
            progress.news.set()
        else:
            self._waiting.appendleft(key)

    def _first_ready(self) -> str | None:
        """The first job in the queue that need not come after one that has not ended."""
        for key in self._waiting:
            before = self._jobs.get(self._jobs[key].job.get("after") or "")
            if before is None or before.outcome is not None:
                return key
        return None

    def _wake(self) -> None:
        """Everyone who waits for a job looks again."""
        self._changed.set()
        self._changed = asyncio.Event()
