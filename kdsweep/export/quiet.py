"""Students and their teacher, timed one after the other where nothing else runs."""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from kdsweep.batch import Shape
from kdsweep.errors import KdsweepError, ResultError
from kdsweep.export.student import Student, student_of
from kdsweep.models.latency import QUIET, Patience, measure_latency
from kdsweep.models.size import count_params
from kdsweep.results.holder import drives_here
from kdsweep.results.latencies import architecture_of
from kdsweep.results.latency import Latency
from kdsweep.results.record import TrialResult
from kdsweep.results.runs import find_runs
from kdsweep.results.store import RunStore
from kdsweep.storage.copies import name_of, teachers_in
from kdsweep.storage.objects import StorageError
from kdsweep.train.device import model_of
from kdsweep.train.stored_teacher import stored_teacher

LOOK_S = 0.5
"""So long it is looked what the processors do before anything is measured."""
_SOME = 0.1
"""Of all cores, or half a core where that is more: so much may be at work on a quiet machine."""

_STAT = Path("/proc/stat")


@dataclass(frozen=True)
class Timed:
    """A student, or the teacher (without ``result``), and what was measured of it."""

    name: str
    params: int
    latency: Latency
    result: TrialResult | None = None
    shared_with: str | None = None
    """The trial whose student was timed in its place, where that is the same network."""


def time_students(
    store: RunStore,
    results: Sequence[TrialResult],
    *,
    device: torch.device,
    batches: Sequence[int],
    busy: bool = False,
    patience: Patience = QUIET,
    tell: Callable[[str], object] = lambda sentence: None,
    warn: Callable[[str], object] = lambda sentence: None,
) -> list[Timed]:
    """The latency of the students of ``results`` on ``device``, and last of the run's teacher.

    Students of the same settings on the same data are timed once. One that cannot be loaded is
    left out, and ``warn`` hears why; ``tell`` hears who is timed.

    Raises:
        ResultError: none of the students can be loaded.
    """

    def measured(network: nn.Module, shape: Shape) -> Latency:
        return Latency(
            device=model_of(device),
            kind=device.type,
            threads=torch.get_num_threads(),
            busy=busy,
            batches=measure_latency(network, shape, device, batches=batches, patience=patience),
        )

    found: list[Timed] = []
    known: dict[str, Timed] = {}
    first: Student | None = None
    problems: list[str] = []
    for result in results:
        try:
            student = student_of(store, result)
        except (ResultError, StorageError) as error:
            problems += error.problems if isinstance(error, ResultError) else [str(error)]
            warn(f"{error}; it is not timed")
            continue
        first = first or student
        key = architecture_of(result.trial)
        same = known.get(key)
        if same is None or same.result is None:
            tell(f"{result.label} ({result.trial_id})")
            latency = measured(student.network, student.shape)
            known[key] = Timed(result.label, count_params(student.network), latency, result)
            found.append(known[key])
        else:
            with_id = same.result.trial_id
            found.append(replace(same, name=result.label, result=result, shared_with=with_id))
    if first is None:
        raise ResultError(problems or "there is no student to time", source=store.place)
    with_teacher = _teacher_of(store, first, warn)
    if with_teacher is not None:
        network, shape = with_teacher
        tell("the teacher")
        found.append(Timed("teacher", count_params(network), measured(network, shape)))
    return found


def _teacher_of(
    store: RunStore, student: Student, warn: Callable[[str], object]
) -> tuple[nn.Module, Shape] | None:
    """The run's teacher and what it takes; of one that is gone ``warn`` hears."""
    teacher = store.meta.teacher
    if teacher is None:
        return None
    try:
        found = stored_teacher(teachers_in(store.directory.parent), teacher.hash, student.info)
    except (KdsweepError, StorageError) as error:
        warn(f"the teacher cannot be timed: {error}")
        return None
    if found is None:
        warn(f"the teacher is not timed: teachers/{teacher.hash} is not there any more")
    return found


def why_not_quiet(directory: Path, look: Callable[[], float] | None = None) -> list[str]:
    """What else works on this machine, a sentence each; ``look`` says how many cores do.

    A sweep that a process of this machine drives counts where its run lies beside the one at
    ``directory``; so does any other work, if it takes a tenth of the cores, and half a core.
    """
    said = []
    for store in _runs_beside(directory):
        if drives_here(store.directory):
            said.append(f"the sweep {name_of(store.directory)} is driven on this machine")
    cores = os.cpu_count() or 1
    at_work = (look or cores_at_work)()
    if at_work > max(_SOME * cores, 0.5):
        said.append(f"{at_work:.1f} of this machine's {cores} cores are at work")
    return said


def _runs_beside(directory: Path) -> list[RunStore]:
    with suppress(ResultError):
        return find_runs(directory.absolute().parent)[0]
    return []


def cores_at_work(pause: Callable[[float], None] = time.sleep) -> float:
    """How many cores of this machine work for anybody, looked at for half a second.

    Where the system does not tell, the load of the last minute.
    """
    try:
        before = _STAT.read_text()
        pause(LOOK_S)
        return share_at_work(before, _STAT.read_text()) * (os.cpu_count() or 1)
    except (OSError, ValueError):
        return os.getloadavg()[0]


def share_at_work(before: str, after: str) -> float:
    """Which share of their time processors have worked between two looks at ``/proc/stat``.

    Raises:
        ValueError: it is not as Linux writes it.
    """
    (idle, total), (idle_then, total_then) = _ticks(after), _ticks(before)
    passed = total - total_then
    return 0.0 if passed <= 0 else 1.0 - (idle - idle_then) / passed


def _ticks(stat: str) -> tuple[int, int]:
    """Of all processors together: idle or waiting for a disk, and in all."""
    name, *fields = stat.split("\n", 1)[0].split()
    # What guests take is in the first two already.
    numbers = [int(field) for field in fields[:8]]
    if name != "cpu" or len(numbers) < 5:
        raise ValueError("no line of all processors")
    return numbers[3] + numbers[4], sum(numbers)
