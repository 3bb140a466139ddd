"""A job of a lane as the switchboard knows it; like the switchboard, of the standard library alone.

A job is asked for once, and may pass through several lanes before it ends.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

Job = dict[str, Any]
"""What a lane is asked to do: ``key`` names it, ``trial`` is the resolved trial.

``after`` may name a job that must have ended before; others are handed out meanwhile. ``rungs``
are the epochs after which its lane waits to hear whether the job goes on. ``checkpoints`` is where
the trial's are kept. With ``opens_test`` students and teacher are measured on the test data when
they are done.
"""

Answer = dict[str, Any]
"""Whether a job ``goes_on`` after a rung, and ``why`` not."""


@dataclass(frozen=True)
class Loss:
    """Why a lane was lost, in a clause; what Python and Ray have to say of it; whose fault it is.

    A node that was ``taken_away`` is no failure of the trial that was on it. Of a ``quiet`` one
    nobody need hear where the lane was not up yet: it waits for room.
    """

    why: str
    traceback: str = ""
    taken_away: bool = False
    quiet: bool = False


@dataclass(frozen=True)
class Interruption:
    """A lane that ended while it had a job: after which epoch, so far as that is known, and why."""

    lane: str
    after: int
    why: str

    @property
    def words(self) -> str:
        """``lane-001, after epoch 12: its worker died``."""
        return f"{self.lane}, after epoch {self.after}: {self.why}"


@dataclass
class JobState:
    """What is known of one job, and who waits to hear more.

    ``epochs`` only grow: a lane that goes on from an earlier epoch tells some of them again.
    """

    job: Job
    lane: str | None = None
    log: str = ""
    """Where the last lane's own words are."""
    epochs: list[dict[str, Any]] = field(default_factory=list)
    teacher_epochs: list[dict[str, Any]] = field(default_factory=list)
    outcome: dict[str, Any] | None = None
    stopped: bool = False
    failures: int = 0
    lives: int = 0
    """How many lanes have lost it."""
    interruptions: list[Interruption] = field(default_factory=list)
    resumed_after: int = 0
    """The epoch from which the lane at hand has gone on."""
    at_rung: dict[str, Any] | None = None
    rung_told: bool = False
    answers: dict[int, Answer] = field(default_factory=dict)
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def told(self, seen: int) -> dict[str, Any]:
        """What there is to tell after the first ``seen`` epochs."""
        return {
            "epochs": self.epochs[seen:],
            "last_teacher_epoch": self.teacher_epochs[-1] if self.teacher_epochs else None,
            "outcome": self.outcome,
            "lane": self.lane,
            "at_rung": self.at_rung,
            "interruptions": [each.words for each in self.interruptions],
            "resumed_after": self.resumed_after,
        }

    def resumed(self, epochs: Sequence[dict[str, Any]]) -> None:
        """A lane goes on after these epochs, which may be more than the last one could tell of."""
        self.epochs.extend(epochs)
        self.resumed_after = epochs[-1]["epoch"]
        if self.interruptions:
            last = self.interruptions[-1]
            self.interruptions[-1] = replace(last, after=max(last.after, self.resumed_after))

    def lost(self, loss: Loss, *, max_failures: int) -> bool:
        """Its lane is no more; whether it is to be given to another."""
        after = self.epochs[-1]["epoch"] if self.epochs else 0
        self.interruptions.append(Interruption(self.lane or "", after, loss.why))
        self.lives += 1
        self.failures += not loss.taken_away
        self.lane, self.at_rung, self.resumed_after = None, None, 0
        self.answered.set()
        if self.failures <= max_failures:
            return True
        log = f" (its log: {self.log})" if self.log else ""
        self.outcome = {
            "status": "failed",
            "error": f"given up after {self._failures}: {loss.why}{self._about}{log}",
            "traceback": loss.traceback,
        }
        self.news.set()
        return False

    @property
    def _about(self) -> str:
        """What a person makes smaller where the memory was too little, which nobody may know."""
        trial = self.job.get("trial") or {}
        student, train = trial.get("student"), trial.get("train")
        if not student or not train:
            return ""
        return f" with student {student['name']} and batch size {train['batch_size']}"

    @property
    def _failures(self) -> str:
        return f"{self.failures} failure{'s' * (self.failures != 1)}"
