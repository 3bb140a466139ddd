"""Cost of a trial beyond its training: lanes, Ray's documented pattern, plain Tune actors.

Every side runs the same training function, which reports three epochs and does nothing else,
two trials at a time, on a Ray of its own in a process of its own. The first two trials wait for
each other, so that both slots are up. A trial's cost is the time from their end to the end of the
last trial, over the trials in between: start-up of Ray, lanes and actors is left out. Sides:

  lanes               kdsweep's lanes, switchboard and Tune trial; Tune as kdsweep configures it
  documented          TorchTrainer.fit() with TuneReportCallback in each Tune trial, one worker
  actors (class)      a class Trainable with reset_config, reuse_actors=True, an epoch per step
  actors (function)   a Tune function, reuse_actors=True, a tune.report per epoch
  actors (tuned)      actors (class) under kdsweep's settings of Ray and Tune, which are no part of
                      what makes a lane: the loggers and snapshots of Tune switched off

Documented and plain actors have Ray's own defaults. CPU seconds are those of all processes of the
side, over the same time.
"""

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import measure
import trivial
from clock import Clock
from processes import cpus

NUM_SLOTS = 2
DOCUMENTED, LANES = "documented", "lanes"
ACTORS = ("actors (class)", "actors (function)")
TUNED = "actors (tuned)"
AS_RAY_COMES = {"RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0", "RAY_USAGE_STATS_ENABLED": "0"}
"""Under `uv run` Ray would give every worker an environment of its own."""

TRIALS_PER_DOCUMENTED = 12
"""One trial of the documented pattern for so many of the others: each takes seconds."""


def measure_one(side: str, trials: int) -> measure.Measured:
    """One side, in this process."""
    with tempfile.TemporaryDirectory() as scratch:
        clock = Clock(trials, num_slots=NUM_SLOTS)
        jobs = trivial.jobs(trials, Path(scratch) / "meet", num_slots=NUM_SLOTS)
        if side in (LANES, TUNED):
            # First of all that imports Ray: it sets what Ray reads then.
            from kdsweep.search.cluster import connected
            from kdsweep.spec import ClusterSpec

            with connected(ClusterSpec()) as ray_is_up:
                ray_is_up()
                if side == LANES:
                    _on_lanes(jobs, clock, Path(scratch))
                else:
                    _tune(_class_trainable(), {"CPU": 1}, jobs, clock, scratch, reuse=True)
        else:
            import ray

            with ray.init(include_dashboard=False, log_to_driver=False):
                if side == DOCUMENTED:
                    # A whole processor for the trial's worker: its driver must take none.
                    needs = {"memory": 2**20}
                    _tune(_documented(scratch), needs, jobs, clock, scratch, reuse=False)
                else:
                    trainable = _class_trainable() if side == ACTORS[0] else trivial.on_tune
                    _tune(trainable, {"CPU": 1}, jobs, clock, scratch, reuse=True)
    return clock.measured()


def _on_lanes(jobs: list[dict[str, Any]], clock: Clock, scratch: Path) -> None:
    """As ``kdsweep.search.run`` does it, without sampler, records and tracking."""
    import ray
    from listed import Listed

    from kdsweep.search import run
    from kdsweep.search.cluster import NAMESPACE, Fitted
    from kdsweep.search.in_order import InOrder
    from kdsweep.search.lanes import Lanes, board_actor

    fitted = Fitted(
        lanes=NUM_SLOTS,
        lanes_per_run=NUM_SLOTS,
        workers_per_trial=1,
        cpus_per_worker=1,
        gpus_per_worker=0,
    )
    board = board_actor("board")
    teachers = scratch / "t"
    lanes = Lanes(
        fitted, board="board", namespace=NAMESPACE, teachers=teachers, layers={}, storage=scratch
    )
    lanes.start()
    while len(ray.get(board.lanes.remote())) < NUM_SLOTS:
        time.sleep(0.1)
        if lanes.num_left < NUM_SLOTS:
            raise SystemExit(f"lanes are lost: {lanes.take_lost()}")
    where = {"board": "board", "namespace": NAMESPACE}
    configs = [{"job": json.dumps(each["job"]), **where} for each in jobs]
    listed = Listed(configs, clock.ended)
    run._tune(listed, InOrder(), fitted, scratch)
    ray.get(board.close.remote())
    lanes.join(timeout_s=5.0)


def _tune(
    trainable: Any,
    needs: dict[str, float],
    jobs: list[dict[str, Any]],
    clock: Clock,
    scratch: str,
    *,
    reuse: bool,
) -> None:
    from listed import Listed
    from ray import tune

    tuner = tune.Tuner(
        tune.with_resources(trainable, tune.PlacementGroupFactory([needs])),
        tune_config=tune.TuneConfig(
            search_alg=Listed(jobs, clock.ended),
            num_samples=-1,
            max_concurrent_trials=NUM_SLOTS,
            reuse_actors=reuse,
        ),
        run_config=tune.RunConfig(name="trials", storage_path=scratch, verbose=0),
    )
    tuner.fit()


def _documented(scratch: str) -> Any:
    """The pattern of Ray's guide to tuning with Ray Train."""

    def train_driver(config: dict[str, Any]) -> None:
        from ray import train, tune
        from ray.train.torch import TorchTrainer
        from ray.tune.integration.ray_train import TuneReportCallback

        trainer = TorchTrainer(
            trivial.on_train_worker,
            train_loop_config=config,
            scaling_config=train.ScalingConfig(num_workers=1),
            run_config=train.RunConfig(
                name=f"train-{tune.get_context().get_trial_id()}",
                storage_path=scratch,
                callbacks=[TuneReportCallback()],
            ),
        )
        trainer.fit()

    return train_driver


def _class_trainable() -> Any:
    from ray import tune

    class Reused(tune.Trainable):  # type: ignore[misc]
        def setup(self, config: dict[str, Any]) -> None:
            self.epoch, self.job = 0, config["job"]

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self.epoch, self.job = 0, new_config["job"]
            return True

        def step(self) -> dict[str, Any]:
            if self.epoch == 0:
                trivial.meet(self.job)
            self.epoch += 1
            return {**trivial.epoch_metrics(self.epoch), "done": self.epoch == trivial.NUM_EPOCHS}

        def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
            return {}

        def load_checkpoint(self, checkpoint: dict[str, Any] | None) -> None: ...

    return Reused


def main() -> None:
    """Measure the sides in turns and print their ratios."""
    given = measure.options(__doc__, trials=120, repeats=3, quick_trials=24)
    if given.one is not None:
        print(json.dumps(measure_one(given.one, given.trials)))
        return
    if cpus() < NUM_SLOTS:
        raise SystemExit(f"needs {NUM_SLOTS} CPUs: two trials run at a time")
    few = max(NUM_SLOTS + 2, given.trials // TRIALS_PER_DOCUMENTED)
    sizes = {LANES: given.trials, DOCUMENTED: few} | dict.fromkeys((*ACTORS, TUNED), given.trials)

    def one(side: str) -> measure.Measured:
        environment = {} if side in (LANES, TUNED) else AS_RAY_COMES
        return measure.in_fresh_process(__file__, side, trials=sizes[side], environment=environment)

    found = measure.in_turns(
        {side: lambda side=side: one(side) for side in sizes},  # type: ignore[misc]
        repeats=given.repeats,
    )
    rows = [
        (
            side,
            str(runs[0]["trials"]),
            measure.spread(runs, "s_per_trial", 4),
            measure.spread(runs, "cpu_s_per_trial", 3),
        )
        for side, runs in found.items()
    ]
    measure.table(("side", "trials", "s per trial", "CPU-s per trial"), rows)
    cost = {side: measure.middle(runs, "s_per_trial") for side, runs in found.items()}
    fastest = min(ACTORS, key=cost.__getitem__)
    print(f"\ndocumented / lanes: {cost[DOCUMENTED] / cost[LANES]:.1f}")
    aims = [
        measure.aim("lanes / documented", cost[LANES] / cost[DOCUMENTED], at_most=1 / 50),
        measure.aim(f"lanes / {fastest}", cost[LANES] / cost[fastest], at_most=2),
    ]
    print(f"lanes / {TUNED}: {cost[LANES] / cost[TUNED]:.2f}")
    measure.report(given, {"sides": found, "aims": aims})


if __name__ == "__main__":
    main()
