"""Rungs: epochs after which a trial is held against others, and goes on if it is good enough."""

from math import ceil

from pydantic import Field

from kdsweep.spec.settings import Settings
from kdsweep.spec.trial import Constant, PerRung, Steps, TrainSpec

EARLIEST = 0.25
"""No rung before this share of training: earlier ranks say little about the last ones."""

_SETTLED = 0.02
"""After the learning rate has dropped accuracy rises for about this share of training."""


class RungSpec(Settings):
    """Which trials end early: of those that reach a rung, the best ``1 / eta`` go on."""

    grace: int = Field(3, ge=1, le=100_000, description="epochs that every trial trains")
    eta: float = Field(3.0, gt=1, le=100, description="one in so many goes on")


def rung_epochs(train: TrainSpec, rungs: RungSpec) -> tuple[int, ...]:
    """The epochs (from 1, before the last) at which a trial of these settings has its rungs.

    They sit where the schedule lets one student be compared with another: at the ends of
    ``per_rung``, after each drop of ``steps``, and with a ``constant`` rate at each ``eta``-th of
    what is left. A single ``cosine`` has no such place before its end.
    """
    schedule, epochs = train.schedule, train.epochs
    found: list[int] = []
    if isinstance(schedule, PerRung):
        found += schedule.end_epochs(epochs)
    elif isinstance(schedule, Steps):
        settled = max(1, round(_SETTLED * epochs))
        found += sorted({ceil(milestone * epochs) + settled for milestone in schedule.milestones})
    elif isinstance(schedule, Constant):
        epoch = max(rungs.grace, ceil(EARLIEST * epochs))
        while epoch < epochs:
            found.append(epoch)
            epoch = max(epoch + 1, round(epoch * rungs.eta))
    least = max(rungs.grace, schedule.warmup * epochs)
    return tuple(epoch for epoch in found if least <= epoch < epochs)
