"""Lanes: Ray Train runs that last as long as the sweep, whose workers train trial after trial."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from kdsweep.search import environment  # noqa: F401  # before ray
from kdsweep.search.cluster import Fitted
from kdsweep.search.job import Loss
from kdsweep.search.lean_train import WorkersTrainer, group_trainer
from kdsweep.search.lost_lanes import LanePolicy
from kdsweep.search.worker import lane_loop
from kdsweep.storage.address import Place

# isort: split
import ray
from ray.train import RunConfig, ScalingConfig

LEFT_WITHIN_S = 10.0
"""A controller that was told to leave does so when it next waits, after a call of Ray's."""

POLL_S = 0.2
"""How often a run's workers are looked at, at least; with many runs the driver looks less often."""


@dataclass
class _Run:
    """One Ray Train run and the lanes on it."""

    lanes: list[str]
    trainer: Any
    policy: LanePolicy
    thread: threading.Thread
    num_ended: int = 0
    error: BaseException | None = None
    ended: bool = False


class Lanes:
    """All lanes of a sweep, in as many Ray Train runs as ``fitted`` says."""

    def __init__(
        self,
        fitted: Fitted,
        *,
        board: str,
        namespace: str,
        teachers: Place,
        layers: Mapping[str, Sequence[str]],
        checkpoint_every_s: float,
        scratch: Path,
        on_loss: Callable[[list[str], Loss], object],
        times: bool = False,
    ) -> None:
        """See ``worker.lane_loop`` for what the lanes are told.

        ``times``: whether the latency of students decides, so that it is measured with more care.
        ``on_loss`` hears of lanes whose workers died before they are started again, from a thread
        of its own; ``scratch`` is for what Ray wants to write.
        """
        self._fitted, self._on_loss = fitted, on_loss
        self._config = {
            "board": board,
            "namespace": namespace,
            "teachers": str(teachers),
            "layers": {key: tuple(paths) for key, paths in layers.items()},
            "workers_per_trial": fitted.workers_per_trial,
            "threads": fitted.threads,
            "checkpoint_every_s": checkpoint_every_s,
            "timing": {"lanes": fitted.lanes, "is_searched": times},
        }
        self._scratch = scratch
        self._runs: list[_Run] = []

    def start(self) -> None:
        """Start every run; returns at once, the lanes come up by themselves."""
        for first in range(0, self._fitted.lanes, self._fitted.lanes_per_run):
            last = min(first + self._fitted.lanes_per_run, self._fitted.lanes)
            lanes = [f"lane-{number:03d}" for number in range(first, last)]
            policy = LanePolicy(partial(self._on_loss, lanes))
            trainer = self._trainer(first, len(lanes))
            trainer.policy = policy
            run = _Run(lanes, trainer, policy, threading.Thread(target=lambda: None))
            run.thread = threading.Thread(
                target=_fit, args=(trainer, run), name=f"kdsweep-{lanes[0]}", daemon=True
            )
            self._runs.append(run)
            run.thread.start()

    def take_lost(self) -> dict[str, str]:
        """Lanes whose run has failed for good since the last call, and why."""
        lost: dict[str, str] = {}
        for run in self._runs:
            if run.error is not None and not run.ended:
                run.ended = True
                why = run.policy.why_given_up or _first_line(run.error)
                lost |= dict.fromkeys(run.lanes, why)
        return lost

    def note(self, up: Mapping[str, Mapping[str, Any]]) -> None:
        """What the switchboard says of the lanes: those that get something done may die again."""
        for run in self._runs:
            num_ended = sum(up[lane]["ended"] for lane in run.lanes if lane in up)
            if num_ended > run.num_ended:
                run.num_ended = num_ended
                run.policy.got_something_done()

    @property
    def num_left(self) -> int:
        """Lanes that may still be up or come up."""
        return sum(len(run.lanes) for run in self._runs if run.error is None)

    def join(self, timeout_s: float) -> None:
        """Wait for the runs to end, at most so long; call it when the switchboard is closed.

        Lanes that are in the middle of an epoch by then are left alone, and end with Ray.
        """
        until = time.monotonic() + timeout_s
        for run in self._runs:
            run.thread.join(max(0.0, until - time.monotonic()))
            run.trainer.leave()
        for run in self._runs:
            run.thread.join(LEFT_WITHIN_S)

    def _trainer(self, first: int, num_lanes: int) -> Any:
        fitted = self._fitted
        per_worker = {"CPU": fitted.cpus_per_worker}
        if fitted.gpus_per_worker:
            per_worker["GPU"] = fitted.gpus_per_worker
        alone = fitted.workers_per_trial == 1
        make = WorkersTrainer if alone else group_trainer()
        trainer = make(
            lane_loop,
            train_loop_config={**self._config, "lane": first},
            scaling_config=ScalingConfig(
                num_workers=num_lanes if alone else fitted.workers_per_trial,
                use_gpu=bool(fitted.gpus_per_worker),
                resources_per_worker=per_worker,
            ),
            run_config=RunConfig(
                name=f"lanes-{first:03d}",
                storage_path=str(self._scratch),
            ),
        )
        num_runs = -(-fitted.lanes // fitted.lanes_per_run)
        trainer.poll_s = max(POLL_S, 0.02 * num_runs)
        return trainer


def _fit(trainer: Any, run: _Run) -> None:
    try:
        trainer.fit()
    except BaseException as error:  # noqa: BLE001  # told to the driver's thread, which decides
        run.error = error


def _first_line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(error).__name__


def board_actor(name: str, *, max_failures: int) -> Any:
    """The sweep's switchboard, under ``name`` in this namespace.

    On the driver's own node: other nodes may be taken away, and the sweep would end with theirs.
    """
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    from kdsweep.search.board import Switchboard

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    remote = ray.remote(num_cpus=0, max_concurrency=100_000)(Switchboard)
    return remote.options(name=name, scheduling_strategy=here).remote(max_failures=max_failures)
