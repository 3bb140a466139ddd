"""Curves of validation accuracy of real trials: recorded once, kept as a small table.

    cd benchmarks/curves
    python ../curves.py ../../search_spaces/digits.yaml digits.jsonl --points 300
    python ../curves.py ../glyphs.yaml glyphs.jsonl --points 120 --schedules per_rung:0.05,0.15,0.45
    python ../curves.py ../../search_spaces/digits.yaml digits_60.jsonl --points 300 --epochs 60 \\
        --schedules per_rung:0.05,0.15,0.45
    python ../curves.py ../glyphs.yaml glyphs_60.jsonl --points 120 --epochs 60 \\
        --schedules per_rung:0.05,0.15,0.45

Points of the sweep's space are drawn at random with a fixed seed, and each is trained under each of
``--schedules`` (``per_rung:0.25,0.5`` gives its ends), for the file's epochs or ``--epochs``, one
thread, in this process. A line of the table is one trial: the schedule, what was drawn, the
student's sizes, and the accuracy after every epoch, in ten-thousandths. The same command goes on
where it was interrupted.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import measure
import numpy as np
import torch

from kdsweep.results.record import EpochMetrics
from kdsweep.search.draws import draw
from kdsweep.spec.dimension import Label
from kdsweep.spec.space import Assignment
from kdsweep.sweep_file import Sweep, at, load
from kdsweep.train.loop import Verdict
from kdsweep.train.session import Session

SCHEDULES = ("per_rung:0.05,0.15,0.45", "per_rung:0.15,0.45", "per_rung:0.25,0.5", "cosine")


@dataclass(frozen=True)
class Curve:
    """One recorded trial: where it lies in its space, how large it is, and how it went."""

    schedule: str
    number: int
    point: dict[str, Label]
    params: int
    macs: int
    accuracies: tuple[float, ...]


def read(path: Path, schedule: str) -> list[Curve]:
    """The curves of a table that were made under one schedule."""
    return [each for each in _lines(path) if each.schedule == schedule]


def _lines(path: Path) -> Iterator[Curve]:
    for line in path.read_text().splitlines() if path.exists() else ():
        raw = json.loads(line)
        accuracies = tuple(value / 10_000 for value in raw.pop("accuracies"))
        yield Curve(**raw, accuracies=accuracies)


def points(sweep: Sweep, num: int) -> list[Assignment]:
    """Points of the space at random, always the same ones."""
    randoms = [np.random.default_rng([7, number]) for number in range(num)]
    return [sweep.space.resolve(partial(draw, random=random)) for random in randoms]


def settings(schedule: str) -> dict[str, Any]:
    """A schedule as the command names it, as a trial has it."""
    name, colon, ends = schedule.partition(":")
    return {"name": name, **({"ends": [float(e) for e in ends.split(",")]} if colon else {})}


def record(
    sweep: Sweep,
    table: Path,
    *,
    num: int,
    schedules: Sequence[str],
    epochs: int | None,
    place: Path,
) -> None:
    """Train what the table does not have yet."""
    torch.set_num_threads(1)
    session = Session(device=torch.device("cpu"), teachers=place)
    have = {(each.schedule, each.number) for each in _lines(table)}
    for number, point in enumerate(points(sweep, num)):
        for schedule in schedules:
            if (schedule, number) in have:
                continue
            changes = {**point.changes, "train.schedule": settings(schedule)}
            if epochs is not None:
                changes["train.epochs"] = epochs
            trial = at(sweep.spec.trial, changes)
            curve: list[float] = []

            def keep(epoch: EpochMetrics, curve: list[float] = curve) -> Verdict:
                curve.append(epoch.accuracy)
                return Verdict.CONTINUE

            outcome = session.run(trial, keep)
            measure.say(f"{number + 1}/{num} {schedule} {outcome.status} {curve[-1:]}")
            if outcome.status != "complete":
                continue
            line = {
                "schedule": schedule,
                "number": number,
                "point": {k: _short(v) for k, v in point.params.items()},
                "params": int(outcome.metrics["params"]),
                "macs": int(outcome.metrics["macs"]),
                "accuracies": [round(10_000 * accuracy) for accuracy in curve],
            }
            with table.open("a") as file:
                file.write(json.dumps(line) + "\n")


def _short(value: Label) -> Label:
    return float(f"{value:.4g}") if isinstance(value, float) else value


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sweep", type=Path)
    parser.add_argument("table", type=Path)
    parser.add_argument("--points", type=int, default=200)
    parser.add_argument("--schedules", nargs="+", default=list(SCHEDULES))
    parser.add_argument("--epochs", type=int, help="in place of the file's")
    parser.add_argument("--teachers", type=Path, default=Path("runs/teachers"))
    given = parser.parse_args()
    record(
        load(given.sweep), given.table,
        num=given.points, schedules=given.schedules, epochs=given.epochs, place=given.teachers,
    )  # fmt: skip


if __name__ == "__main__":
    main()
