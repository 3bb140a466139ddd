"""A lane's reports to the switchboard: several epochs at a time where epochs are short."""

import time
from collections.abc import Container, Sequence
from typing import TYPE_CHECKING, Any

import ray

if TYPE_CHECKING:
    from kdsweep.results.record import EpochMetrics

REPORT_EVERY_S = 0.25
"""Epochs within so long of the last call wait for the next one: a call costs milliseconds of two
processes, as much as a tenth of an epoch of a small student."""


class Reporter:
    """Tells the switchboard of one job's epochs and hears whether to go on.

    The first epoch is told at once, and after an epoch at one of ``rungs`` the lane waits to hear
    whether the job goes on. What is left at the end goes with the outcome.
    """

    def __init__(self, board: Any, key: str, rungs: Container[int] = ()) -> None:
        self._board, self._key, self._rungs = board, key, rungs
        self._unsent: list[dict[str, Any]] = []
        self._last_call = float("-inf")
        self._go_on = True
        self.pruned: str | None = None
        """Why the job was ended at a rung, if it was."""

    def epoch(self, metrics: dict[str, Any]) -> bool:
        """An epoch of the trial; the answer is whether to go on, as last heard."""
        self._unsent.append(metrics)
        if metrics["epoch"] in self._rungs:
            return self._wait_at_rung()
        if time.monotonic() - self._last_call >= REPORT_EVERY_S:
            epochs, self._unsent = self._unsent, []
            self._ask(epochs, of_teacher=False)
        return self._go_on

    def resumed(self, epochs: "Sequence[EpochMetrics]") -> None:
        """The trial goes on after these epochs of an earlier process."""
        told = [epoch.model_dump() for epoch in epochs]
        ray.get(self._board.resumed.remote(self._key, told))

    def warn(self, sentence: str) -> None:
        """Something that a person should know before the trial ends."""
        ray.get(self._board.warn.remote(self._key, sentence))

    def teacher_epoch(self, metrics: dict[str, Any]) -> bool:
        """An epoch of a teacher that is made first; only the newest of those is ever looked at."""
        if time.monotonic() - self._last_call >= REPORT_EVERY_S:
            self._ask([metrics], of_teacher=True)
        return self._go_on

    def end(self, outcome: dict[str, Any], lane: str, had: int) -> Any:
        """How the job ended, with the epochs that nobody has heard of; the lane's next job."""
        told = self._board.finish_and_take.remote(self._key, outcome, self._unsent, lane, had)
        return ray.get(told)

    def _wait_at_rung(self) -> bool:
        epochs, self._unsent = self._unsent, []
        answer = ray.get(self._board.reach.remote(self._key, epochs))
        self._last_call = time.monotonic()
        self._go_on, self.pruned = answer["goes_on"], answer["why"]
        return self._go_on

    def _ask(self, epochs: list[dict[str, Any]], *, of_teacher: bool) -> None:
        self._go_on = ray.get(self._board.report.remote(self._key, epochs, of_teacher))
        self._last_call = time.monotonic()
