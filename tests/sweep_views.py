"""A small sweep to draw and to write a report of, with numbers that can be followed by hand."""

from kdsweep.report.importance import ObjectiveImportance, SettingShare
from kdsweep.report.pictures import SweepView
from kdsweep.results.meta import RunMeta
from kdsweep.results.pareto import front
from kdsweep.results.record import EpochMetrics, TrialResult

TWO = {"accuracy": "max", "params": "min"}
KD = {"name": "kd", "temperature": 4.25, "alpha": 0.3}
NONE = {"name": "none"}


def student(number, accuracy, params, *, strategy=KD, epochs=(), width=8, **more):
    """A complete trial of ten seconds; the next one begins when it has ended."""
    given = {
        "trial_id": f"t{number}",
        "number": number,
        "status": "complete",
        "name": f"{strategy['name']} {number}",
        "trial": {
            "student": {"name": "cnn", "width": width}, "strategy": strategy,
            "train": {"epochs": 4, "lr": 0.001}, "seed": 0,
        },
        "changes": {"strategy": strategy},
        "params": {"strategy": strategy["name"]},
        "metrics": {"accuracy": accuracy, "params": float(params), "loss": 1 - accuracy},
        "epochs": [
            EpochMetrics(epoch=at, accuracy=value, loss=1 - value, lr=1e-3, seconds=1.0)
            for at, value in enumerate(epochs, 1)
        ],
        "started": 1000.0 + 10 * number,
        "seconds": 10.0,
        **more,
    }  # fmt: skip
    return TrialResult(**given)


def replicated(number, accuracies, params, **more):
    """The replicates of a point, with means that are those of the accuracies."""
    num = len(accuracies)
    return [
        student(num * number + i, accuracy, params, **more).model_copy(
            update={"point": number, "replicate": i, "replicates": num}
        )
        for i, accuracy in enumerate(accuracies)
    ]


def run_meta(**more):
    given = {
        "sweep_id": "0" * 32,
        "name": "digits",
        "created": "2026-11-21T10:00:00+00:00",
        "status": "complete",
        "objectives": TWO,
        "version": "0.1.0",
        **more,
    }
    return RunMeta(**given)


def view(results, importance=None, *, space=None, **meta):
    """The sweep of these records."""
    found = run_meta(**meta)
    on_front = front(results, found.objectives, constraints=found.constraints)
    return SweepView(found, tuple(results), tuple(on_front), importance, space)


def shares(students=20, **given):
    """What mattered for accuracy: by setting its share, and what it comes to by chance."""
    found = [
        SettingShare(name.replace("__", "."), share, chance, students if share is not None else 5)
        for name, (share, chance) in given.items()
    ]
    return {"accuracy": ObjectiveImportance(tuple(found), students)}


RUN = [
    student(0, 0.80, 1_000, epochs=(0.5, 0.7, 0.75, 0.80)),
    student(1, 0.90, 10_000, strategy=NONE, role="control", epochs=(0.6, 0.8, 0.85, 0.90)),
    student(2, 0.78, 20_000),
    student(3, 0.95, 100_000, strategy={"name": "fitnet", "weight": 0.5}, epochs=(0.7, 0.9)),
    student(4, 0.10, 90_000, strategy=NONE),
    student(5, 0.99, 500, status="failed", error="loss is nan at epoch 3", metrics={}),
    student(6, 0.60, 800, status="pruned", epochs=(0.6,)),
]
