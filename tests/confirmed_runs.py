"""A confirmation of two students by two seeds, its records made up."""

from run_records import run_meta, trial_result

from kdsweep.results.confirms import ConfirmedPoint, Confirms
from kdsweep.results.store import RunStore

SWEEP_ID = "a" * 32
SEEDS = (7, 8)

# Two students, the sweep's control (of another size), and one own control.
POINTS = (
    ConfirmedPoint(
        kind="student", name="kd w4", changes={"student.width": 4}, trial_ids=("00005",),
        metrics={"accuracy": 0.80, "params": 100.0}, own_control=3,
    ),
    ConfirmedPoint(
        kind="student", name="kd w8", changes={"student.width": 8}, trial_ids=("00009",),
        metrics={"accuracy": 0.90, "params": 200.0},
    ),
    ConfirmedPoint(
        kind="control", name="none w8", changes={"strategy": {"name": "none"}},
        trial_ids=("00000",), metrics={"accuracy": 0.70, "params": 200.0},
    ),
    ConfirmedPoint(kind="own_control", name="none for kd w4", changes={"student.width": 4}),
)  # fmt: skip
PARAMS = (100.0, 200.0, 200.0, 100.0)
STRATEGIES = ("kd", "kd", "none", "none")

# By point: validation and test accuracy of each seed.
VALIDATION = ((0.76, 0.78), (0.88, 0.88), (0.70, 0.70), (0.74, 0.76))
TEST = ((0.74, 0.78), (0.86, 0.90), (0.70, 0.72), (0.73, 0.75))


def confirms(**more):
    given = {"sweep_id": SWEEP_ID, "run": "digits", "seeds": SEEDS, "points": POINTS,
             "controls": {"none": 2}}  # fmt: skip
    return Confirms(**{**given, **more})


def record(point, replicate, **more):
    metrics = {
        "accuracy": VALIDATION[point][replicate], "loss": 0.5,
        "test_accuracy": TEST[point][replicate], "test_loss": 0.6, "params": PARAMS[point],
    }  # fmt: skip
    number = 2 * point + replicate
    given = {
        "trial_id": f"{number:05d}", "point": point, "replicate": replicate, "replicates": 2,
        "role": "trial" if point < 2 else "control", "metrics": metrics, "started": 1.7e9 + number,
        "seconds": 1.0, "name": POINTS[point].name,
        "trial": {
            "student": {"name": "cnn", "width": 4 if point in (0, 3) else 8},
            "strategy": {"name": STRATEGIES[point]}, "seed": SEEDS[replicate],
        },
    }  # fmt: skip
    return trial_result(number, **{**given, **more})


def all_records():
    return [record(point, replicate) for point in range(4) for replicate in range(2)]


def teacher_record():
    return trial_result(
        0, trial_id="teacher-99999999", role="teacher", name="teacher cnn",
        metrics={"accuracy": 0.95, "test_accuracy": 0.94, "params": 1000.0},
    )  # fmt: skip


def confirmation_in(root, records=None, *, name="digits-confirm", **more):
    """The run of a confirmation, with all of its records if none are given."""
    confirmed = more.pop("confirms", None) or confirms()
    teacher = {"hash": "9" * 24, "accuracy": 0.95}
    given = {"confirms": confirmed, "replicates": 2, "trials": 8, "status": "complete",
             "teacher": teacher, "data_fingerprint": "d" * 64}  # fmt: skip
    meta = run_meta(name, **{**given, **more})
    store = RunStore.create(root / name, meta=meta, sweep_text="name: digits\n")
    for each in [*all_records(), teacher_record()] if records is None else records:
        store.write(each)
    return store


def sweep_in(root, *, name="digits", **more):
    """The run of the sweep that is confirmed, without its records."""
    given = {"sweep_id": SWEEP_ID, "status": "complete", "data_fingerprint": "d" * 64}
    meta = run_meta(name, **{**given, **more})
    return RunStore.create(root / name, meta=meta, sweep_text="name: digits\n")
