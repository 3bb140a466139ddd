"""Trials that sleep instead of training, and a switchboard that counts its calls.

Lanes and the switchboard import this: nothing here needs torch or more of Ray than they have.
"""

import asyncio
import inspect
import math
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from kdsweep.search.board import Switchboard

KIND = "asleep:sleep"
"""What a lane is asked for; ``sleep_s`` in the job is how long a trial takes."""


def sleep(job: dict[str, Any], report: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """As a lane's job: sleep through the trial's epochs and report each, as training does."""
    trial, began = job["trial"], time.perf_counter()
    epochs = trial["train"]["epochs"]
    seconds, epoch = job["sleep_s"] / epochs, 0
    for epoch in range(1, epochs + 1):
        time.sleep(seconds)
        if not report(_metrics(trial, epoch, epochs, seconds)):
            break
    last = _metrics(trial, epoch, epochs, seconds)
    params = _params(trial)
    return {
        "status": "complete" if epoch == epochs else "stopped",
        "metrics": {
            "accuracy": last["accuracy"],
            "loss": last["loss"],
            "params": params,
            "macs": 30 * params,
            "size_bytes": 4 * params,
            "latency_ms": 0.1,
        },
        "raw_weights": {"hard": 0.1, "kl": 0.9},
        "device": "asleep",
        "seconds": time.perf_counter() - began,
    }


def _metrics(trial: dict[str, Any], epoch: int, epochs: int, seconds: float) -> dict[str, Any]:
    """An epoch's report, of the size that a real one has: larger students are better, as they are.

    Every setting counts a little, so that a front has many members and keeps on changing.
    """
    student, lr = trial["student"], trial["train"]["lr"]
    error = 0.3 / student["width"] + 0.1 / student["hidden"] + 0.02 * abs(math.log10(lr) + 2.2)
    error += 0.02 * abs(trial["strategy"].get("temperature", 1.0) - 4.0) / 20
    accuracy = (1 - error) * (0.5 + 0.5 * epoch / epochs)
    return {
        "epoch": epoch,
        "accuracy": accuracy,
        "loss": -math.log(accuracy),
        "train": {"total": 1.0, "hard": 1.0, "kl": 0.5},
        "lr": lr,
        "seconds": seconds,
    }


def _params(trial: dict[str, Any]) -> int:
    student = trial["student"]
    return int(student["width"] * (9 + 9 * student["stages"] + 16 * student["hidden"]))


class Counting(Switchboard):
    """The switchboard, which also counts who called what."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._calls: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[Any] | None] = set()

    async def calls(self) -> dict[str, int]:
        """Calls of each method so far."""
        return dict(self._calls)


def _counted(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    async def called(self: Counting, *given: Any, **named: Any) -> Any:
        # A call from outside has a task of its own; what it calls runs in the same one.
        task = asyncio.current_task()
        if task in self._tasks:
            return await method(self, *given, **named)
        self._calls[name] += 1
        self._tasks.add(task)
        try:
            return await method(self, *given, **named)
        finally:
            self._tasks.discard(task)

    return called


for _name, _method in inspect.getmembers(Switchboard, inspect.iscoroutinefunction):
    if not _name.startswith("_"):
        setattr(Counting, _name, _counted(_name, _method))
