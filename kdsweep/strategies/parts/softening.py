"""Settings of the softened logits: temperature, the share of the labels, and their schedules."""

import math
from collections.abc import Mapping
from typing import Literal

from pydantic import Field, model_validator

from kdsweep.spec import Settings
from kdsweep.strategies.base import Weight

Schedule = Literal["constant", "linear", "cosine"]


class Softening(Settings):
    """Softening of both networks, and the hard label's share of the loss.

    Both may move during training, from the value itself to the one of ``_end``. ``w_ce`` and
    ``w_kd`` replace ``alpha`` and ``1 - alpha`` by weights that need not sum to one.
    """

    temperature: float = Field(4.0, gt=0, le=1000)
    temperature_schedule: Schedule = "constant"
    temperature_end: float | None = Field(None, gt=0, le=1000)
    alpha: float = Field(0.1, ge=0, le=1, description="weight of the hard-label loss")
    alpha_schedule: Schedule = "constant"
    alpha_end: float | None = Field(None, ge=0, le=1)
    w_ce: float | None = Field(None, ge=0, description="weight of CE, in place of alpha")
    w_kd: float | None = Field(None, ge=0, description="weight of KD, in place of 1 - alpha")

    @model_validator(mode="after")
    def _one_way_of_weighting(self) -> "Softening":
        if (self.w_ce is None) != (self.w_kd is None):
            missing = "w_ce" if self.w_ce is None else "w_kd"
            raise ValueError(f"w_ce and w_kd go together: {missing} is missing")
        given = "alpha" in self.model_fields_set or self.alpha_end is not None
        if self.w_ce == 0 and self.w_kd == 0:
            raise ValueError("w_ce and w_kd are both 0: nothing is learned; give one of them more")
        if self.w_ce is not None and given:
            raise ValueError("give either alpha, or w_ce and w_kd, not both")
        return self

    @model_validator(mode="after")
    def _schedules_with_ends(self) -> "Softening":
        ends = {"temperature": self.temperature_end, "alpha": self.alpha_end}
        schedules = {"temperature": self.temperature_schedule, "alpha": self.alpha_schedule}
        for name, schedule in schedules.items():
            if schedule == "constant" and ends[name] is not None:
                raise ValueError(f"{name}_end needs {name}_schedule: linear or cosine")
            if schedule != "constant" and ends[name] is None:
                raise ValueError(f"{name}_schedule: {schedule} needs {name}_end, where it ends")
        return self

    def temperature_at(self, progress: float) -> float:
        """The temperature at a share of training."""
        return moved(self.temperature, self.temperature_end, self.temperature_schedule, progress)

    def weights(self) -> dict[str, Weight]:
        """Of ``hard`` and ``soft``; 1 for each where alpha moves, and the ``factors`` hold it."""
        if self.w_ce is not None and self.w_kd is not None:
            return {"hard": Weight(self.w_ce), "soft": Weight(self.w_kd)}
        if self.alpha_end is not None:
            return {"hard": Weight(1.0), "soft": Weight(1.0)}
        return {"hard": Weight(self.alpha), "soft": Weight(1 - self.alpha)}

    def factors(self, progress: float) -> Mapping[str, float]:
        """alpha and ``1 - alpha`` at a share of training, where alpha moves."""
        if self.alpha_end is None:
            return {}
        alpha = moved(self.alpha, self.alpha_end, self.alpha_schedule, progress)
        return {"hard": alpha, "soft": 1 - alpha}


def moved(start: float, end: float | None, schedule: Schedule, progress: float) -> float:
    """The value on its way from ``start`` to ``end``, at a share of training.

    ``linear`` moves at one speed, ``cosine`` slowly at both ends (half a cosine).
    """
    if schedule == "constant" or end is None:
        return start
    way = progress if schedule == "linear" else (1 - math.cos(math.pi * progress)) / 2
    return start + (end - start) * way
