"""The record of one trial: what every table, picture and MLflow run is made from."""

from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from kdsweep.errors import redacted
from kdsweep.results.latency import Latency

SCHEMA_VERSION: Final = 1

Status = Literal["running", "complete", "failed", "pruned", "stopped"]
"""``pruned`` was ended at a rung, ``stopped`` was cut short by the end of its sweep."""
ENDED: Final[tuple[Status, ...]] = ("complete", "failed", "pruned")
"""Of trials that need not run again."""

WAITING: Final = "waiting"
"""In place of the lane of a running trial that no living lane has."""

Role = Literal["trial", "control", "teacher"]
Metric = Literal["accuracy", "loss", "params", "macs", "size_bytes", "latency_ms"]


class EpochMetrics(BaseModel):
    """What one epoch gave: validation metrics and the mean of every loss term in training."""

    # A loss that diverged is NaN, which JSON has no number for: as a string it reads back.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    epoch: int = Field(ge=1)
    accuracy: float
    """On the validation split, 0..1; NaN where the student learns from that as well."""
    loss: float
    """Cross-entropy on the validation split, in nats; NaN likewise."""
    train: dict[str, float] = Field(default_factory=dict)
    """``total`` and each term, unweighted, averaged over the epoch's samples."""
    lr: float
    seconds: float


class TrialResult(BaseModel):
    """The record of one trial, complete in itself.

    ``metrics`` are the values of the last epoch and of the network, in a confirmation
    ``test_accuracy`` and ``test_loss`` too; ``changes`` maps dotted paths
    to the values that the search set; ``params`` is the sampler's own flat view of them;
    ``trial`` is the resolved trial, which runs again as it stands.
    """

    # A loss that diverged is NaN, which JSON has no number for: as a string it reads back.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    schema_version: Literal[1] = SCHEMA_VERSION
    trial_id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")
    number: int = Field(ge=0)
    point: int = Field(default_factory=lambda given: given.get("number", 0), ge=0)
    """What the search proposed: trials of one point differ in their seed alone."""
    replicate: int = Field(0, ge=0)
    """Which trial of its point this is, from zero."""
    replicates: int = Field(1, ge=1)
    """How many trials its point has in all."""
    role: Role = "trial"
    status: Status
    name: str
    """For people: ``kd w16 T4.2``."""
    trial: dict[str, Any]
    changes: dict[str, Any] = Field(default_factory=dict)
    params: dict[str, Any] = Field(default_factory=dict)
    metrics: dict[str, float] = Field(default_factory=dict)
    epochs: tuple[EpochMetrics, ...] = ()
    latency: Latency | None = None
    """How ``latency_ms`` was measured, and what was measured beside it."""
    weights_of_terms: dict[str, float] = Field(default_factory=dict)
    """The raw weight of each loss term, as the trial was trained."""
    error: str | None = None
    """Why it failed or was stopped, in a sentence."""
    traceback: str = ""
    """Of an error that was not foreseen, as in a class of one's own."""
    interruptions: tuple[str, ...] = ()
    """Lanes or sweeps that ended while they trained it, each with the epoch and the reason."""
    device: str = ""
    computed: str = ""
    """How the networks ran: ``float32, channels_last``; empty where nothing was trained."""
    lane: str = ""
    started: float = 0.0
    """Seconds since 1970."""
    seconds: float = 0.0
    """Wall time of training and measuring."""
    weights: str | None = None
    """The student's weights, a path relative to the run directory."""

    @field_validator("error", "traceback")
    @classmethod
    def _without_passwords(cls, text: str | None) -> str | None:
        return None if text is None else redacted(text)

    @field_validator("weights")
    @classmethod
    def _stays_in_the_run(cls, weights: str | None) -> str | None:
        path = PurePosixPath(weights or "")
        if path.is_absolute() or ".." in path.parts:
            raise ValueError("leads out of the run directory")
        return weights

    @property
    def label(self) -> str:
        """The name, and which replicate of how many it is where there are several."""
        if self.replicates == 1:
            return self.name
        return f"{self.name} ({self.replicate + 1}/{self.replicates})"

    @property
    def trial_ids(self) -> tuple[str, ...]:
        """The trials that this is the result of."""
        return (self.trial_id,)


def epochs_in(records: Iterable[TrialResult]) -> int:
    """Epochs that students trained, by their records.

    ``student_epochs`` of ``run.json`` is written now and then, and by a driver that died no more.
    """
    return sum(len(each.epochs) for each in records if each.role != "teacher")
