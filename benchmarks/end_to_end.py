"""A sweep of 64 digits trials against plain reused Tune actors that train the same; and what a
whole sweep takes beyond its training.

  kdsweep   ``kdsweep run``: random sampler, two lanes, records, weights, MLflow in a new SQLite
            file
  actors    a class Trainable with reset_config and reuse_actors=True, two at a time, one thread
            each, which runs ``kdsweep.train``'s Session.run in its own process and reports once
            per trial: no epochs, no records, no weights, no tracking

Both run the same trials in the same order. The teacher is trained beforehand; the actors read it
before their first trial and wait for each other, so that both are up when the first trial starts.
Wall time is from the first trial's start to the last one's end as the driver hears of it; start-up,
from the command to the first trial's start, stands apart. ``bare`` is the sum of the trials' own
seconds over two: what two slots that lose no time would take.

The second part runs search_spaces/digits.yaml (40 trials, TPE) as it is: what the command takes,
less its start-up, over the bare time of its trials.
"""

import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import measure
import sweeps
import trivial

NUM_SLOTS = 2
KDSWEEP, ACTORS, WHOLE = "kdsweep", "actors", "digits.yaml"
CLUSTER = {"concurrent_trials": NUM_SLOTS, "cpus_per_worker": 1, "gpus_per_worker": 0}


def timed(ends: list[tuple[float, float]], *, began: float, ended: float) -> measure.Measured:
    """What both sides are measured by; ``ends`` has each trial's end and its seconds."""
    first = min(end - seconds for end, seconds in ends)
    bare = sum(seconds for _, seconds in ends) / NUM_SLOTS
    wall = max(end for end, _ in ends) - first
    start_up = first - began
    return {
        "trials": len(ends),
        "wall_s": wall,
        "bare_s": bare,
        "start_up_s": start_up,
        "command_s": ended - began,
        "beyond_start_up_over_bare": (ended - began - start_up) / bare,
    }


def on_kdsweep(sweep: Path, runs_dir: Path, teachers: Path, trials: list[Any]) -> measure.Measured:
    """``kdsweep run``; fails unless it ran the very trials, all to their end."""
    observed = sweeps.run(sweep, runs_dir, teachers)
    records = _records(runs_dir)
    if trials and [record.trial for record in records] != trials:
        raise SystemExit("kdsweep ran other trials than those that the sampler was asked for")
    failed = [record.error for record in records if record.status != "complete"]
    if failed:
        raise SystemExit(f"{len(failed)} trials failed, the first: {failed[0]}")
    ends = [(event["at"], event["seconds"]) for event in observed.all("ended")]
    accuracies = [record.metrics["accuracy"] for record in records]
    found = timed(ends, began=observed.began, ended=observed.ended)
    return {**found, "accuracies": accuracies}


def _records(runs_dir: Path) -> list[Any]:
    from kdsweep.results.store import RunStore

    (meta,) = runs_dir.glob("*/run.json")
    return [record for record in RunStore.open(meta.parent).read() if record.role != "teacher"]


def proposed(sweep_file: Path) -> list[dict[str, Any]]:
    """The trials that the sweep's sampler proposes; a random one learns nothing on the way."""
    from kdsweep.search.sampler import Sampler
    from kdsweep.search.starts import starts
    from kdsweep.sweep_file import at, load, resolved

    sweep = load(sweep_file)
    sampler = Sampler(sweep, starts(sweep), sizes_of=sweep.sizes_of)
    found = []
    while (proposal := sampler.ask()) is not None:
        found.append(resolved(at(sweep.spec.trial, proposal.assignment.changes)))
    return found


def on_actors(place: Path) -> measure.Measured:
    """The trials in ``place`` on plain reused Tune actors, in this process."""
    trials = json.loads((place / "trials.json").read_text())
    import ray
    from listed import Listed
    from ray import tune

    ends: list[tuple[float, float]] = []
    accuracies: dict[int, float] = {}

    def ended(result: dict[str, Any]) -> None:
        if result["status"] != "complete":
            raise SystemExit(f"a trial failed: {result}")
        ends.append((time.time(), result["seconds"]))
        accuracies[result["number"]] = result["accuracy"]

    numbered = [{"number": number, "trial": trial} for number, trial in enumerate(trials)]
    with ray.init(num_cpus=NUM_SLOTS, include_dashboard=False, log_to_driver=False):
        tune.Tuner(
            tune.with_resources(_trainable(trials[-1], place), {"CPU": 1}),
            tune_config=tune.TuneConfig(
                search_alg=Listed(numbered, ended),
                num_samples=-1,
                max_concurrent_trials=NUM_SLOTS,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(name="trials", storage_path=str(place), verbose=0),
        ).fit()
    return {"ends": ends, "accuracies": [accuracies[number] for number in range(len(trials))]}


def _trainable(any_trial: dict[str, Any], place: Path) -> Any:
    from ray import tune

    teachers, together = place / "teachers", tempfile.mkdtemp(dir=place)

    class InProcess(tune.Trainable):  # type: ignore[misc]
        def setup(self, config: dict[str, Any]) -> None:
            import torch

            from kdsweep.spec import TrialSpec
            from kdsweep.train.session import Session

            torch.set_num_threads(1)
            self.session = Session(device=torch.device("cpu"), teachers=teachers)
            self.session.prepare(TrialSpec.model_validate(any_trial), _go_on)
            self.settings = config
            trivial.meet({"key": str(os.getpid()), "meet": (together, NUM_SLOTS)})

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self.settings = new_config
            return True

        def step(self) -> dict[str, Any]:
            from kdsweep.spec import TrialSpec

            trial = TrialSpec.model_validate(self.settings["trial"])
            outcome = self.session.run(trial, _go_on)
            return {
                "number": self.settings["number"],
                "status": outcome.status,
                "seconds": outcome.seconds,
                "accuracy": outcome.metrics.get("accuracy"),
                "done": True,
            }

        def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
            return {}

        def load_checkpoint(self, checkpoint: dict[str, Any] | None) -> None: ...

    return InProcess


def _go_on(epoch: Any, teacher: str = "") -> Any:
    from kdsweep.train.loop import Verdict

    return Verdict.CONTINUE


def main() -> None:
    """Measure in turns, print wall times and ratios."""
    given = measure.options(__doc__, trials=64, repeats=3, quick_trials=8)
    if given.one is not None:
        print(json.dumps(on_actors(given.place)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        found = _measured(given.trials, given.repeats, Path(scratch))
    same = found[KDSWEEP][0].pop("accuracies") == found[ACTORS][0].pop("accuracies")
    names = ("wall_s", "bare_s", "start_up_s", "command_s")
    rows = [
        (side, str(runs[0]["trials"]), *(measure.spread(runs, name, 1) for name in names))
        for side, runs in found.items()
    ]
    measure.table(("side", "trials", *(name.removesuffix("_s") + " s" for name in names)), rows)
    print(f"\nboth sides came to the same accuracies, trial by trial: {'yes' if same else 'NO'}")
    wall = {side: measure.middle(runs, "wall_s") for side, runs in found.items()}
    over = measure.middle(found[WHOLE], "beyond_start_up_over_bare")
    aims = [
        measure.aim("kdsweep / actors, wall", wall[KDSWEEP] / wall[ACTORS], at_most=1.15),
        measure.aim("digits.yaml, command less start-up / bare", over, at_most=1.5),
    ]
    measure.report(given, {"sides": found, "aims": aims, "same_accuracies": same})


def _measured(trials: int, repeats: int, place: Path) -> dict[str, list[measure.Measured]]:
    num_searched = max(1, trials - sweeps.NUM_CONTROLS)
    search = {"sampler": "random", "trials": num_searched, "seed": 0}
    listed = sweeps.digits(place / "random.yaml", search=search, cluster=CLUSTER)
    search = {"sampler": "tpe", "trials": min(num_searched, 40), "seed": 0}
    whole = sweeps.digits(place / "digits.yaml", search=search, cluster=CLUSTER)
    teachers = sweeps.make_teacher(listed, place)
    settings = proposed(listed)
    (place / "trials.json").write_text(json.dumps(settings))
    numbers = iter(range(1_000_000))

    def kdsweep(sweep: Path, expected: list[Any]) -> measure.Measured:
        return on_kdsweep(sweep, place / f"runs-{next(numbers)}", teachers, expected)

    def actors() -> measure.Measured:
        began = time.time()
        one = measure.in_fresh_process(
            __file__,
            ACTORS,
            trials=trials,
            place=place,
            environment={
                "OMP_NUM_THREADS": "1",
                "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
                "RAY_USAGE_STATS_ENABLED": "0",
            },
        )
        found = timed(one["ends"], began=began, ended=time.time())
        return {**found, "accuracies": one["accuracies"]}

    return measure.in_turns(
        {
            KDSWEEP: lambda: kdsweep(listed, settings),
            ACTORS: actors,
            WHOLE: lambda: kdsweep(whole, []),
        },
        repeats=repeats,
    )


if __name__ == "__main__":
    main()
