"""What a confirmation is of: a sweep's points, seeds that are new to them, who came before."""

from collections.abc import Iterable
from itertools import count, islice
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

_SEEDS: Final = 2**31
"""So many a trial may have."""

Kind = Literal["student", "control", "own_control"]
"""A student that was chosen; a control of the sweep; a student of its own kind, not distilled."""


class ConfirmedPoint(BaseModel):
    """A point that is trained again, and what the sweep has measured of it."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    kind: Kind
    name: str
    changes: dict[str, Any] = Field(default_factory=dict)
    """Dotted path to value: what makes it of the sweep's own trial, but for the seed."""
    params: dict[str, Any] = Field(default_factory=dict)
    trial_ids: tuple[str, ...] = ()
    """Of the sweep's trials that it was; none for an own control, which the sweep has not seen."""
    metrics: dict[str, float] = Field(default_factory=dict)
    """What the sweep has found, on validation data; of replicates their mean."""
    own_control: int | None = None
    """The point that is the same student and training without distillation."""


class Opening(BaseModel):
    """That somebody has looked at the same test data before: which run, and when."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str
    when: str
    """ISO 8601, of the first student that was measured on them."""
    same_sweep: bool = True
    """Whether it confirms this sweep, or another on the same data."""


class Confirms(BaseModel):
    """What a confirmation trains, and of which sweep."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    sweep_id: str = Field(pattern=r"^[0-9a-f]{32}$")
    run: str = Field(min_length=1)
    """The name of the sweep's run, which lies beside this one."""
    seeds: tuple[int, ...] = Field(min_length=2)
    """Of the replicates of each point, the same for all: so they can be compared in pairs."""
    points: tuple[ConfirmedPoint, ...] = Field(min_length=1)
    controls: dict[str, int] = Field(default_factory=dict)
    """The sweep's controls by the names of their strategies, as positions in ``points``."""
    with_validation: bool = False
    opened_before: tuple[Opening, ...] = ()

    @property
    def num_trials(self) -> int:
        """How many trainings that makes."""
        return len(self.points) * len(self.seeds)


def fresh_seeds(used: Iterable[int], num: int, *, first: int = 0) -> tuple[int, ...]:
    """The next ``num`` seeds from ``first`` on that are not ``used``; after the largest come the
    smallest.
    """
    known = set(used)
    return tuple(islice((s for s in (n % _SEEDS for n in count(first)) if s not in known), num))
