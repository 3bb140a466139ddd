"""The switchboard between trials and lanes: one light actor per sweep.

It imports nothing but the standard library, so that it is up before anything else is.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from kdsweep.search.job import Answer, Job, JobState, Loss

HEARTBEAT_S = 30.0
"""A trial without news says at least this often that it is still there."""


class Switchboard:
    """Hands jobs to whichever lane is free, and reports back to whoever asked for them.

    Every method is a coroutine on one event loop, so that nothing needs a lock and a waiting
    call costs nothing.
    """

    def __init__(self, *, max_failures: int = 2) -> None:
        self._max_failures = max_failures
        self._waiting: deque[str] = deque()
        self._jobs: dict[str, JobState] = {}
        self._lanes: dict[str, dict[str, Any]] = {}
        self._assigned: dict[str, list[str]] = {}
        self._lives: dict[str, int] = {}
        self._forgotten: set[str] = set()
        self._ended: dict[str, int] = {}
        self._events: list[str] = []
        self._changed = asyncio.Event()
        self._closed = False
        self._why_closed = "the sweep has ended"

    # --- what a lane calls

    async def hello(self, lane: str, about: dict[str, Any]) -> None:
        """A lane is up; what it had in hand when it was lost goes to the front of the queue."""
        self._lanes[lane] = about
        self._ended.setdefault(lane, 0)
        self._give_back(lane, Loss("its worker died"))
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
                about = self._lanes.get(lane, {})
                self._jobs[key].log = f"{about['node']}:{about['log']}" if "log" in about else ""
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

    async def resumed(self, key: str, epochs: Sequence[dict[str, Any]]) -> None:
        """A lane goes on with a job after these epochs, which it has not trained."""
        progress = self._jobs.get(key)
        if progress is not None:
            progress.resumed(epochs)
            progress.news.set()
            self._events.append(
                f"trial {key} goes on after epoch {progress.resumed_after}, on {progress.lane}"
            )

    async def warn(self, key: str, sentence: str) -> None:
        """Something about a job that a person should know before its end."""
        if key in self._jobs:
            self._events.append(f"warning: {sentence}")

    async def reach(self, key: str, epochs: list[dict[str, Any]]) -> Answer:
        """As ``report``, where the last of the epochs is at a rung: waits for the answer.

        What has been answered once is not asked again, as when a lane was lost after its rung.
        """
        progress = self._jobs.get(key)
        if progress is None:
            return {"goes_on": False, "why": None}
        epoch, life = epochs[-1], progress.lives
        progress.epochs.extend(epochs)
        if epoch["epoch"] not in progress.answers:
            progress.at_rung, progress.rung_told = epoch, False
            progress.news.set()
        while epoch["epoch"] not in progress.answers:
            # A call outlives the worker that made it; and nobody answers at the end of a sweep.
            over = progress.stopped or self._closed or progress.outcome is not None
            if over or progress.lives != life:
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
            if progress.lane is not None:
                self._ended[progress.lane] = self._ended.get(progress.lane, 0) + 1
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
        progress = self._jobs[job["key"]] = JobState(job)
        if self._closed:
            progress.outcome = {"status": "stopped", "error": self._why_closed}
            return
        self._waiting.append(job["key"])
        self._wake()

    async def look(self, key: str) -> dict[str, Any]:
        """What is known of a job now, all its epochs included."""
        return self._jobs[key].told(0)

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
        return progress.told(seen)

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
        """What every lane that is up said of itself, how many jobs it ended, and which it has."""
        return {
            lane: {**about, "ended": self._ended[lane], "has": self._in_hand(lane)}
            for lane, about in self._lanes.items()
        }

    async def events(self) -> list[str]:
        """What a person should know and has not been told, a sentence each."""
        events, self._events = self._events, []
        return events

    async def lost(self, lanes: list[str], loss: Loss) -> None:
        """These lanes are no more, at least for now: what they had in hand goes to others."""
        for lane in lanes:
            had = [key for key in self._assigned.get(lane, ()) if self._is_with(key, lane)]
            if lane in self._lanes or not loss.quiet:
                self._events.append(self._what_was_lost(lane, had, loss, lanes))
            self._lanes.pop(lane, None)
            self._give_back(lane, loss)
        self._wake()

    def _what_was_lost(self, lane: str, had: list[str], loss: Loss, lost: list[str]) -> str:
        before = "" if lane in self._lanes else " before it was up"
        others = any(each not in lost for each in self._lanes)
        where = "elsewhere" if others else "when a lane is up"
        again = "" if loss.taken_away else "; it is started again"
        goes_on = f": trial {', '.join(had)} goes on {where}" if had else again
        return f"{lane} was lost{before} ({loss.why}){goes_on}"

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

    def _in_hand(self, lane: str) -> str | None:
        had = self._assigned.get(lane)
        return had[-1] if had and self._is_with(had[-1], lane) else None

    def _is_with(self, key: str, lane: str) -> bool:
        job = self._jobs.get(key)
        return job is not None and job.outcome is None and job.lane == lane

    def _give_back(self, lane: str, loss: Loss) -> None:
        """What a lane had in hand goes back to the queue; whoever asked for more is sent away."""
        self._lives[lane] = self._lives.get(lane, 0) + 1
        for key in self._assigned.pop(lane, []):
            if self._is_with(key, lane):
                again = self._jobs[key].lost(loss, max_failures=self._max_failures)
                if again:
                    self._waiting.appendleft(key)

    def _first_ready(self) -> str | None:
        """The first job in the queue that need not come after one that has not come to its end."""
        for key in self._waiting:
            before = self._jobs.get(self._jobs[key].job.get("after") or "")
            if before is None or (before.outcome or {}).get("status") == "complete":
                return key
        return None

    def _wake(self) -> None:
        """Everyone who waits for a job looks again."""
        self._changed.set()
        self._changed = asyncio.Event()
