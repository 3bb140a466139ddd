"""Records for the tests of this folder."""

from kdsweep.results.record import EpochMetrics, TrialResult


def epochs(count, accuracy=0.5):
    return tuple(
        EpochMetrics(
            epoch=number, accuracy=accuracy + number / 100, loss=1 / number, lr=0.1, seconds=0.5,
            train={"total": 2 / number, "kd": 1 / number},
        )
        for number in range(1, count + 1)
    )  # fmt: skip


def trial(number, *, status="complete", role="trial", count=3, **more):
    given = {
        "trial_id": f"t{number}",
        "number": number,
        "role": role,
        "status": status,
        "name": f"kd w{number}",
        "trial": {
            "student": {"name": "cnn", "width": 8},
            "strategy": {"name": "kd", "temperature": 4.0},
            "train": {"lr": 1e-5},
        },
        "epochs": epochs(count),
        "metrics": {"accuracy": 0.5 + number / 10, "params": 100.0 * number, "macs": 6400.0},
        "weights_of_terms": {"kd": 0.7},
        "device": "cpu",
        "started": 1.7e9 + number,
        "seconds": 2.0,
        **more,
    }
    if status == "running":
        given["metrics"] = {}
    return TrialResult(**given)
