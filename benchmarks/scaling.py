"""What the driver costs: a sweep of trials that sleep, on 1, 2, 4 and 8 lanes.

Each side is a whole ``kdsweep.search.run.run`` in a process of its own: Ray, lanes (Ray Train
workers), Tune with our searcher, TPE, records on disk, plain lines as into a log. Only what a lane
does with a trial is replaced: it sleeps through the epochs and reports each. The teacher of the
digits sweep is made beforehand. Sides:

  1, 2, 4, 8 lanes       no tracking; fewer lanes get fewer trials, so that each side takes as long
  8 lanes, MLflow        tracked in a new SQLite file, as a sweep is by default
  8 lanes, display       the live display of a terminal of 100 by 40 characters

A lane takes an equal part of the processors, however many there are: who sleeps needs none. In a
steady window, from the second trial of each lane to the last but one:

  over ideal        wall time over trials x sleep / lanes
  driver ms         of processor time of the driver, all of its threads, per trial and per report
                    (a result of Tune: a trial of a second has one or two)
  first, last       of these milliseconds per trial: in the first and the last tenth of the trials
  others ms         of processor time of all other processes of the sweep, per trial
  calls             of the switchboard, per trial
"""

import argparse
import cProfile
import json
import os
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import asleep
import measure
import sweeps
from processes import cpus, memory_mb, open_files, thread_cpu_s, tree

LANES = (1, 2, 4, 8)
MOST = max(LANES)
TRACKED, DISPLAYED = f"{MOST} lanes, MLflow", f"{MOST} lanes, display"
LOOK_AT = (0.1, 0.5, 1.0)
"""Shares of the trials after which the driver's memory and files are looked at."""
TENTHS = 10


def lanes_of(side: str) -> int:
    """How many lanes a side has."""
    return int(side.partition(" ")[0])


@dataclass
class Notes:
    """What is noted in the driver while its sweep runs; cheap, and in Tune's thread."""

    trials: int
    lanes: int
    ends: list[tuple[float, float]] = field(default_factory=list)
    """Seconds and the driver's processor seconds at the end of each trial."""
    reports: int = 0
    looks: list[dict[str, Any]] = field(default_factory=list)
    at_start: dict[str, Any] = field(default_factory=dict)
    at_end: dict[str, Any] = field(default_factory=dict)

    def reported(self) -> None:
        """Tune has a result of a trial."""
        self.reports += 1

    def ended(self, where: dict[str, str]) -> None:
        """A trial has ended, its record is written; ``where`` the switchboard is."""
        self.ends.append((time.perf_counter(), time.process_time()))
        number = len(self.ends)
        if number in {round(share * self.trials) for share in LOOK_AT}:
            memory = memory_mb(os.getpid())
            self.looks.append({"trials": number, "mb": memory, "files": open_files(os.getpid())})
        if number == 2 * self.lanes:
            self.at_start = self._totals(where)
        # Then the last trials are out, and Tune sends home who has nothing to do.
        if number == self.trials - self.lanes:
            self.at_end = self._totals(where)

    def _totals(self, where: dict[str, str]) -> dict[str, Any]:
        import ray

        board = ray.get_actor(where["board"], namespace=where["namespace"])
        return {
            "at": time.perf_counter(),
            "reports": self.reports,
            "driver": time.process_time(),
            "all": sum(process.cpu_s for process in tree(os.getpid())),
            "calls": ray.get(board.calls.remote()),
            "threads": by_name(thread_cpu_s(os.getpid())),
        }

    def measured(self, sleep_s: float) -> measure.Measured:
        """The window in numbers."""
        before, after = self.at_start, self.at_end
        num = self.trials - 3 * self.lanes
        driver, wall = after["driver"] - before["driver"], after["at"] - before["at"]
        tenth = max(1, self.trials // TENTHS)
        num_reports = after["reports"] - before["reports"]
        return {
            "trials": self.trials,
            "wall_s": wall,
            "ideal_s": num * sleep_s / self.lanes,
            "over_ideal": wall / (num * sleep_s / self.lanes),
            "trials_per_s": num / wall,
            "driver_ms": 1000 * driver / num,
            "driver_ms_per_report": 1000 * driver / num_reports,
            "driver_share": driver / wall,
            "first_ms": self._ms(2 * self.lanes - 1, 2 * self.lanes - 1 + tenth),
            "last_ms": self._ms(self.trials - 1 - self.lanes - tenth, self.trials - 1 - self.lanes),
            "others_ms": 1000 * (after["all"] - before["all"] - driver) / num,
            "reports": num_reports / num,
            "calls": _less(after["calls"], before["calls"], num, digits=2),
            "threads_ms": {
                name: round(1000 * (seconds - before["threads"].get(name, 0.0)) / num, 2)
                for name, seconds in sorted(after["threads"].items(), key=lambda item: -item[1])
            },
            "looks": self.looks,
        }

    def _ms(self, first: int, last: int) -> float:
        """Of the driver for each trial between two ends."""
        last = min(last, len(self.ends) - 1)
        return 1000 * (self.ends[last][1] - self.ends[first][1]) / max(1, last - first)


def _less(after: dict[str, int], before: dict[str, int], num: int, *, digits: int) -> Any:
    return {name: round((n - before.get(name, 0)) / num, digits) for name, n in after.items()}


def by_name(seconds: dict[int, float]) -> dict[str, float]:
    """Processor seconds of this process' threads: Python's by name, the rest together."""
    names = {thread.native_id: thread.name for thread in threading.enumerate()}
    found: Counter[str] = Counter()
    for thread_id, spent in seconds.items():
        found[names.get(thread_id, "not Python's")] += spent
    return dict(found)


def measure_one(side: str, given: argparse.Namespace) -> measure.Measured:
    """One side, in this process."""
    lanes, place = lanes_of(side), given.place
    trials = max(8 * lanes, given.trials * lanes // MOST)
    sweep_file = sweeps.digits(
        place / "digits.yaml",
        # What sleeps has no accuracy by which it could be ended early.
        search={
            "sampler": "tpe",
            "trials": trials - sweeps.NUM_CONTROLS,
            "seed": 0,
            "rungs": None,
        },
        cluster={"concurrent_trials": lanes, "cpus_per_worker": min(1.0, cpus() / lanes)},
        tracking={"enabled": side == TRACKED},
    )
    began = time.perf_counter()
    profile = cProfile.Profile() if given.profile is not None else None
    notes = Notes(trials, lanes)
    if profile is not None:
        profile.enable()
    _run(sweep_file, place, notes, sleep_s=given.sleep_s, displayed=side == DISPLAYED)
    if profile is not None:
        profile.disable()
        profile.dump_stats(given.profile)
    ended = time.perf_counter()
    return {
        **notes.measured(given.sleep_s),
        "start_up_s": notes.ends[0][0] - began,
        "after_s": ended - notes.ends[-1][0],
    }


def _run(sweep_file: Path, place: Path, notes: Notes, *, sleep_s: float, displayed: bool) -> None:
    """As ``kdsweep run`` does it, with trials that sleep."""
    from rich.console import Console

    from kdsweep.report.progress import Progress
    from kdsweep.results.store import RunStore
    from kdsweep.search.provenance import describe_run
    from kdsweep.search.run import run
    from kdsweep.sweep_file import load
    from kdsweep.tracking.where import uri_of

    sweep = load(sweep_file)
    tracking = sweep.spec.tracking
    uri = uri_of(tracking, place) if tracking.enabled else None
    meta = describe_run(sweep, name=sweep.spec.name, tracking_uri=uri)
    console = Console(file=StringIO(), force_terminal=displayed, width=100, height=40)
    _put_to_sleep(notes, sleep_s)
    with Progress(meta.name, meta.trials, sweep.spec.objectives, console) as progress:
        status, store = run(
            sweep,
            lambda: RunStore.create(place / meta.name, meta=meta, sweep_text=sweep.text),
            progress=progress,
        )
    records = [record for record in store.read() if record.role != "teacher"]
    wrong = [record.error for record in records if record.status != "complete"]
    if status != "complete" or wrong or len(records) != notes.trials:
        raise SystemExit(f"{status}: {len(records)} of {notes.trials} trials, wrong: {wrong[:1]}")


def _put_to_sleep(notes: Notes, sleep_s: float) -> None:
    """The sweep's searcher gives jobs that sleep, its switchboard counts."""
    from sleepers import Sleepers

    from kdsweep.search import board, searcher

    Sleepers.sleep_s, Sleepers.reported, Sleepers.ended = sleep_s, notes.reported, notes.ended
    searcher.FrontSearcher = Sleepers  # type: ignore[misc]
    board.Switchboard = asleep.Counting  # type: ignore[misc]


def main() -> None:
    """Measure the sides in turns, print what each costs."""
    given = options()
    if given.one is not None:
        print(json.dumps(measure_one(given.one, given)))
        return
    sides = given.sides or [*(f"{n} lane{'s' * (n > 1)}" for n in LANES), TRACKED, DISPLAYED]
    with tempfile.TemporaryDirectory() as scratch:
        plain = {"search": {"sampler": "tpe", "trials": 1}}
        made = sweeps.make_teacher(
            sweeps.digits(Path(scratch) / "any.yaml", **plain), Path(scratch)
        )
        numbers = iter(range(1_000_000))

        def one(side: str) -> measure.Measured:
            place = Path(scratch) / f"{next(numbers)}"
            sweeps.copy_teachers(made, place)
            extra = ["--sleep-s", str(given.sleep_s)]
            extra += ["--profile", str(given.profile)] if given.profile is not None else []
            return measure.in_fresh_process(
                __file__, side, trials=given.trials, place=place, extra=extra
            )

        found = measure.in_turns(
            {side: lambda side=side: one(side) for side in sides},  # type: ignore[misc]
            repeats=given.repeats,
        )
    _print(found)
    measure.report(given, {"sides": found, "aims": _aims(found)})


def options() -> argparse.Namespace:
    """The command line."""

    def more(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--sleep-s", type=float, default=1.0, help="of a trial; default 1")
        parser.add_argument("--sides", nargs="+", metavar="SIDE", help="some, as '8 lanes, MLflow'")
        parser.add_argument(
            "--profile", type=Path, metavar="FILE", help="cProfile of the driver's main thread"
        )

    return measure.options(__doc__, trials=1000, repeats=3, quick_trials=64, more=more)


def _print(found: dict[str, list[measure.Measured]]) -> None:
    head = ("side", "trials", "over ideal", "trials/s", "driver ms", "per report", "first", "last",
            "others ms", "reports", "calls", "start-up s", "after s")  # fmt: skip
    names = ("driver_ms", "driver_ms_per_report", "first_ms", "last_ms", "others_ms")
    rows = []
    for side, runs in found.items():
        middle = {name: measure.middle(runs, name) for name in runs[0] if name not in _NESTED}
        calls = sum(runs[0]["calls"].values())
        rows.append(
            (side, str(runs[0]["trials"]), measure.spread(runs, "over_ideal", 3),
             f"{middle['trials_per_s']:.2f}", *(f"{middle[name]:.1f}" for name in names),
             f"{middle['reports']:.2f}", f"{calls:.2f}",
             f"{middle['start_up_s']:.1f}", f"{middle['after_s']:.1f}")
        )  # fmt: skip
    measure.table(head, rows)
    print()
    rows = [
        (side, *(f"{look['mb']:.0f} MB, {look['files']} files" for look in runs[-1]["looks"]))
        for side, runs in found.items()
    ]
    measure.table(("driver's memory, after", *(f"{s:.0%} of trials" for s in LOOK_AT)), rows)
    for side, runs in found.items():
        calls = ", ".join(f"{name} {n:.2f}" for name, n in runs[-1]["calls"].items() if n)
        most = [f"{name} {ms:.1f}" for name, ms in runs[-1]["threads_ms"].items() if ms >= 0.1]
        print(f"\n{side}: calls per trial: {calls}; ms per trial: {', '.join(most)}")


_NESTED = ("calls", "threads_ms", "looks")


def _aims(found: dict[str, list[measure.Measured]]) -> list[measure.Measured]:
    print()
    aims = [
        measure.aim(f"{side}, driver ms per report / 20", ratio / 20, at_most=1)
        for side, runs in found.items()
        for ratio in (measure.middle(runs, "driver_ms_per_report"),)
    ]
    for side, runs in found.items():
        first, *_, last = runs[-1]["looks"]
        name = f"{side}, memory at the end / after a tenth"
        aims.append(measure.aim(name, last["mb"] / first["mb"], at_most=1.1))
    alone, most = found.get("1 lane"), found.get(f"{MOST} lanes")
    if alone and most:
        gain = measure.middle(most, "trials_per_s") / measure.middle(alone, "trials_per_s")
        aims.append(
            measure.aim(f"{MOST} lanes: {MOST} / gain in trials/s", MOST / gain, at_most=1.1)
        )
    return aims


if __name__ == "__main__":
    main()
