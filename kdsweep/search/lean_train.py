"""Ray Train without the processes that lanes never use; its controllers run in the driver.

A Ray Train run is a controller, its workers, and actors beside them for autoscaling, data sets,
clean-up and the barrier of ``ray.train.report``: each a process that imports all of Ray Train, some
2 to 5 CPU-seconds and 200 MB. A lane reports through the switchboard and lives as long as the
driver, so that its run needs the workers alone. What is replaced here is internal to Ray; the
project's range of Ray versions is one minor release for that reason.
"""

import asyncio
import os
import threading
from contextlib import suppress
from typing import Any

from kdsweep.search import environment  # noqa: F401  # before ray

# isort: split
import ray
from ray.train.v2._internal.callbacks import DatasetsCallback
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.train.v2._internal.execution.controller import TrainController
from ray.train.v2._internal.execution.failure_handling import FailurePolicy
from ray.train.v2._internal.execution.scaling_policy import FixedScalingPolicy
from ray.train.v2._internal.execution.worker_group import WorkerGroup, state, worker_group
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

_CONTROLLER = {
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    "RAY_TRAIN_ENABLE_CONTROLLER_STRUCTURED_LOGGING": "0",
}
_construction = threading.Lock()


class _NoBarrier:
    """Stands in for the actor at which the workers of a run wait for each other to report."""

    def options(self, **options: Any) -> "_NoBarrier":
        """As an actor class has it."""
        return self

    def remote(self, **arguments: Any) -> "_NoBarrier":
        """As an actor class has it; starts nothing."""
        return self


worker_group.SynchronizationActor = _NoBarrier()
_kill_barrier = state._shutdown_sync_actor
state._shutdown_sync_actor = lambda actor: (
    None if isinstance(actor, _NoBarrier) else _kill_barrier(actor)
)


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
    """Workers that know of no controller actor and no barrier: both serve ``ray.train.report``."""

    def _init_train_context_on_workers(
        self, workers: list[Any], sync_actor: Any, train_context_args: dict[str, list[Any]]
    ) -> None:
        told = []
        for index, worker in enumerate(workers):
            own = {name: values[index] for name, values in train_context_args.items()}
            context = worker.actor.init_train_context.remote(
                train_run_context=self._train_run_context,
                distributed_context=worker.distributed_context,
                synchronization_actor=None,
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

    policy: FailurePolicy
    """What happens when workers die."""

    poll_s: float = 0.2
    """How often the workers are looked at: what a dead one is noticed by."""

    _look: tuple[asyncio.AbstractEventLoop, "asyncio.Task[Any]"] | None = None
    _left = False

    def leave(self) -> None:
        """Look at the workers no more, from any thread: they end with Ray.

        A controller that is still there when Ray goes would start another one.
        """
        self._left = True
        if self._look is not None:
            loop, task = self._look
            with suppress(RuntimeError):  # the loop has just ended by itself
                loop.call_soon_threadsafe(task.cancel)

    def _create_default_callbacks(self) -> list[Any]:
        unused = (DatasetsCallback, PlacementGroupCleanerCallback)
        callbacks = super()._create_default_callbacks()  # type: ignore[misc]
        return [callback for callback in callbacks if not isinstance(callback, unused)]

    def _initialize_and_run_controller(self, **arguments: Any) -> Any:
        scaling = arguments["train_run_context"].scaling_config
        arguments["scaling_policy"] = _NoAutoscalingActor(scaling)
        arguments["failure_policy"] = self.policy

        async def control() -> Any:
            task = asyncio.current_task()
            assert task is not None
            self._look = asyncio.get_running_loop(), task
            with _construction:
                # Read by the constructor alone; left in the environment they would give every
                # worker an environment of its own, and with it a process that is not yet started.
                wanted = _CONTROLLER | {"RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": str(self.poll_s)}
                unset = {name: value for name, value in wanted.items() if name not in os.environ}
                os.environ.update(unset)
                controller = _Controller(**arguments)
                for name in unset:
                    del os.environ[name]
            if self._left:
                raise asyncio.CancelledError
            await controller.run()
            return controller.get_result()

        return asyncio.run(control())


class WorkersTrainer(_DriverControlled, DataParallelTrainer):  # type: ignore[misc]
    """Workers that know nothing of each other: no process group."""


def group_trainer() -> type[Any]:
    """The trainer of workers in one process group; imports torch, so only if it is needed."""
    from ray.train.torch import TorchTrainer

    from kdsweep.search.group import GroupConfig

    class GroupTrainer(_DriverControlled, TorchTrainer):  # type: ignore[misc]
        """Ray's TorchTrainer, its controller in the driver."""

        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, torch_config=GroupConfig(), **named)

    return GroupTrainer
