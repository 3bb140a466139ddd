"""A sweep: a trial, what varies in it, what is wanted, and what it may use."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from kdsweep.spec.settings import Settings
from kdsweep.spec.space_parse import parse_entries
from kdsweep.spec.together import paths_of
from kdsweep.spec.trial import TrialSpec

Metric = Literal["accuracy", "loss", "params", "macs", "size_bytes", "latency_ms"]
Direction = Literal["max", "min"]
NamedSampler = Literal["tpe", "random", "nsga2", "nsga3", "gp", "grid"]
Sampler = Literal["auto", NamedSampler]

_LARGEST_SEED = 2**31 - 1
"""That ``trial.seed`` may have."""

_ONLY_FOR: dict[str, tuple[str, ...]] = {"grid_points": ("grid",), "population": ("nsga2", "nsga3")}


class Bound(Settings):
    """What a metric must reach for a student to count, both ends inside."""

    example: ClassVar[str] = "{max: 20000}"

    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _in_order(self) -> "Bound":
        if self.min is None and self.max is None:
            raise ValueError("bounds nothing: give min, max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}: nothing can meet both")
        return self


class SearchSpec(Settings):
    """Who proposes the points to train, and how many; the controls come on top of ``trials``.

    ``trials``, ``batch`` and ``population`` count points: each is trained ``replicates`` times.
    """

    example: ClassVar[str] = "{sampler: tpe, trials: 40}"

    sampler: Sampler = Field("auto", description="auto chooses by the space and the trials")
    trials: int = Field(40, ge=1, le=1_000_000)
    replicates: int = Field(
        1, ge=1, le=1000, description="train each point so often: trial.seed, trial.seed + 1, ..."
    )
    seed: int = Field(0, ge=0, lt=2**31)
    batch: int | None = Field(
        None, ge=1, description="propose so many at a time, in an order that nothing can change"
    )
    grid_points: int = Field(3, ge=2, le=1000, description="values of each range; grid only")
    population: int = Field(16, ge=2, le=10_000, description="of a generation; nsga2, nsga3 only")

    @model_validator(mode="after")
    def _nothing_ignored(self) -> "SearchSpec":
        for name, samplers in _ONLY_FOR.items():
            if name in self.model_fields_set and self.sampler not in samplers:
                wanted = " or ".join(samplers)
                raise ValueError(
                    f"{name} does nothing for sampler {self.sampler!r} (it is for {wanted}): "
                    "remove it"
                )
        return self


class ClusterSpec(Settings):
    """What a trial runs on, and how many run at once; the defaults fit the machine at hand.

    A lane is a worker, or ``workers_per_trial`` of them, that trains one trial after another;
    ``lanes_per_run`` of them share one Ray Train run. ``address`` is that of a running cluster.
    """

    concurrent_trials: int | None = Field(None, ge=1, le=100_000)
    workers_per_trial: int = Field(1, ge=1, le=10_000)
    cpus_per_worker: float = Field(1, gt=0, le=10_000)
    gpus_per_worker: float | None = Field(
        None, ge=0, le=1000, description="may be a fraction; null takes what the machine has"
    )
    lanes_per_run: int | None = Field(None, ge=1, le=100_000)
    address: Annotated[str, Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _whole_gpus(self) -> "ClusterSpec":
        gpus = self.gpus_per_worker
        if gpus is not None and gpus > 1 and gpus != int(gpus):
            raise ValueError(f"gpus_per_worker is {gpus}: above 1 it must be a whole number")
        return self

    @model_validator(mode="after")
    def _one_lane_per_group(self) -> "ClusterSpec":
        if self.workers_per_trial > 1 and (self.lanes_per_run or 1) > 1:
            raise ValueError(
                f"lanes_per_run is {self.lanes_per_run}: lanes of several workers have a run each, "
                "remove it or set workers_per_trial to 1"
            )
        return self


class TrackingSpec(Settings):
    """Where MLflow keeps the trials; without ``uri`` beside the run directories."""

    enabled: bool = True
    uri: Annotated[str, Field(min_length=1)] | None = None
    experiment: str = Field("kdsweep", min_length=1, max_length=200)


class SweepSpec(Settings):
    """All that a sweep file says. ``space`` is as written: ``Space.parse`` reads it."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    description: str = ""
    trial: TrialSpec
    space: dict[str, Any]
    objectives: dict[Metric, Direction] = Field(
        {"accuracy": "max", "params": "min"}, min_length=1, max_length=4
    )
    constraints: dict[Metric, Bound] = Field(default_factory=dict)
    search: SearchSpec = SearchSpec()
    cluster: ClusterSpec = ClusterSpec()
    tracking: TrackingSpec = TrackingSpec()

    @field_validator("search")
    @classmethod
    def _seeds_are_for_replicates(cls, search: SearchSpec, others: ValidationInfo) -> SearchSpec:
        """Here, not over the whole: so that it is reported together with other problems."""
        num = search.replicates
        if num == 1:
            return search
        entries, _ = parse_entries(others.data.get("space", {}))
        if any("seed" in paths_of(name, node) for name, node in entries):
            raise ValueError(
                f"replicates is {num}, and space varies seed: replicates of a point differ in "
                "their seed, which is never searched; take seed out of space, or replicates out "
                "of search"
            )
        trial = others.data.get("trial")
        if trial is not None and trial.seed + num - 1 > _LARGEST_SEED:
            raise ValueError(
                f"replicates is {num}, and trial.seed is {trial.seed}: the last replicate would "
                f"have a seed above {_LARGEST_SEED}; lower trial.seed"
            )
        return search
