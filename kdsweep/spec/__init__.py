"""What a sweep file may say. Imports nothing of ours but the errors."""

from kdsweep.spec.settings import Component, Settings
from kdsweep.spec.trial import TeacherSpec, TrainSpec, TrialSpec

__all__ = ["Component", "Settings", "TeacherSpec", "TrainSpec", "TrialSpec"]
