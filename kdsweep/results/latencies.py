"""``latency.json`` of a run: what ``kdsweep latency`` has measured of its students and its teacher.

Each device has numbers of its own, with each number of threads. They are of networks, not of
trainings: trials whose student and data have the same settings share them.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kdsweep.errors import ResultError, unknown_name
from kdsweep.results.damage import damage
from kdsweep.results.latency import Latency
from kdsweep.results.names import LATENCY_FILE
from kdsweep.results.places import read_own
from kdsweep.results.record import TrialResult
from kdsweep.storage.atomic import write_bytes
from kdsweep.storage.copies import name_of

_AS_TRIALS = "latency of one input (p50) as trials measured it"


class OnDevice(BaseModel):
    """What was measured on one device, and when it last was."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    measured: str
    """ISO 8601 with its time zone."""
    host: str = ""
    teacher: Latency | None = None
    students: dict[str, Latency] = Field(default_factory=dict)
    """By the id of the trial."""
    shared_with: dict[str, str] = Field(default_factory=dict)
    """Of trials whose numbers are those of another one, which has the same network: which one."""


class Latencies(BaseModel):
    """All that was measured of a run, by device: ``AMD EPYC, 1 thread``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    devices: dict[str, OnDevice] = Field(default_factory=dict)

    def newest(self) -> str | None:
        """The device that was last measured on; none where nothing was."""
        return max(self.devices, key=lambda name: self.devices[name].measured, default=None)

    def with_device(self, name: str, found: OnDevice) -> "Latencies":
        """These and ``found``; of what both have measured on a device the new one counts.

        Batches of other sizes stay, if they were measured under the same conditions.
        """
        old = self.devices.get(name)
        if old is not None:
            students = {
                key: new.with_older(old.students[key]) if key in old.students else new
                for key, new in found.students.items()
            }
            teacher = found.teacher or old.teacher
            if found.teacher is not None and old.teacher is not None:
                teacher = found.teacher.with_older(old.teacher)
            shared = {k: v for k, v in old.shared_with.items() if k not in found.students}
            found = found.model_copy(
                update={
                    "students": {**old.students, **students},
                    "shared_with": {**shared, **found.shared_with},
                    "teacher": teacher,
                }
            )
        return self.model_copy(update={"devices": {**self.devices, name: found}})


@dataclass(frozen=True)
class Measured:
    """Results by whose ``latency_ms`` is chosen, and what to say of it."""

    results: Sequence[TrialResult]
    teacher_ms: float | None
    """One input of the teacher, on the same device."""
    sentence: str
    is_quiet: bool = True
    """Whether it is that of ``latency.json``, where a network has one number, and not the trials'
    own."""

    def shared(self, shown: Iterable[TrialResult]) -> list[tuple[str, ...]]:
        """Of ``shown`` the ids of those whose latency is one measurement, not several."""
        groups: dict[str, list[str]] = {}
        for result in shown if self.is_quiet else ():
            if "latency_ms" in result.metrics:
                groups.setdefault(architecture_of(result.trial), []).append(result.trial_id)
        return [tuple(ids) for ids in groups.values() if len(ids) > 1]

    def words(self, shown: Iterable[TrialResult]) -> list[str]:
        """What is to be said where the latencies of ``shown`` are read, a sentence each."""
        teacher = [] if self.teacher_ms is None else [f"the teacher takes {self.teacher_ms:.4g} ms"]
        same = [f"{', '.join(ids)}: one network, timed once" for ids in self.shared(shown)]
        return [*([self.sentence] if self.sentence else []), *teacher, *same]


def device_name(latency: Latency) -> str:
    """What ``latency.json`` calls a device: its model and the threads that were used."""
    if latency.kind != "cpu":
        return latency.device
    return f"{latency.device}, {latency.threads} thread{'s' * (latency.threads != 1)}"


def read_latencies(directory: Path) -> Latencies:
    """What is in ``latency.json`` of a run; empty where it is not there.

    Raises:
        ResultError: it cannot be read, or is damaged.
    """
    path = directory / LATENCY_FILE
    try:
        return Latencies.model_validate_json(read_own(path))
    except FileNotFoundError:
        return Latencies()
    except OSError as error:
        raise ResultError(f"cannot be read: {error}", source=name_of(path)) from error
    except ValidationError as error:
        again = f"remove it, and measure again with `kdsweep latency {name_of(directory)}`"
        raise ResultError(f"{damage(error)}; {again}", source=name_of(path)) from error


def write_latencies(directory: Path, latencies: Latencies) -> None:
    """Keep ``latency.json``, in place of the last one.

    Raises:
        OSError: it cannot be written.
    """
    write_bytes(directory / LATENCY_FILE, latencies.model_dump_json(indent=1).encode() + b"\n")


def architecture_of(trial: Mapping[str, Any]) -> str:
    """Equal for resolved trials whose students take as long: of the same settings and data."""
    said = {"student": trial.get("student"), "data": trial.get("data")}
    return json.dumps(said, sort_keys=True)


def with_quiet_latency(
    results: Sequence[TrialResult], latencies: Latencies, *, device: str | None = None
) -> Measured | None:
    """The results with the latency of ``device`` (the last one measured on) as ``latency_ms``.

    A trial whose student was not measured there has none: what a trial measures while others train
    is not to be held against it. ``None`` where nothing was measured at all.

    Raises:
        ResultError: nothing was measured on ``device``.
    """
    if device is not None and device not in latencies.devices:
        raise ResultError(
            f"{unknown_name('device', device, latencies.devices or ['none'])}; "
            "`kdsweep latency` measures on one"
        )
    name = device or latencies.newest()
    if name is None:
        return None
    found = latencies.devices[name]
    known_ms = _by_architecture(results, found.students)
    of_teacher = None if found.teacher is None else found.teacher.of(1)
    teacher_ms = None if of_teacher is None else of_teacher.p50_ms
    num_teachers = sum(result.role == "teacher" for result in results)
    changed = []
    for result in results:
        # A teacher's trial has a student too. Which of several was timed its record does not say.
        taken = (
            known_ms.get(architecture_of(result.trial)) if result.role != "teacher"
            else teacher_ms if num_teachers == 1 else None
        )  # fmt: skip
        metrics = {key: value for key, value in result.metrics.items() if key != "latency_ms"}
        if taken is not None:
            metrics["latency_ms"] = taken
        changed.append(result.model_copy(update={"metrics": metrics}))
    busy = sum(each.busy for each in found.students.values())
    beside = "" if not busy else ", some of them" if busy < len(found.students) else ","
    return Measured(
        changed,
        teacher_ms,
        f"latency of one input (p50) as measured on {name}"
        + (f"{beside} while other work ran" if beside else "")
        + _not_measured(changed, name),
    )


def _not_measured(results: Sequence[TrialResult], device: str) -> str:
    """How many complete students have no latency there, so that they cannot be chosen by it."""
    complete = [r for r in results if r.status == "complete" and r.role != "teacher"]
    num = sum("latency_ms" not in each.metrics for each in complete)
    if not num:
        return ""
    which = (
        f"{num} of {len(complete)} complete trials were" if num > 1 else "one complete trial was"
    )
    return f"; {which} not measured there: `kdsweep latency RUN TRIAL` does"


def in_quiet(directory: Path, results: Sequence[TrialResult]) -> Measured:
    """The results of a run by whose latency is chosen, and what is to be said of that.

    It is that of ``latency.json``, where something was measured; else the trials' own.

    Raises:
        ResultError: ``latency.json`` is damaged.
    """
    quiet = with_quiet_latency(results, read_latencies(directory))
    if quiet is not None:
        return quiet
    networks, shared = _of_networks(results)
    said = f"{_AS_TRIALS} (of one network the median)" if shared else _AS_TRIALS
    sentence = beside_others(directory, results, said) or (said if shared else "")
    return Measured(networks, None, sentence, is_quiet=False)


def _of_networks(results: Sequence[TrialResult]) -> tuple[list[TrialResult], bool]:
    """The results with one latency for each network, the median; whether any have one in common.

    What two trainings of one network measured apart is chance, and nothing to choose by.
    """
    of_network: dict[str, list[float]] = {}
    for result in results:
        if result.role != "teacher" and "latency_ms" in result.metrics:
            own = result.metrics["latency_ms"]
            of_network.setdefault(architecture_of(result.trial), []).append(own)
    changed = []
    for result in results:
        found = of_network.get(architecture_of(result.trial), [])
        if result.role == "teacher" or "latency_ms" not in result.metrics:
            changed.append(result)
            continue
        metrics = {**result.metrics, "latency_ms": median(found)}
        changed.append(result.model_copy(update={"metrics": metrics}))
    return changed, any(len(each) > 1 for each in of_network.values())


def beside_others(directory: Path, results: Iterable[TrialResult], said: str = _AS_TRIALS) -> str:
    """That the trials' own latency was measured on a busy machine; empty where it was not."""
    if not any(result.latency is not None and result.latency.busy for result in results):
        return ""
    return f"{said}, while others trained; `kdsweep latency {name_of(directory)}` measures it alone"


def of_which_latency(directory: Path, results: Sequence[TrialResult]) -> str:
    """What a table of the trials' own latencies is to say of them."""
    return beside_others(directory, results) or _AS_TRIALS


def _by_architecture(
    results: Iterable[TrialResult], students: Mapping[str, Latency]
) -> dict[str, float]:
    """Milliseconds for one input, by the settings of student and data."""
    by_id = {result.trial_id: result for result in results}
    found: dict[str, float] = {}
    for trial_id, latency in students.items():
        result, one = by_id.get(trial_id), latency.of(1)
        if result is not None and one is not None:
            found[architecture_of(result.trial)] = one.p50_ms
    return found
