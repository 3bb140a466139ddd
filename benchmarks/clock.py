"""When trials end, and what they cost once every slot is up."""

import json
import os
import time
from typing import Any

import measure
import trivial
from processes import CpuMeter


class Clock:
    """Notes when trials end, and what they cost after the first one of each slot."""

    def __init__(self, trials: int, *, num_slots: int) -> None:
        self._trials, self._num_slots = trials, num_slots
        self._ends: list[float] = []
        self._pids: set[int] = set()
        self._meter = CpuMeter(os.getpid())
        self._cpu_s: list[float] = []

    def ended(self, result: dict[str, Any]) -> None:
        """A trial's last result is here."""
        # A lane's trial ends with its outcome, the others with their last epoch.
        outcome = json.loads(result.get("outcome") or "{}")
        if outcome.get("epochs", result.get("epoch")) != trivial.NUM_EPOCHS:
            raise SystemExit(f"a trial did not report all of its epochs: {result}")
        self._ends.append(time.perf_counter())
        self._pids.add(result["pid"])
        if len(self._ends) in (self._num_slots, self._trials):
            self._cpu_s.append(self._meter.seconds())

    def measured(self) -> measure.Measured:
        """Cost per trial, when all have ended."""
        if len(self._ends) != self._trials or len(self._pids) < self._num_slots:
            raise SystemExit(
                f"{len(self._ends)} of {self._trials} trials ended, in processes {self._pids}"
            )
        num_trials = self._trials - self._num_slots
        return {
            "trials": num_trials,
            "s_per_trial": (self._ends[-1] - self._ends[self._num_slots - 1]) / num_trials,
            "cpu_s_per_trial": (self._cpu_s[1] - self._cpu_s[0]) / num_trials,
        }
