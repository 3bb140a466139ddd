"""A trial on the teacher's stored outputs against the same trial with the live teacher.

Four pairs on random 3x32x32 images, shifted and mirrored, batches of 64, one thread. ``--trials``
is the number of batches in an epoch. Of each pair, in one process, in turns:

  live      an epoch of kd with the teacher asked for each batch (teacher.stored: none)
  stored    an epoch of kd on stored outputs, the views made before
  student   an epoch of none: what the student's training takes by itself
  teacher   the teacher alone on as many examples, in batches of the same size

live / stored is what stored outputs gain. It cannot be more than (teacher + student) / student: the
ceiling, measured in the same turns. Then what it takes to make a view, and how often a view must be
read to have paid. Every epoch is one of the real trainer, after one that is not counted. Seconds
are those that the process had a processor for: on one thread others do not disturb them. The gain
by the clock is printed too; it holds on a quiet machine alone.
"""

import json
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import measure
import numpy as np
import torch
from torch import nn

from kdsweep import catalog
from kdsweep.data.assembly import Part, in_memory
from kdsweep.data.base import DataInfo, Splits
from kdsweep.data.treatment import Normalisation, Treatment
from kdsweep.data.views import Augment
from kdsweep.results.record import EpochMetrics
from kdsweep.spec import Component, TrialSpec
from kdsweep.storage.shared import Shared
from kdsweep.train.allocator import keep_freed_memory
from kdsweep.train.loop import Verdict, train
from kdsweep.train.output_store import OutputStore
from kdsweep.train.teacher import Teacher

CPU = torch.device("cpu")
BATCH, NUM_CLASSES, EPOCHS = 64, 10, 3
LEAST_SHARE = 0.85

Network = dict[str, Any]
PAIRS: dict[str, tuple[Network, Network]] = {
    "cnn 128 to 32": (
        {"name": "cnn", "width": 128, "depth": 2, "dropout": 0.5},
        {"name": "cnn", "width": 32},
    ),
    "resnet110 to resnet20": ({"name": "resnet", "depth": 110}, {"name": "resnet", "depth": 20}),
    "wrn-40-2 to wrn-16-2": (
        {"name": "wide_resnet", "depth": 40, "width": 2},
        {"name": "wide_resnet", "depth": 16, "width": 2},
    ),
    "resnet32x4 to resnet8x4": (
        {"name": "resnet", "depth": 32, "width": 64, "stem": 32},
        {"name": "resnet", "depth": 8, "width": 64, "stem": 32},
    ),
}
SIDES = ("live", "stored", "student", "teacher")


def images(steps: int) -> Splits:
    """Random images: ``steps`` batches to train on, and few to validate, which is timed too."""
    random = np.random.default_rng(0)
    names = tuple(map(str, range(NUM_CLASSES)))
    info = DataInfo(num_classes=NUM_CLASSES, class_names=names, shape=(3, 32, 32))

    def part(num: int) -> Part:
        pixels = random.integers(0, 256, (num, *info.image_shape), dtype=np.uint8)
        return Part(pixels, np.arange(num, dtype=np.int64) % NUM_CLASSES)

    treatment = Treatment(
        Normalisation((0.5,) * 3, (0.3,) * 3), Augment(crop=4, flip=True, views=EPOCHS), CPU
    )
    return in_memory(info, (part(steps * BATCH), part(NUM_CLASSES), part(NUM_CLASSES)), treatment)


def clocks() -> tuple[float, float]:
    """The processor's seconds of this process, and the clock's."""
    return time.process_time(), time.perf_counter()


def since(start: tuple[float, float], end: tuple[float, float] | None = None) -> measure.Measured:
    """Seconds from one reading of the clocks to another, or to now."""
    cpu, wall = (b - a for a, b in zip(start, end or clocks(), strict=True))
    return {"cpu_s": cpu, "wall_s": wall}


@torch.no_grad()
def _calibrate(network: nn.Module, splits: Splits) -> None:
    """Let the batch norms see images: outputs of a deep network as drawn are beyond float16."""
    network.train()
    batch = next(splits.train.in_order(batch_size=BATCH, view=0))
    for _ in range(20):
        network(batch.inputs["images"])
    network.eval()


class Pair:
    """The four sides of one pair of networks."""

    def __init__(self, teacher: Network, student: Network, steps: int, folder: Path) -> None:
        torch.manual_seed(0)
        self.splits = images(steps)
        network = catalog.model_for(Component(**teacher), self.splits.info)
        _calibrate(network, self.splits)
        self.teacher = Teacher(network, digest="drawn", accuracy=0.0)
        self.store = OutputStore(Shared(folder), "drawn", self.teacher, self.splits.train)
        self.student = student

    def views(self) -> list[measure.Measured]:
        """What it takes to make each view, on the disk by then."""
        found = []
        for view in range(self.splits.num_views):
            started = clocks()
            self.store.view(view, (), device=CPU)
            found.append(since(started))
        return found

    def epoch_of(self, strategy: str, *, stored: bool) -> measure.Measured:
        """An epoch of the trainer: the median of those after the first."""
        trial = TrialSpec(
            data="digits",
            student=self.student,
            strategy=strategy,
            train={"epochs": EPOCHS, "batch_size": BATCH, "optimizer": "sgd", "lr": 0.01},
        )
        ends: list[tuple[float, float]] = []

        def report(epoch: EpochMetrics) -> Verdict:
            ends.append(clocks())
            return Verdict.CONTINUE

        train(
            trial, report, splits=self.splits, device=CPU,
            teacher=None if strategy == "none" else self.teacher,
            stored=self.store if stored else None,
        )  # fmt: skip
        epochs = [since(start, end) for start, end in pairwise(ends)]
        return {key: median(each[key] for each in epochs) for key in epochs[0]}

    def teacher_alone(self) -> measure.Measured:
        """The teacher's forwards over as many examples as an epoch has."""
        started = clocks()
        for batch in self.splits.train.in_order(batch_size=BATCH, view=0):
            self.teacher.outputs(batch)
        return since(started)

    def measured(self, side: str) -> measure.Measured:
        """One measurement of a side."""
        if side == "teacher":
            return self.teacher_alone()
        return self.epoch_of("none" if side == "student" else "kd", stored=side == "stored")


def measure_pair(name: str, steps: int, repeats: int) -> measure.Measured:
    """All sides of a pair in turns, in this process."""
    torch.set_num_threads(1)
    keep_freed_memory()
    with tempfile.TemporaryDirectory() as scratch:
        pair = Pair(*PAIRS[name], steps, Path(scratch))
        views = pair.views()[1:]
        found = measure.in_turns(
            {side: lambda side=side: pair.measured(side) for side in SIDES},  # type: ignore[misc]
            repeats=repeats,
        )
    cost = {side: measure.middle(runs, "cpu_s") for side, runs in found.items()}
    gains = {key: _gain(found, key) for key in ("cpu_s", "wall_s")}
    ceiling = (cost["teacher"] + cost["student"]) / cost["student"]
    view_s, saved = measure.middle(views, "cpu_s"), cost["live"] - cost["stored"]
    return {
        "pair": name, "steps": steps, "sides": found, "views": views, "cost": cost,
        "gain": gains["cpu_s"], "gain_by_the_clock": gains["wall_s"], "ceiling": ceiling,
        "share": gains["cpu_s"] / ceiling, "view_s": view_s,
        "reads_to_pay": view_s / saved if saved > 0 else None,
    }  # fmt: skip


def _gain(found: dict[str, list[measure.Measured]], key: str) -> float:
    """Of each turn live / stored; the median of the turns."""
    turns = zip(found["live"], found["stored"], strict=True)
    return median(live[key] / stored[key] for live, stored in turns)


def main() -> None:
    """Measure each pair in a process of its own, and print what stored outputs gain."""
    given = measure.options(__doc__, trials=6, repeats=5, quick_trials=2)
    if given.one is not None:
        name, _, repeats = given.one.rpartition(" x")
        print(json.dumps(measure_pair(name, given.trials, int(repeats))))
        return
    found = [
        measure.in_fresh_process(
            __file__, f"{name} x{given.repeats}", trials=given.trials,
            environment={"OMP_NUM_THREADS": "1"},
        )
        for name in PAIRS
    ]  # fmt: skip
    head = ("pair", *(f"{side} s" for side in SIDES), "gain", "by the clock", "ceiling", "share")
    measure.table(
        head,
        [
            (
                each["pair"],
                *(f"{each['cost'][side]:.3f}" for side in SIDES),
                *(f"{each[key]:.2f}" for key in ("gain", "gain_by_the_clock", "ceiling")),
                f"{each['share']:.0%}",
            )
            for each in found
        ],
    )
    print()
    for each in found:
        reads = each["reads_to_pay"]
        paid = "does not pay" if reads is None else f"has paid when it was read {reads:.1f} times"
        print(f"{each['pair']}: a view is made in {each['view_s']:.3f} s, and {paid}")
    print()
    aims = [
        measure.aim(f"{e['pair']}: ceiling / gain", 1 / e["share"], at_most=1 / LEAST_SHARE)
        for e in found
    ]
    measure.report(given, {"pairs": found, "aims": aims})


if __name__ == "__main__":
    main()
