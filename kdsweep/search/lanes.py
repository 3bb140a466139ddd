"""Lanes: Ray Train runs that last as long as the sweep, whose workers train trial after trial."""

import asyncio
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdsweep.search import environment  # noqa: F401  # before ray
from kdsweep.search.cluster import Fitted
from kdsweep.search.worker import lane_loop

# isort: split
import ray
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.v2._internal.callbacks import DatasetsCallback
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.train.v2._internal.execution.controller import TrainController
from ray.train.v2._internal.execution.scaling_policy import FixedScalingPolicy
from ray.train.v2._internal.execution.worker_group import WorkerGroup
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

RESTARTS = 3
"""How often the workers of a run are started again after one of them died."""

POLL_S = 0.2
"""How often a run's workers are looked at: what a dead worker is noticed by."""


_CONTROLLER = {
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": str(POLL_S),
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    "RAY_TRAIN_ENABLE_CONTROLLER_STRUCTURED_LOGGING": "0",
}
_construction = threading.Lock()


class _NoAutoscalingActor(FixedScalingPolicy):  # type: ignore[misc]
    """A fixed number of workers, asked for by their placement group alone.

    Ray Train would tell an actor of its own about it as well, which imports all of Ray Data to
    pass on what an autoscaler sees in the waiting placement group anyway.
    """

    def after_controller_start(self, train_run_context: Any) -> None:
        """Register nothing."""

    def _maybe_send_resource_request(self) -> None:
        """Register nothing."""

    def _cancel_resource_request(self) -> None:
        """Nothing was registered."""


class _WorkerGroup(WorkerGroup):  # type: ignore[misc]
    """Workers without a controller actor: it serves checkpoints, and lanes have none."""

    def _init_train_context_on_workers(
        self, workers: list[Any], sync_actor: Any, train_context_args: dict[str, list[Any]]
    ) -> None:
        told = []
        for index, worker in enumerate(workers):
            own = {name: values[index] for name, values in train_context_args.items()}
            context = worker.actor.init_train_context.remote(
                train_run_context=self._train_run_context,
                distributed_context=worker.distributed_context,
                synchronization_actor=sync_actor,
                storage_context=self._storage_context,
                worker_callbacks=self._worker_callbacks_to_propagate,
                controller_actor=None,
                **own,
            )
            told.append(context)
        ray.get(told)
        self._decorate_worker_log_file_paths(workers)


class _Controller(TrainController):  # type: ignore[misc]
    """Ray Train's controller, outside an actor."""

    worker_group_cls = _WorkerGroup


class _DriverControlled:
    """A Ray Train trainer whose controller runs in this process, not in an actor of its own.

    A lane's controller lives exactly as long as the driver. In the driver it costs no process that
    imports Ray Train again (about 4 CPU-seconds and 200 MB), nor one that watches over it.
    """

    def _create_default_callbacks(self) -> list[Any]:
        unused = (DatasetsCallback, PlacementGroupCleanerCallback)
        callbacks = super()._create_default_callbacks()  # type: ignore[misc]
        return [callback for callback in callbacks if not isinstance(callback, unused)]

    def _initialize_and_run_controller(self, **arguments: Any) -> Any:
        scaling = arguments["train_run_context"].scaling_config
        arguments["scaling_policy"] = _NoAutoscalingActor(scaling)

        async def control() -> Any:
            with _construction:
                # Read by the constructor alone; left in the environment they would give every
                # worker an environment of its own, and with it a process that is not yet started.
                os.environ.update(_CONTROLLER)
                controller = _Controller(**arguments)
                for name in _CONTROLLER:
                    del os.environ[name]
            await controller.run()
            return controller.get_result()

        return asyncio.run(control())


class _LaneTrainer(_DriverControlled, DataParallelTrainer):  # type: ignore[misc]
    """Workers that each are a lane: no process group between them."""


def _group_trainer() -> type[Any]:
    """Workers that are one lane together, in a process group. Imports torch, so only if needed."""
    from ray.train.torch import TorchTrainer

    class GroupTrainer(_DriverControlled, TorchTrainer):  # type: ignore[misc]
        """Ray's TorchTrainer, its controller in the driver."""

    return GroupTrainer


@dataclass
class _Run:
    """One Ray Train run and the lanes on it."""

    lanes: list[str]
    thread: threading.Thread
    error: BaseException | None = None
    ended: bool = False


class Lanes:
    """All lanes of a sweep, in as many Ray Train runs as ``fitted`` says."""

    def __init__(
        self, fitted: Fitted, *, board: str, namespace: str, teachers: Path, storage: Path
    ) -> None:
        self._fitted = fitted
        self._config = {
            "board": board,
            "namespace": namespace,
            "teachers": str(teachers),
            "workers_per_trial": fitted.workers_per_trial,
            "threads": fitted.threads,
        }
        self._storage = storage
        self._runs: list[_Run] = []

    def start(self) -> None:
        """Start every run; returns at once, the lanes come up by themselves."""
        for first in range(0, self._fitted.lanes, self._fitted.lanes_per_run):
            last = min(first + self._fitted.lanes_per_run, self._fitted.lanes)
            lanes = [f"lane-{number:03d}" for number in range(first, last)]
            run = _Run(lanes, threading.Thread(target=lambda: None))
            trainer = self._trainer(first, len(lanes))
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
                lost |= dict.fromkeys(run.lanes, _first_line(run.error))
        return lost

    @property
    def num_left(self) -> int:
        """Lanes that may still be up or come up."""
        return sum(len(run.lanes) for run in self._runs if run.error is None)

    def join(self, timeout_s: float) -> None:
        """Wait for the runs to end, at most so long; call it when the switchboard is closed."""
        for run in self._runs:
            run.thread.join(timeout_s / max(1, len(self._runs)))

    def _trainer(self, first: int, num_lanes: int) -> Any:
        fitted = self._fitted
        per_worker = {"CPU": fitted.cpus_per_worker}
        if fitted.gpus_per_worker:
            per_worker["GPU"] = fitted.gpus_per_worker
        alone = fitted.workers_per_trial == 1
        make = _LaneTrainer if alone else _group_trainer()
        return make(
            lane_loop,
            train_loop_config={**self._config, "lane": first},
            scaling_config=ScalingConfig(
                num_workers=num_lanes if alone else fitted.workers_per_trial,
                use_gpu=bool(fitted.gpus_per_worker),
                resources_per_worker=per_worker,
            ),
            run_config=RunConfig(
                name=f"lanes-{first:03d}",
                storage_path=str(self._storage),
                failure_config=FailureConfig(max_failures=RESTARTS),
            ),
        )


def _fit(trainer: Any, run: _Run) -> None:
    try:
        trainer.fit()
    except BaseException as error:  # noqa: BLE001  # told to the driver's thread, which decides
        run.error = error


def _first_line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(error).__name__


def board_actor(name: str) -> Any:
    """The sweep's switchboard, under ``name`` in this namespace."""
    from kdsweep.search.board import Switchboard

    remote = ray.remote(num_cpus=0, max_concurrency=100_000)(Switchboard)
    return remote.options(name=name).remote()
