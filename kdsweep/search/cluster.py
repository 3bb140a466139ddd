"""Ray: started on this machine, or joined at an address; and how many lanes fit."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import floor
from typing import Any

from kdsweep.errors import SpecError
from kdsweep.search import environment  # noqa: F401  # before ray
from kdsweep.search.joining import join
from kdsweep.search.own_ray import end_what_was_started, lean
from kdsweep.spec import ClusterSpec
from kdsweep.sweep_file.plan import Resources, gpu_shares, resources, this_machine

import ray  # isort: skip

_log = logging.getLogger(__name__)

NAMESPACE = "kdsweep"
LOOK_EVERY_S = 0.1

ATTEMPTS = 4
_TOO_SLOW = "timed out during startup"
"""What Ray says where it was not up in thirty seconds, which nothing can make longer."""

OBJECT_STORE_BYTES = 200 * 2**20
"""Trials and reports are small: a local Ray needs no share of the memory for them."""


@dataclass(frozen=True)
class Fitted:
    """How the sweep sits on its cluster."""

    lanes: int
    lanes_per_run: int
    workers_per_trial: int
    cpus_per_worker: float
    gpus_per_worker: float
    may_grow: bool = False
    """Whether the cluster is somebody else's, who may add machines to it."""

    @property
    def threads(self) -> int:
        """Torch threads of a worker: more than its processors slow every lane down."""
        return max(1, int(self.cpus_per_worker))


@contextmanager
def connected(cluster: ClusterSpec) -> Iterator[Callable[..., Fitted]]:
    """Ray for the time of a sweep; what this started is stopped, what it joined stays.

    Ray comes up in the background. What this gives waits for it, calls ``meanwhile`` now and then,
    and says how the sweep fits. A Ctrl-C ends Ray's processes as they are: this process must end
    then, for threads that ask Ray something would end it.

    Raises:
        SpecError: no cluster answers at the address, or it has no room for what is asked.
    """
    failed: list[BaseException] = []
    up, over = threading.Event(), threading.Event()

    def stay_connected() -> None:
        # One thread for all of it: the kernel ends Ray's processes with the thread that made them.
        try:
            _connect(cluster)
        except BaseException as error:  # noqa: BLE001  # raised where the sweep waits for it
            failed.append(error)
        up.set()
        over.wait()
        ray.shutdown()

    thread = threading.Thread(target=stay_connected, name="kdsweep-ray", daemon=True)
    thread.start()

    def ready(meanwhile: Callable[[], None] = lambda: None) -> Fitted:
        while not up.wait(LOOK_EVERY_S):
            meanwhile()
        meanwhile()
        if failed:
            raise failed[0]
        return fit(cluster)

    in_a_hurry = False
    try:
        yield ready
    except KeyboardInterrupt:
        in_a_hurry = True
        raise
    finally:
        if up.is_set() and not in_a_hurry:
            over.set()
            thread.join()
        else:
            end_what_was_started()


def _connect(cluster: ClusterSpec) -> None:
    quiet: dict[str, Any] = {
        "log_to_driver": False,
        "configure_logging": False,
        "namespace": NAMESPACE,
    }
    if cluster.address is None:
        _start_here(quiet)
    else:
        join(cluster.address, **quiet)


def _start_here(quiet: dict[str, Any]) -> None:
    """Start Ray on this machine, again where it is too busy for that.

    Raises:
        SpecError: Ray says that it cannot.
    """
    machine = this_machine()
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with lean():
                ray.init(
                    address="local",
                    num_cpus=machine.cpus,
                    num_gpus=machine.gpus,
                    include_dashboard=False,
                    object_store_memory=OBJECT_STORE_BYTES,
                    **quiet,
                )
        except Exception as error:  # Ray raises this very class for it
            ray.shutdown()
            # Of a start that failed Ray leaves its processes, which take the next one's time.
            end_what_was_started()
            reason = str(error).strip().split("\n")[0]
            _log.warning("Ray did not start, attempt %d of %d: %s", attempt, ATTEMPTS, reason)
            if _TOO_SLOW not in reason or attempt == ATTEMPTS:
                raise SpecError(
                    f"Ray does not start on this machine ({reason}; attempt {attempt}); look at "
                    "what else runs here, at the room in its temporary directory (RAY_TMPDIR) and "
                    "at Ray's own logs there (ray/session_latest/logs)"
                ) from error
        else:
            return


def fit(cluster: ClusterSpec) -> Fitted:
    """The lanes that the connected cluster has room for, as the settings ask.

    Raises:
        SpecError: what is asked for does not fit; says the arithmetic.
    """
    if cluster.address is None:
        found = resources(cluster, this_machine())
    else:
        found = _on(cluster, ray.cluster_resources())
    if found.problem is not None:
        raise SpecError(
            f"cluster: {found.problem}; lower concurrent_trials, workers_per_trial, "
            "cpus_per_worker or gpus_per_worker"
        )
    lanes = found.lanes or 1
    return Fitted(
        lanes=lanes,
        lanes_per_run=min(cluster.lanes_per_run, lanes),
        workers_per_trial=found.workers_per_trial,
        cpus_per_worker=found.cpus_per_worker,
        gpus_per_worker=found.gpus_per_worker,
        may_grow=cluster.address is not None,
    )


def _on(cluster: ClusterSpec, have: dict[str, float]) -> Resources:
    """Lanes on a running cluster: as many as asked for, or as fit now."""
    cpus, gpus = have.get("CPU", 0.0), have.get("GPU", 0.0)
    workers, cpus_each = cluster.workers_per_trial, cluster.cpus_per_worker
    gpus_each = cluster.gpus_per_worker
    if gpus_each is None:
        gpus_each = 1.0 if gpus else 0.0
    fits = floor(cpus / (workers * cpus_each) + 1e-9)
    if gpus_each:
        fits = min(fits, gpu_shares(gpus, gpus_each) // workers)
    asked = cluster.concurrent_trials
    problem = None
    # A cluster may grow: what was asked for in numbers is waited for, with the watchdog's patience.
    if asked is None and fits < 1:
        problem = (
            f"one trial needs {workers} workers x {cpus_each:g} CPUs and {gpus_each:g} GPUs; the "
            f"cluster at {cluster.address} has {cpus:g} CPUs and {gpus:g} GPUs"
        )
    return Resources(asked or max(fits, 1), workers, cpus_each, gpus_each, None, problem)


def arithmetic(fitted: Fitted) -> str:
    """What the lanes need and what the cluster has free, for a sweep that does not move."""
    workers = fitted.lanes * fitted.workers_per_trial
    need = f"{workers * fitted.cpus_per_worker:g} CPUs"
    if fitted.gpus_per_worker:
        need += f" and {workers * fitted.gpus_per_worker:g} GPUs"
    total, free = ray.cluster_resources(), ray.available_resources()
    return (
        f"{fitted.lanes} lanes x {fitted.workers_per_trial} workers need {need}; the cluster has "
        f"{total.get('CPU', 0):g} CPUs ({free.get('CPU', 0):g} free) and "
        f"{total.get('GPU', 0):g} GPUs ({free.get('GPU', 0):g} free)"
    )


def waits_for_room() -> bool:
    """Whether something of this cluster has asked for resources that are not there."""
    from ray.util import placement_group_table

    groups = placement_group_table().values()
    return any(group["state"] in ("PENDING", "RESCHEDULING") for group in groups)
