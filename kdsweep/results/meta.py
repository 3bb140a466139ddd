"""What is known of a sweep as a whole: the file ``run.json`` of its run directory."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from kdsweep.errors import redacted
from kdsweep.results.confirms import Confirms
from kdsweep.results.record import SCHEMA_VERSION, Metric

RunStatus = Literal["running", "complete", "stopped", "failed"]
Direction = Literal["max", "min"]


class TeacherMeta(BaseModel):
    """The teacher that all trials of a sweep were distilled from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hash: str
    """Of its architecture, its weights or training, and the data."""
    name: str = ""
    accuracy: float | None = None
    """On the validation split, 0..1."""
    loss: float | None = None
    params: int | None = None
    macs: int | None = None
    size_bytes: int | None = None
    seconds: float = 0.0
    """Wall time of training it; zero where it was loaded or found."""
    reused: bool = False
    weights: str | None = None


class RunMeta(BaseModel):
    """A sweep as a whole: what was asked, where and with what it ran, how far it came."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    schema_version: Literal[1] = SCHEMA_VERSION
    sweep_id: str = Field(pattern=r"^[0-9a-f]{32}$")
    name: str = Field(min_length=1)
    created: str
    """ISO 8601 with its time zone."""
    status: RunStatus = "running"
    objectives: dict[Metric, Direction] = Field(min_length=1)
    constraints: dict[Metric, dict[Direction, float | None]] = Field(default_factory=dict)
    sampler: str = ""
    seed: int = 0
    replicates: int = Field(1, ge=1)
    """How many trials each point of the search has."""
    confirms: Confirms | None = None
    """What is confirmed, where this is no sweep but a confirmation of one."""
    trials: int | None = Field(0, ge=0)
    """How many are planned, controls and replicates included; none where a budget decides."""
    version: str = ""
    packages: dict[str, str] = Field(default_factory=dict)
    git_commit: str | None = None
    python: str = ""
    host: str = ""
    """The machine in words: name, cores, accelerators."""
    address: str | None = None
    """Of the Ray cluster that it last ran on; none where that was a machine alone."""
    started_in: str = ""
    """The directory that relative paths in the sweep file are meant from, on that machine."""
    sweep_sha256: str = ""
    teacher: TeacherMeta | None = None
    data_fingerprint: str | None = None
    examples: dict[str, int] = Field(default_factory=dict)
    """How many the data have to train on, for validation and for test; once they were read."""
    num_classes: int | None = None
    """Of the data, once they were read."""
    inputs: dict[str, tuple[int, ...]] = Field(default_factory=dict)
    """The shape of one input as networks see it: ``images`` to ``[D, H, W]``, ``tokens`` to their
    greatest number; once they were read."""
    tracking_uri: str | None = None
    mlflow_run_id: str | None = None
    wall_seconds: float = 0.0
    student_epochs: int = Field(0, ge=0)
    """Epochs that students trained, those of trials that did not come to their end included."""
    cost: float | None = None
    """At ``cluster.cost_per_hour``; none where that is not given."""
    extended: dict[str, float] = Field(default_factory=dict)
    """Added to the limits of the sweep file: ``trials``, ``epochs``, ``hours``, ``cost``."""
    ended_by: str = ""
    """Why it ended before its last trial, in words: a budget, or what it failed of."""

    @field_validator("tracking_uri")
    @classmethod
    def _without_credentials(cls, uri: str | None) -> str | None:
        return None if uri is None else redacted(uri)
