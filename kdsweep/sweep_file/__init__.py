"""Sweep files and trial files: read, checked whole, varied, and written out again."""

from kdsweep.sweep_file.changes import at
from kdsweep.sweep_file.computing import computing_words, problems_without_gpu
from kdsweep.sweep_file.controls import controls
from kdsweep.sweep_file.fit import Measured
from kdsweep.sweep_file.load import (
    CheckedTrial,
    Sweep,
    TrialFile,
    check_trial_file,
    load,
    load_for_elsewhere,
    load_trial,
    sets_student,
)
from kdsweep.sweep_file.plan import (
    Plan,
    at_corners,
    check_room,
    lacking_a_gpu,
    plan,
)
from kdsweep.sweep_file.read import to_yaml
from kdsweep.sweep_file.resolve import defaults, resolved
from kdsweep.sweep_file.set_paths import parse_settings
from kdsweep.sweep_file.teachers_said import normalisation_words, teacher_words

__all__ = [
    "CheckedTrial",
    "Measured",
    "Plan",
    "Sweep",
    "TrialFile",
    "at",
    "at_corners",
    "check_room",
    "check_trial_file",
    "computing_words",
    "controls",
    "defaults",
    "lacking_a_gpu",
    "load",
    "load_for_elsewhere",
    "load_trial",
    "normalisation_words",
    "parse_settings",
    "plan",
    "problems_without_gpu",
    "resolved",
    "sets_student",
    "teacher_words",
    "to_yaml",
]
