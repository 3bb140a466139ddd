"""A sweep by Ray's documented pattern: ``documented_tune.py SWEEP.yaml``, a side of ``sweep.py``.

A Tune function builds and fits a ``TorchTrainer`` with ``TuneReportCallback`` in each trial, with
``OptunaSearch`` over both objectives, on Ray's defaults; as many trials at once as there are
processors. The training function is that of ``plain_training``. The teacher is trained first, in
this process with all processors, and loaded by each trial's worker.
"""

import json
import os
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import plain_training
from plain_optuna import options
from processes import cpus

# Under `uv run` Ray would give every worker an environment of its own.
os.environ |= {"RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0", "RAY_USAGE_STATS_ENABLED": "0"}

import ray
from ray import train, tune
from ray.train.torch import TorchTrainer
from ray.tune.integration.ray_train import TuneReportCallback
from ray.tune.search.optuna import OptunaSearch


def train_on_worker(config: dict[str, Any]) -> None:
    """One trial on its Ray Train worker."""
    from kdsweep.spec import TrialSpec

    plain_training.one_thread()
    trial = TrialSpec.model_validate(json.loads(config["trial"]))
    data = plain_training.load(trial)
    teacher = plain_training.load_teacher(trial, data, Path(config["teacher"]))
    accuracy, params = plain_training.train_student(trial, data, teacher)
    metrics = {"accuracy": accuracy, "params": params}
    plain_training.note(Path(config["events"]), metrics)
    train.report(metrics)


def train_driver(config: dict[str, Any]) -> None:
    """One trial of Tune: a Ray Train run of its own."""
    trainer = TorchTrainer(
        train_on_worker,
        train_loop_config=config,
        scaling_config=train.ScalingConfig(num_workers=1, use_gpu=config["use_gpu"]),
        run_config=train.RunConfig(
            name=f"train-{tune.get_context().get_trial_id()}",
            storage_path=config["storage"],
            callbacks=[TuneReportCallback()],
        ),
    )
    trainer.fit()


def space(trial: Any, *, asked: plain_training.Asked, fixed: Mapping[str, Any]) -> dict[str, Any]:
    """What Optuna draws for a trial, as the configuration of its worker."""
    from kdsweep.search.optuna_terms import suggest

    drawn = asked.drawn(lambda dimension: suggest(trial, dimension))
    return {"trial": drawn.model_dump_json(), **fixed}


def main() -> None:
    """Train the teacher, then tune."""
    given = options()
    asked = plain_training.Asked(given.sweep)
    data = plain_training.load(asked.trial)
    teacher = given.place / "teacher.pt"
    plain_training.train_teacher(asked.trial, data, teacher)
    storage = (given.place / "ray").resolve()
    fixed = {
        "teacher": str(teacher.resolve()),
        "events": str(given.events.resolve()),
        "storage": str(storage),
        "use_gpu": plain_training.DEVICE.type == "cuda",
    }
    with ray.init(include_dashboard=False, log_to_driver=False):
        tune.Tuner(
            # A whole processor for the trial's worker: its driver must take none.
            tune.with_resources(train_driver, tune.PlacementGroupFactory([{"memory": 2**20}])),
            tune_config=tune.TuneConfig(
                search_alg=OptunaSearch(
                    space=partial(space, asked=asked, fixed=fixed),
                    metric=["accuracy", "params"],
                    mode=["max", "min"],
                    seed=given.seed,
                ),
                num_samples=given.trials,
                max_concurrent_trials=cpus(),
                time_budget_s=max(1.0, given.until - time.time()),
            ),
            run_config=tune.RunConfig(name="trials", storage_path=str(storage), verbose=0),
        ).fit()


if __name__ == "__main__":
    main()
