"""Independent trials on worker processes, each result kept in a file of JSON lines as it comes."""

import hashlib
import json
import multiprocessing
import os
import signal
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import measure
import torch

import kdsweep
from kdsweep.results.record import EpochMetrics
from kdsweep.spec import Component, TeacherSpec, TrialSpec
from kdsweep.train.loop import Verdict
from kdsweep.train.needs import teachers_of
from kdsweep.train.session import Session

_ROOMS = ("batch.py", "data", "losses", "models", "spec", "strategies", "train")
"""Of the code: what a trial's numbers come from."""

Line = dict[str, Any]


@dataclass(frozen=True)
class Task:
    """A trial to run, or the teacher of one to make, in words for whoever waits."""

    what: str
    kind: str
    trial: TrialSpec

    @property
    def key(self) -> str:
        """The same for the same work."""
        return f"{self.kind} {self.trial.model_dump_json()}"


class Log:
    """The file of JSON lines: one for each result, the last one of a task counts."""

    def __init__(self, path: Path) -> None:
        """Read what is there; a last line that was cut off is dropped.

        Raises:
            SystemExit: the file is not one of these.
        """
        self.path = path
        whole, _, _ = path.read_text().rpartition("\n") if path.exists() else ("", "", "")
        try:
            self.lines: list[Line] = [json.loads(line) for line in whole.splitlines()]
            self.by_key = {line["key"]: line for line in self.lines}
        except (ValueError, KeyError, TypeError) as error:
            raise SystemExit(f"{path} holds no results of this script ({error})") from error
        if path.exists():
            path.write_text(f"{whole}\n" if whole else "")

    def add(self, line: Line) -> None:
        """Keep a result, in memory and in the file."""
        self.lines.append(line)
        self.by_key[line["key"]] = line
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def has(self, task: Task) -> bool:
        """Whether it is done. One that failed is tried again: the code may have been mended."""
        return self.by_key.get(task.key, {}).get("status") == "complete"


def teacher_tasks(trials: Iterable[TrialSpec]) -> list[Task]:
    """To make every teacher that one of the trials reads, each once."""
    tasks = [
        teacher_task(trial.data, trial.all_teachers[name])
        for trial in trials for name in teachers_of(trial)
    ]  # fmt: skip
    return list({task.key: task for task in tasks}.values())


def teacher_task(data: Component, teacher: TeacherSpec) -> Task:
    """To make one teacher: find it among those that are stored, or train it."""
    none = Component(name="none")
    trial = TrialSpec(data=data, teacher=teacher, student=teacher.model, strategy=none)
    return Task(f"teacher {teacher.model.name} for {data.name}", "teacher", trial)


def run(tasks: Sequence[Task], log: Log, *, teachers: Path, processes: int) -> None:
    """Run what is not yet in the log, in order, teachers before all else."""
    wanted: dict[str, Task] = {}
    for task in tasks:
        if not log.has(task):
            wanted.setdefault(task.key, task)
    if not wanted:
        return
    # One that is in the log may be gone from the store: to look for it again costs nothing.
    before = teacher_tasks(task.trial for task in wanted.values())
    os.environ["OMP_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(
        processes,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_begin,
        initargs=(str(teachers),),
    ) as pool:
        try:
            for stage in (before, list(wanted.values())):
                _run_stage(pool, stage, log)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _run_stage(pool: ProcessPoolExecutor, tasks: Sequence[Task], log: Log) -> None:
    began, by = time.monotonic(), made_by()
    sent: dict[Future[Line], Task] = {
        pool.submit(_work, task.kind, task.trial.model_dump(mode="json")): task for task in tasks
    }
    for number, future in enumerate(as_completed(sent), start=1):
        task, found = sent[future], future.result()
        at = datetime.now(UTC).isoformat(timespec="seconds")
        if not log.has(task):
            log.add({"key": task.key, **found, "by": by, "at": at})
        left_min = (time.monotonic() - began) / number * (len(tasks) - number) / 60
        measure.say(
            f"{number}/{len(tasks)}, about {left_min:.0f} min left: {task.what}: {_brief(found)}"
        )


def made_by() -> dict[str, Any]:
    """What the numbers depend on: the code of the trials, the machine, PyTorch."""
    place = measure.where()
    return {
        "code": code_version(),
        "cpu": place["cpu"],
        "cpus": place["cpus"],
        "python": place["python"],
        "torch": place["packages"]["torch"],
    }


def code_version() -> str:
    """A hash of the files that a trial's numbers come from."""
    root = Path(kdsweep.__file__).parent
    found = hashlib.sha256()
    for room in _ROOMS:
        place = root / room
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            found.update(str(path.relative_to(root)).encode() + path.read_bytes())
    return found.hexdigest()[:12]


def _brief(found: Mapping[str, Any]) -> str:
    if found["status"] != "complete":
        return f"{found['status']}: {(found['error'] or '').strip().splitlines()[-1:]}"
    return f"{100 * found['accuracy']:.1f} % in {found['seconds']:.1f} s"


_session: Session | None = None


def _begin(teachers: str) -> None:
    """Set a worker process up."""
    global _session
    # A Ctrl-C reaches all processes: this one goes without a word, the first one says what to do.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    torch.set_num_threads(1)
    _session = Session(device=torch.device("cpu"), teachers=Path(teachers))


def _work(kind: str, settings: Mapping[str, Any]) -> Line:
    """Do a task in a worker process: plain values that travel back."""
    assert _session is not None
    trial, began = TrialSpec.model_validate(settings), time.process_time()
    if kind == "teacher":
        outcome = _session.prepare(trial, _go_on)
        told = outcome.teachers[0] if outcome.teachers else {}
        found = {name: told.get(name) for name in ("accuracy", "params", "macs")}
    else:
        outcome = _session.run(trial, _go_on)
        found = {name: outcome.metrics.get(name) for name in ("accuracy", "params", "macs")}
    return {
        **found,
        "status": outcome.status,
        "error": outcome.error,
        "seconds": outcome.seconds,
        "cpu_s": time.process_time() - began,
    }


def _go_on(epoch: EpochMetrics, teacher: str = "") -> Verdict:
    return Verdict.CONTINUE
