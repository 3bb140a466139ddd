"""Runs on disk as a notebook finds them: records whose numbers are known, and students' weights."""

import torch
from run_records import run_meta, trial_result

from kdsweep import catalog
from kdsweep.results.meta import TeacherMeta
from kdsweep.results.record import EpochMetrics
from kdsweep.results.store import RunStore
from kdsweep.spec import TrialSpec
from kdsweep.sweep_file.resolve import resolved
from kdsweep.train.weights import save_weights

TEACHER = TeacherMeta(hash="0123456789abcdef", name="cnn", accuracy=0.96, params=5_000)
SWEEP = """
space:
  student.width: {int: [2, 20]}
  strategy: {choice: [{name: none}, {name: kd}]}
"""
KD = {"name": "kd", "temperature": 4.5, "alpha": 0.3}


def student(number, accuracy, size, *, width=8, strategy=None, **more):
    """A trial of so many parameters, with two epochs: half of its accuracy, and all of it."""
    strategy = strategy or {"name": "none"}
    given = {
        "trial_id": f"{number:05d}",
        "name": f"{strategy['name']} w{width}",
        "trial": {"student": {"name": "cnn", "width": width}, "strategy": strategy},
        "changes": {"student.width": width, "strategy": strategy},
        "params": {"student.width": width, "strategy": strategy["name"]},
        "metrics": {"accuracy": accuracy, "params": size, "macs": 64.0 * size},
        "epochs": [
            EpochMetrics(
                epoch=epoch, accuracy=accuracy * epoch / 2, loss=1.0, lr=1e-3, seconds=0.1,
                train={"total": 2.0, **({"soft": 1.0} if strategy["name"] == "kd" else {})},
            )
            for epoch in (1, 2)
        ],
        "started": 1.8e9,
        **more,
    }  # fmt: skip
    return trial_result(number, **given)


RECORDS = [
    student(0, 0.90, 1_000.0, role="control"),
    student(1, 0.80, 500.0, width=2, strategy=KD),
    student(2, 0.70, 800.0, width=4),
    student(3, 0.95, 2_000.0, width=16, strategy=KD),
    student(4, 0.0, 900.0, status="failed", metrics={}, epochs=[], error="loss is nan"),
]
"""Trials 1, 0 and 3 are the front, smallest first."""


def run_of(records=RECORDS, *, home, name="digits", **meta):
    """A run directory with these records."""
    planned = sum(record.role != "teacher" for record in records)
    given = {"status": "complete", "trials": planned, "teacher": TEACHER, **meta}
    store = RunStore.create(home / "runs" / name, meta=run_meta(name, **given), sweep_text=SWEEP)
    for record in records:
        store.write(record)
    return store


def teacher_record(**more):
    return trial_result(
        0, trial_id="teacher-01234567", role="teacher", name="teacher cnn",
        trial={"teacher": {"model": {"name": "cnn", "width": 32}}},
        metrics={"accuracy": 0.96, "params": 5_000.0}, **more,
    )  # fmt: skip


def with_network(store, number=9):
    """A complete trial on the digits whose weights are kept; its network."""
    spec = TrialSpec.model_validate({
        "data": {"name": "digits"},
        "student": {"name": "cnn", "width": 2, "stages": 2, "hidden": 12},
        "strategy": {"name": "none"},
    })  # fmt: skip
    record = student(number, 0.5, 300.0).model_copy(
        update={"trial": resolved(spec), "weights": RunStore.weights_name(f"{number:05d}")}
    )
    store.write(record)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = catalog.model_for(spec.student, catalog.dataset(spec.data).describe())
    save_weights(network, store.weights_of(record.trial_id))
    return network.eval()
