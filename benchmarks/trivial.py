"""A training function that trains nothing: what is left is the cost of running a trial."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

NUM_EPOCHS = 3
LONGEST_WAIT_S = 120.0


def epoch_metrics(epoch: int) -> dict[str, Any]:
    """An epoch's report, of the size that a real one has."""
    return {
        "epoch": epoch,
        "accuracy": 0.5,
        "loss": 1.0,
        "train": {"total": 1.0},
        "lr": 1e-3,
        "seconds": 0.0,
    }


def jobs(trials: int, place: Path, *, num_slots: int) -> list[dict[str, Any]]:
    """Every trial's settings; those of the first few make them wait for each other."""
    return [
        {
            "job": {
                "key": f"{number:05d}",
                "kind": "trivial:on_lane",
                "meet": (str(place), num_slots) if number < num_slots else None,
            }
        }
        for number in range(trials)
    ]


def meet(job: dict[str, Any]) -> None:
    """Wait for the other first trials, so that every slot is up before any goes on.

    ``meet`` in a job is a directory and how many trials are to meet in it.
    """
    if job["meet"] is None:
        return
    place, num_trials = Path(job["meet"][0]), job["meet"][1]
    place.mkdir(exist_ok=True)
    (place / job["key"]).touch()
    give_up = time.monotonic() + LONGEST_WAIT_S
    while len(list(place.iterdir())) < num_trials:
        if time.monotonic() > give_up:
            raise TimeoutError(f"{num_trials} trials never ran at the same time")
        time.sleep(0.02)


def on_lane(job: dict[str, Any], report: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """As a lane's job of the kind ``trivial:on_lane``."""
    meet(job)
    answers = [report(epoch_metrics(epoch)) for epoch in range(1, NUM_EPOCHS + 1)]
    return {"status": "complete", "epochs": sum(answers)}


def on_tune(config: dict[str, Any]) -> None:
    """As a Tune function."""
    from ray import tune

    meet(config["job"])
    for epoch in range(1, NUM_EPOCHS + 1):
        tune.report(epoch_metrics(epoch))


def on_train_worker(config: dict[str, Any]) -> None:
    """As the loop of a Ray Train worker."""
    from ray import train

    meet(config["job"])
    for epoch in range(1, NUM_EPOCHS + 1):
        train.report(epoch_metrics(epoch))
