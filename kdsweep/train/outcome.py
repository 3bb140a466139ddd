"""How a trial ended, and in which words where it failed."""

import time
import traceback
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from kdsweep.errors import KdsweepError, in_one_line, whole_traceback
from kdsweep.results.record import Status
from kdsweep.spec import TrialSpec
from kdsweep.storage.atomic import NO_ROOM
from kdsweep.sweep_file.components import components
from kdsweep.train.teacher_store import TeacherCard

_NO_MEMORY = "DefaultCPUAllocator: "
"""With this torch begins to say that the host has no memory, in an error of no type of its own."""


@dataclass(frozen=True)
class Outcome:
    """How a trial ended, in plain values that travel between processes."""

    status: Status
    metrics: dict[str, float] = field(default_factory=dict)
    latency: dict[str, Any] | None = None
    """How the student was timed, see ``results.latency.Latency``."""
    raw_weights: dict[str, float] = field(default_factory=dict)
    teachers: tuple[dict[str, Any], ...] = ()
    """The cards of teachers that are new to this session, the main one first; each told once.

    ``teacher`` in a card is its name in the trial; one of a confirmation has ``test_accuracy`` and
    ``test_loss``.
    """
    no_room: bool = False
    """The storage is full: nobody's trial can go on, and this one is to be gone on with."""
    data: str = ""
    """The fingerprint of the data, where a job only prepares them."""
    examples: dict[str, int] = field(default_factory=dict)
    """How many these have by split, of training only where that is read."""
    num_classes: int | None = None
    inputs: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """The shape of one input of these, as ``run.json`` has it."""
    changed: tuple[str, ...] = ()
    """What is not as it was when the sweep began, a sentence each: then nothing was done."""
    error: str | None = None
    """Why it failed or was stopped, in a sentence."""
    traceback: str = ""
    """Of an error that was not foreseen, as in a class of one's own."""
    warnings: tuple[str, ...] = ()
    """What the person should know, as of their data; each told once."""
    device: str = ""
    computed: str = ""
    """How the networks ran: ``float32, channels_last``; empty where none was trained to its end."""
    seconds: float = 0.0

    def plain(self) -> dict[str, Any]:
        """As a dictionary of JSON types."""
        return asdict(self)


def told_of(card: TeacherCard, name: str) -> dict[str, Any]:
    """A card as an outcome has it, with the teacher's name in the trial."""
    return {**asdict(card), "teacher": name}


def ended_by(error: Exception, trial: TrialSpec, device: str, started: float) -> Outcome:
    """The outcome of a trial that an exception ended; what it held on the device is let go."""
    # The frames that the error went through hold the networks, and would for as long as it lives.
    traceback.clear_frames(error.__traceback__)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    seconds = time.perf_counter() - started
    if isinstance(error, InterruptedError):
        return Outcome("stopped", error=str(error), device=device, seconds=seconds)
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        return Outcome("stopped", error=str(error), no_room=True, device=device, seconds=seconds)
    foreseen = all(isinstance(e, KdsweepError | None) for e in (error, error.__cause__))
    return Outcome(
        "failed",
        error=_in_words(error, trial),
        traceback="" if foreseen else whole_traceback(error),
        device=device,
        seconds=seconds,
    )


def _in_words(error: Exception, trial: TrialSpec) -> str:
    """What failed, in a sentence; of an error that we did not foresee, where."""
    if isinstance(error, KdsweepError):
        return str(error)
    if isinstance(error, torch.cuda.OutOfMemoryError | MemoryError) or _NO_MEMORY in str(error):
        return (
            f"out of memory with student {trial.student.name} and batch size "
            f"{trial.train.batch_size}: {error}"
        )
    # The user's own may be an installed package as well.
    named = (component.name for _, _, component in components(trial))
    return in_one_line(error, {name.partition(":")[0].partition(".")[0]
                               for name in named if ":" in name})  # fmt: skip
