"""The control trials of a sweep: what its other trials are held against."""

from kdsweep.data.base import DataInfo
from kdsweep.spec import Component, TrialSpec
from kdsweep.sweep_file.changes import put


def controls(trial: TrialSpec, info: DataInfo) -> dict[str, TrialSpec]:
    """The control trials by name: no distillation, and plain KD at its published default.

    They train the trial's own student as long as every other trial. Without a teacher there is
    nothing to distil, so the first stands alone; without training data there are none.
    """
    if info.no_training:
        return {}
    names = ("none", "kd") if trial.teacher is not None else ("none",)
    return {name: put(trial, {"strategy": Component(name=name).model_dump()}) for name in names}
