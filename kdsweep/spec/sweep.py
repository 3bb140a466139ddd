"""A sweep: a trial, what varies in it, what is wanted, and what it may use."""

from typing import Any, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from kdsweep.spec.rungs import RungSpec, rung_epochs
from kdsweep.spec.settings import LocalPath, Settings
from kdsweep.spec.space_parse import parse_entries
from kdsweep.spec.surroundings import (
    RUN_NAME,
    ClusterSpec,
    StorageSpec,
    TrackingSpec,
    not_a_run,
)
from kdsweep.spec.together import paths_of
from kdsweep.spec.trial import TrialSpec

Metric = Literal["accuracy", "loss", "params", "macs", "size_bytes", "latency_ms"]
Direction = Literal["max", "min"]
NamedSampler = Literal["tpe", "random", "nsga2", "nsga3", "gp", "grid"]
Sampler = Literal["auto", NamedSampler]

_LARGEST_SEED = 2**31 - 1
"""That ``trial.seed`` may have."""

_ONLY_FOR: dict[str, tuple[str, ...]] = {
    "grid_points": ("grid",),
    "population": ("nsga2", "nsga3"),
    "warm_start": ("auto", "tpe", "nsga2", "nsga3", "gp"),
}


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


class BudgetSpec(Settings):
    """What a sweep may spend; it ends cleanly at the first of these, and says what it spent."""

    example: ClassVar[str] = "{hours: 8}"

    hours: float | None = Field(None, gt=0, le=100_000, description="of wall time")
    epochs: int | None = Field(
        None, ge=1, le=10**12, description="that students train, all trials together"
    )
    cost: float | None = Field(
        None, gt=0, le=10**9, description="in the currency of cluster.cost_per_hour"
    )

    @model_validator(mode="after")
    def _limits_something(self) -> "BudgetSpec":
        if self.hours is None and self.epochs is None and self.cost is None:
            raise ValueError("limits nothing: give hours, epochs or cost, or several of them")
        return self


class SearchSpec(Settings):
    """Who proposes the points to train, and how many; the controls come on top of ``trials``.

    ``trials``, ``batch`` and ``population`` count points: each is trained ``replicates`` times.
    """

    example: ClassVar[str] = "{sampler: tpe, trials: 40}"

    sampler: Sampler = Field("auto", description="auto chooses by the space and the trials")
    trials: int = Field(
        40, ge=1, le=1_000_000, description="no limit where a budget is given and this is not"
    )
    budget: BudgetSpec | None = None
    rungs: RungSpec | None = Field(
        RungSpec(), description="where trials are held against others and the worse ones end"
    )
    replicates: int = Field(
        1, ge=1, le=1000, description="train each point so often: trial.seed, trial.seed + 1, ..."
    )
    seed: int = Field(0, ge=0, lt=2**31)
    batch: int | None = Field(
        None, ge=1, description="propose so many at a time, in an order that nothing can change"
    )
    grid_points: int = Field(3, ge=2, le=1000, description="values of each range; grid only")
    population: int = Field(16, ge=2, le=10_000, description="of a generation; nsga2, nsga3 only")
    warm_start: tuple[LocalPath, ...] = Field(
        (),
        description="directories or addresses of earlier runs, to learn from",
    )

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

    @field_validator("warm_start")
    @classmethod
    def _each_once(cls, runs: tuple[str, ...]) -> tuple[str, ...]:
        twice = [run for number, run in enumerate(runs) if run in runs[:number]]
        if twice:
            raise ValueError(f"{twice[0]} is named twice: its trials would count twice")
        return runs

    @model_validator(mode="after")
    def _rungs_have_an_order(self) -> "SearchSpec":
        against = "replicates" if self.replicates > 1 else "batch" if self.batch else None
        if self.asks_for_rungs and against is not None:
            reason = (
                "a point is judged when all of its replicates have ended"
                if against == "replicates"
                else "who ends at a rung depends on who reached it before"
            )
            raise ValueError(
                f"rungs and {against} exclude each other: {reason}; remove one of them"
            )
        return self

    @property
    def ends_early(self) -> RungSpec | None:
        """The rungs' settings; ``None`` where every trial trains to its last epoch."""
        return self.rungs if self.replicates == 1 and self.batch is None else None

    @property
    def asks_for_rungs(self) -> bool:
        """Whether the file itself does: then it is a mistake if there can be none."""
        return self.rungs is not None and "rungs" in self.model_fields_set

    @property
    def has_most_trials(self) -> bool:
        """Whether ``trials`` is a limit: a budget in its place lets as many run as it pays for."""
        return self.budget is None or "trials" in self.model_fields_set


class SweepSpec(Settings):
    """All that a sweep file says. ``space`` is as written: ``Space.parse`` reads it."""

    name: str = Field(pattern=f"^{RUN_NAME}$")
    description: str = ""
    trial: TrialSpec
    space: dict[str, Any]
    objectives: dict[Metric, Direction] = Field(
        {"accuracy": "max", "params": "min"}, min_length=1, max_length=4
    )
    constraints: dict[Metric, Bound] = Field(default_factory=dict)
    search: SearchSpec = SearchSpec()
    cluster: ClusterSpec = ClusterSpec()
    storage: StorageSpec = StorageSpec()
    tracking: TrackingSpec = TrackingSpec()

    @field_validator("name")
    @classmethod
    def _of_a_run(cls, name: str) -> str:
        if wrong := not_a_run(name):
            raise ValueError(wrong)
        return name

    @field_validator("space")
    @classmethod
    def _validation_is_for_choosing(
        cls, space: dict[str, Any], others: ValidationInfo
    ) -> dict[str, Any]:
        """A sweep chooses by what it measures on the validation data: no student may know them."""
        trial, entries = others.data.get("trial"), parse_entries(space)[0]
        varied = any("with_validation" in paths_of(name, node) for name, node in entries)
        if varied or (trial is not None and trial.with_validation):
            raise ValueError(
                "with_validation is for one trial alone, and for `kdsweep confirm "
                "--with-validation`: a sweep chooses its students on the validation data; "
                "take it out"
            )
        return space

    @field_validator("search")
    @classmethod
    def _rungs_have_a_place(cls, search: SearchSpec, others: ValidationInfo) -> SearchSpec:
        """Rungs that were asked for and can be nowhere would be ignored."""
        trial = others.data.get("trial")
        if trial is None or search.rungs is None or not search.asks_for_rungs:
            return search
        moved = any(
            p == "train" or p.startswith(("train.epochs", "train.schedule"))
            for p in _varied(others)
        )
        if not moved and not rung_epochs(trial.train, search.rungs):
            earlier = rung_epochs(trial.train, search.rungs.model_copy(update={"grace": 1}))
            instead = "a smaller grace" if earlier else "the schedule per_rung"
            raise ValueError(
                f"rungs do nothing: in {trial.train.epochs} epochs of the schedule "
                f"{trial.train.schedule.name!r} there is no place for one after "
                f"{search.rungs.grace}; use {instead}, more epochs, or rungs: null"
            )
        return search

    @field_validator("constraints")
    @classmethod
    def _accuracy_is_a_share(cls, constraints: dict[Metric, Bound]) -> dict[Metric, Bound]:
        bound = constraints.get("accuracy", Bound(min=0))
        for end, value in (("min", bound.min), ("max", bound.max)):
            if value is not None and not 0 <= value <= 1:
                raise ValueError(
                    f"accuracy.{end} is {value:g}: must be between 0 and 1, 0.95 is 95 %"
                )
        return constraints

    @field_validator("cluster")
    @classmethod
    def _cost_has_a_price(cls, cluster: ClusterSpec, others: ValidationInfo) -> ClusterSpec:
        search = others.data.get("search")
        budget = None if search is None else search.budget
        if budget is not None and budget.cost is not None and not cluster.cost_per_hour:
            raise ValueError(
                f"search.budget.cost is {budget.cost:g}, and cost_per_hour is not given or 0: "
                "nobody knows when it is spent; give cost_per_hour, or limit hours in place of cost"
            )
        return cluster

    @field_validator("search")
    @classmethod
    def _a_trial_can_be_paid_for(cls, search: SearchSpec, others: ValidationInfo) -> SearchSpec:
        """Otherwise the sweep would end before it begins."""
        trial, budget = others.data.get("trial"), search.budget
        if trial is None or budget is None or budget.epochs is None:
            return search
        epochs, replicates = trial.train.epochs, search.replicates
        if not _varied(others) & {"train", "train.epochs"} and budget.epochs < epochs * replicates:
            of_what = "one trial" if replicates == 1 else f"{replicates} replicates of a trial"
            raise ValueError(
                f"budget: {budget.epochs} epochs do not pay for {of_what} of {epochs}; raise "
                "epochs, or lower train.epochs"
            )
        return search

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


def _varied(others: ValidationInfo) -> set[str]:
    """The dotted paths that the file's space sets."""
    entries, _ = parse_entries(others.data.get("space", {}))
    return {path for name, node in entries for path in paths_of(name, node)}
