"""One training epoch: this trainer, the documents' plain loop, and torchdistill's, on one pair.

All sides train the same student by the same teacher with Hinton's loss, on the same random images
of 32x32 with crop and flip, in batches of the same size, with Adam, one thread, and no processes
beside them. Each measurement is a process of its own, and its first epochs do not count. Sides:

  kdsweep, live      this trainer, the teacher asked at every step
  kdsweep, stored    this trainer as it comes: the teacher's logits of every view are at hand
  documents          Knowledge Distillation Basics: a DataLoader over PIL pictures, torchvision's
                     transforms, the teacher without gradient, the loss read at every step
  torchdistill       its DistillationBox over the same DataLoader; installed for this alone

Pairs: ``cnn`` is the documents' pair with a quarter of its channels, ``resnet`` resnet32 and
resnet8. The teachers are not trained: it makes no difference to the time.

The script installs torchdistill into a directory that it throws away; where it cannot be installed,
it says so and measures the others.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import measure

PAIRS: dict[str, dict[str, Any]] = {
    "cnn": {
        "teacher": {"name": "cnn", "width": 32, "depth": 2, "dropout": 0.5, "hidden": 256},
        "student": {"name": "cnn", "width": 8, "hidden": 64},
        "num": 2048,
    },
    "resnet": {
        "teacher": {"name": "resnet", "depth": 32, "width": 16},
        "student": {"name": "resnet", "depth": 8, "width": 16},
        "num": 1024,
    },
}
LIVE, STORED, DOCUMENTS, TORCHDISTILL = (
    "kdsweep, live", "kdsweep, stored", "documents", "torchdistill"
)  # fmt: skip
BATCH_SIZE = 128
VIEWS = 2
"""As many epochs pass before the teacher's logits of all views are at hand."""
AIM = 1.5
REQUIREMENT = "torchdistill>=1.1,<2"


def measure_one(side: str, epochs: int, place: Path) -> measure.Measured:
    """Seconds of an epoch of one side, in this process."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    pair, _, who = side.partition(": ")
    if who in (LIVE, STORED):
        taken = _ours(PAIRS[pair], VIEWS + epochs, place, stored=who == STORED)
    else:
        if who == TORCHDISTILL:
            sys.path.append(str(place / TORCHDISTILL))
        import random_images
        import trainer_loops

        from kdsweep import catalog
        from kdsweep.spec import Component

        loop: trainer_loops.Loop = getattr(trainer_loops, who)
        shape = {"shape": random_images.SHAPE, "num_classes": random_images.NUM_CLASSES}
        teacher, student = (
            catalog.model(Component(**PAIRS[pair][role]), **shape)
            for role in ("teacher", "student")
        )
        taken = loop(teacher, student, PAIRS[pair]["num"], BATCH_SIZE, VIEWS + epochs)
    return {"wall": median(taken.wall[VIEWS:]), "cpu": median(taken.cpu[VIEWS:])}


def _ours(pair: dict[str, Any], epochs: int, place: Path, *, stored: bool) -> Any:
    import random_images
    import torch
    import trainer_loops

    from kdsweep import catalog
    from kdsweep.results.record import EpochMetrics
    from kdsweep.spec import TrialSpec
    from kdsweep.train.loop import Verdict, train
    from kdsweep.train.session import Session
    from kdsweep.train.teacher import Teacher
    from kdsweep.train.weights import save_weights

    cpu, weights = torch.device("cpu"), place / "teacher.safetensors"
    normal = {"mean": random_images.MEAN, "std": random_images.STD}
    trial = TrialSpec(
        data={"name": random_images.NAME, "num": pair["num"], **normal},
        teacher={"model": pair["teacher"], "weights": str(weights)},
        student=pair["student"],
        strategy={"name": "kd", "temperature": trainer_loops.TEMPERATURE,
                  "alpha": trainer_loops.ALPHA},
        train={"epochs": epochs, "batch_size": BATCH_SIZE, "lr": trainer_loops.LEARNING_RATE,
               "optimizer": "adam"},
    )  # fmt: skip
    assert trial.teacher is not None
    session = Session(device=cpu, teachers=place / "teachers")
    splits = session.splits(trial)
    network = catalog.model_for(trial.teacher.model, splits.info)
    save_weights(network, weights)
    taken, open_epoch = trainer_loops.Epochs(), []

    def begin() -> None:
        open_epoch.append(taken.one())
        open_epoch[-1].__enter__()

    def on_epoch(epoch: EpochMetrics) -> Verdict:
        open_epoch.pop().__exit__(None, None, None)
        begin()
        return Verdict.CONTINUE

    begin()
    if stored:
        outcome = session.run(trial, on_epoch)
        if outcome.status != "complete":
            sys.exit(f"the trial {outcome.status}: {outcome.error}")
    else:
        teacher = Teacher(network, digest="random", accuracy=0.0)
        train(trial, on_epoch, splits=splits, device=cpu, teacher=teacher)
    return taken


def install(place: Path) -> str | None:
    """Torchdistill in a directory of its own; why not, if it cannot be installed.

    Without what it asks for: all of that is here already, and torch is large.
    """
    into = ["--no-deps", "--target", str(place / TORCHDISTILL), REQUIREMENT]
    uv = shutil.which("uv")
    command = [uv, "pip", "install"] if uv else [sys.executable, "-m", "pip", "install"]
    done = subprocess.run([*command, *into], capture_output=True, text=True)
    return None if done.returncode == 0 else (done.stderr.strip().splitlines() or ["?"])[-1]


def main() -> None:
    assert __doc__ is not None
    given = measure.options(__doc__, trials=5, repeats=3, quick_trials=1)
    if given.one is not None:
        print(json.dumps(measure_one(given.one, given.trials, given.place)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        problem = install(place)
        sides = [LIVE, STORED, DOCUMENTS] + ([] if problem else [TORCHDISTILL])
        measured = measure.in_turns(
            {
                f"{pair}: {side}": _in_process(f"{pair}: {side}", given.trials, place)
                for pair in PAIRS
                for side in sides
            },
            repeats=given.repeats,
        )
    if problem:
        print(f"torchdistill was not measured: it could not be installed: {problem}")
    aims = [_compared(pair, sides, measured) for pair in PAIRS]
    measure.report(given, {"epochs": measured, "aims": aims, "torchdistill": problem or "measured"})


def _in_process(side: str, epochs: int, place: Path) -> Callable[[], measure.Measured]:
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return partial(
        measure.in_fresh_process, __file__, side, trials=epochs, place=place, environment=threads
    )


def _compared(
    pair: str, sides: list[str], measured: dict[str, list[measure.Measured]]
) -> list[measure.Measured]:
    """Print one pair's epochs and how many times as long as ours the faster of the others takes."""
    of = {side: measured[f"{pair}: {side}"] for side in sides}
    print()
    measure.table(
        (f"{pair}, {PAIRS[pair]['num']} images", "seconds per epoch", "CPU seconds"),
        [(side, measure.spread(each, "wall"), measure.spread(each, "cpu"))
         for side, each in of.items()],
    )  # fmt: skip
    fastest = min(
        (side for side in sides if side not in (LIVE, STORED)),
        key=lambda side: measure.middle(of[side], "cpu"),
    )
    # Processor seconds: of one thread they are those of the clock, but on a busy machine.
    theirs = measure.middle(of[fastest], "cpu")
    stored = theirs / measure.middle(of[STORED], "cpu")
    print(f"{pair}: {STORED} is {stored:.2f} times as fast as {fastest}")
    ours = measure.middle(of[LIVE], "cpu")
    print(f"{pair}: {LIVE} is {theirs / ours:.2f} times as fast as {fastest}")
    return [measure.aim(f"{pair}: {LIVE} / {fastest}", ours / theirs, at_most=1 / AIM)]


if __name__ == "__main__":
    main()
