"""What a sweep will do, worked out before anything runs."""

import os
from dataclasses import dataclass
from math import floor

import torch

from kdsweep.errors import SpecError
from kdsweep.spec import ClusterSpec, TrialSpec
from kdsweep.spec.rungs import rung_epochs
from kdsweep.sweep_file.changes import put
from kdsweep.sweep_file.computing import problems_without_gpu
from kdsweep.sweep_file.controls import controls
from kdsweep.sweep_file.fit import Measured
from kdsweep.sweep_file.load import Sweep
from kdsweep.sweep_file.teachers_said import varied_teacher_words

MOST_WORKERS_ON_A_GPU = 4
"""Unless the file says otherwise: each holds half a gigabyte of the GPU before it trains."""


@dataclass(frozen=True)
class Machine:
    """What this machine lets a process use."""

    cpus: int
    gpus: int


@dataclass(frozen=True)
class Resources:
    """What the sweep will take; ``lanes`` is ``None`` where a cluster at an address decides.

    ``problem`` says why not even one trial fits the machine, or that the lanes asked for do not.
    """

    lanes: int | None
    workers_per_trial: int
    cpus_per_worker: float
    gpus_per_worker: float
    machine: Machine | None
    problem: str | None = None


@dataclass(frozen=True)
class Plan:
    """The sweep in numbers: its space, its students' sizes, its trials and where they run.

    ``num_trials`` counts what the sampler proposes (none where a budget decides); that and each of
    the controls is trained ``replicates`` times. ``grid_points_left_out`` counts the grid's
    combinations beyond ``search.trials``.
    """

    num_dimensions: int
    num_conditional: int
    smallest: Measured
    largest: Measured
    controls: tuple[str, ...]
    num_trials: int | None
    replicates: int
    grid_points_left_out: int
    teacher: str
    rungs: tuple[int, ...]
    """Epochs at which the sweep's own trial would be held against others."""
    resources: Resources

    @property
    def total(self) -> int | None:
        """Trials of the search and controls together, all replicates counted."""
        if self.num_trials is None:
            return None
        return self.replicates * (self.num_trials + len(self.controls))


def plan(sweep: Sweep, *, machine: Machine | None = None) -> Plan:
    """Work out what ``sweep`` will do on ``machine``: this one if none is given."""
    dimensions, search = sweep.space.dimensions(), sweep.spec.search
    left_out, rungs = 0, search.ends_early
    if search.sampler == "grid" and sweep.num_trials is not None:
        left_out = sweep.space.grid_size(search.grid_points) - sweep.num_trials
    return Plan(
        num_dimensions=len(dimensions),
        num_conditional=sum(bool(dimension.conditions) for dimension in dimensions),
        smallest=sweep.students[0],
        largest=sweep.students[-1],
        controls=tuple(controls(sweep.spec.trial, sweep.info)),
        num_trials=sweep.num_trials,
        replicates=search.replicates,
        grid_points_left_out=left_out,
        teacher=varied_teacher_words([sweep.spec.trial, *at_corners(sweep)]),
        rungs=rung_epochs(sweep.spec.trial.train, rungs) if rungs is not None else (),
        resources=resources(sweep.spec.cluster, machine or this_machine()),
    )


def check_room(sweep: Sweep) -> None:
    """Complain, before anything is started or written, if the lanes do not fit this machine.

    Raises:
        SpecError: they do not, and says the arithmetic; or a trial needs a GPU and gets none.
    """
    found = resources(sweep.spec.cluster, this_machine())
    problems = lacking_a_gpu(sweep, found)
    if problems:
        raise SpecError(problems, source=sweep.path)
    problem = found.problem
    if problem is not None:
        raise SpecError(
            f"cluster: {problem}; lower concurrent_trials, workers_per_trial, cpus_per_worker or "
            "gpus_per_worker, or give --address of a larger cluster",
            source=sweep.path,
        )


def lacking_a_gpu(sweep: Sweep, found: Resources) -> list[str]:
    """What the trials of ``sweep`` ask for that needs a GPU, where they get none; with its path."""
    if found.machine is None or found.gpus_per_worker:
        return []
    trials = [sweep.spec.trial, *at_corners(sweep)]
    return [f"trial.{each}" for each in problems_without_gpu(trials)]


def at_corners(sweep: Sweep) -> list[TrialSpec]:
    """The trials at the ends of the space."""
    return [put(sweep.spec.trial, point.changes) for point in sweep.space.corners()]


def resources(cluster: ClusterSpec, machine: Machine) -> Resources:
    """Lanes for what the cluster settings ask, on one machine of ``cpus`` and ``gpus``.

    GPUs that nobody asked for are shared evenly by up to four workers each.
    """
    workers, cpus = cluster.workers_per_trial, cluster.cpus_per_worker
    if cluster.address is not None:
        return Resources(
            cluster.concurrent_trials, workers, cpus, cluster.gpus_per_worker or 0.0, None
        )
    by_cpu = floor(machine.cpus / (workers * cpus) + 1e-9)
    gpus = cluster.gpus_per_worker
    if gpus is None:
        gpus = _shared(machine.gpus, workers * max(by_cpu, 1))
    fits = by_cpu if not gpus else min(by_cpu, gpu_shares(machine.gpus, gpus) // workers)
    asked = cluster.concurrent_trials
    problem = None
    if fits < (asked or 1):
        problem = (
            f"{asked or 1} trials at once x {workers} workers x {cpus:g} CPUs and {gpus:g} GPUs "
            f"need {(asked or 1) * workers * cpus:g} CPUs and {(asked or 1) * workers * gpus:g} "
            f"GPUs; this machine has {machine.cpus} and {machine.gpus}"
        )
    return Resources(asked or max(fits, 1), workers, cpus, gpus, machine, problem)


def this_machine() -> Machine:
    """The processors that this process may use, and the GPUs that torch sees."""
    affinity = getattr(os, "sched_getaffinity", None)
    cpus = len(affinity(0)) if affinity else os.cpu_count() or 1
    return Machine(cpus, torch.cuda.device_count())


def gpu_shares(gpus: float, each: float) -> int:
    """How many workers find ``each`` of a GPU: a share lies on one of them, not across two."""
    if each >= 1:
        return floor(gpus / each + 1e-9)
    return floor(gpus) * floor(1 / each + 1e-9)


def _shared(gpus: int, workers: int) -> float:
    """The share of a GPU for each worker: a whole one at most, a quarter at least."""
    if gpus == 0:
        return 0.0
    per_gpu = min(-(-workers // gpus), MOST_WORKERS_ON_A_GPU)
    return 1.0 / per_gpu
