"""What a sweep file may say. Imports nothing of ours but the errors."""

from kdsweep.spec.dimension import Dimension, Label
from kdsweep.spec.settings import Component, Settings
from kdsweep.spec.space import Assignment, Space
from kdsweep.spec.surroundings import ClusterSpec, StorageSpec, TrackingSpec
from kdsweep.spec.sweep import Direction, Metric, SearchSpec, SweepSpec
from kdsweep.spec.trial import TeacherSpec, TrainSpec, TrialSpec

__all__ = [
    "Assignment",
    "ClusterSpec",
    "Component",
    "Dimension",
    "Direction",
    "Label",
    "Metric",
    "SearchSpec",
    "Settings",
    "Space",
    "StorageSpec",
    "SweepSpec",
    "TeacherSpec",
    "TrackingSpec",
    "TrainSpec",
    "TrialSpec",
]
