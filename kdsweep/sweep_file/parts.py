"""A teacher on a data set: what stored outputs are of."""

import hashlib
import json

from kdsweep.spec import TrialSpec


def part_key(trial: TrialSpec, name: str) -> str:
    """Hash of a trial's data and one of its teachers, as of a trial with all defaults written out.

    The same in a sweep's plan and for its trials where they run.
    """
    teacher = trial.all_teachers[name]
    said = json.dumps([trial.data.model_dump(mode="json"), teacher.identity], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def model_key(trial: TrialSpec, name: str) -> str:
    """As ``part_key``, the same for all teachers of that name and of one class of models."""
    return f"{name} {trial.all_teachers[name].model.name}"
