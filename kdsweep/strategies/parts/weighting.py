"""How much a loss term counts, as the settings of a strategy say it."""

from pydantic import Field, model_validator

from kdsweep.spec import Settings
from kdsweep.strategies.base import Weight


class TermWeight(Settings):
    """The weight of a strategy's term: relative (searchable), or raw (as papers print it).

    The magnitudes of raw losses span six orders, so one range can only be searched for a weight
    that is relative to the hard-label loss. The raw weight that came of it is in the record of the
    trial, and repeats it.
    """

    weight: float = Field(1.0, ge=0, description="relative to the hard-label loss at the start")
    raw_weight: float | None = Field(None, ge=0, description="as it is, in place of weight")

    @model_validator(mode="after")
    def _one_weight(self) -> "TermWeight":
        if self.raw_weight is not None and "weight" in self.model_fields_set:
            raise ValueError("give either weight (relative) or raw_weight (as it is), not both")
        return self

    @property
    def term_weight(self) -> Weight:
        """The one that was given; relative 1 if none was."""
        if self.raw_weight is not None:
            return Weight(self.raw_weight)
        return Weight(self.weight, relative=True)


def warmed_up(progress: float, warmup: float) -> float:
    """The factor of a weight that rises from 0 to 1 within the share ``warmup`` of training."""
    return min(progress / warmup, 1.0) if warmup else 1.0
