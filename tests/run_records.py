"""Small records of a sweep and its trials."""

import uuid

from kdsweep.results.meta import RunMeta
from kdsweep.results.record import EpochMetrics, TrialResult


def run_meta(name="digits", **more):
    given = {
        "sweep_id": uuid.uuid4().hex,
        "name": name,
        "created": "2026-11-21T10:00:00+00:00",
        "objectives": {"accuracy": "max", "params": "min"},
        **more,
    }
    return RunMeta(**given)


def trial_result(number=0, **more):
    given = {
        "trial_id": f"t{number:04d}",
        "number": number,
        "status": "complete",
        "name": f"kd w{number}",
        "trial": {"student": {"name": "cnn", "width": 8}, "train": {"lr": 1e-5}},
        "metrics": {"accuracy": 0.9, "params": 100.0},
        "epochs": [EpochMetrics(epoch=1, accuracy=0.9, loss=0.3, lr=1e-3, seconds=0.1)],
        **more,
    }
    return TrialResult(**given)
