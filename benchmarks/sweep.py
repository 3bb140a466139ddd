"""Hypervolume over wall time: a sweep by kdsweep, by plain Optuna, by Ray's documented pattern.

All sides search the space of one sweep file for its number of trials, controls included, on the
same split, and train the sweep's teacher themselves. Time counts from the start of each command,
imports and all; the images of glyphs are rendered beforehand. Sides, in turns, a seed at a time:

  kdsweep       ``kdsweep run`` of the file as it is, in a fresh directory of runs, tracked; with
                ``--times`` as many trials as the others: what its rungs save, it may spend
  optuna        plain Optuna, as many processes as processors: plain_optuna.py
  documented    Tune, OptunaSearch, a TorchTrainer in each trial: documented_tune.py

The last two train with the loop of plain_training.py. A trial counts when it has ended with its
accuracy on validation and its parameters. Hypervolume is against accuracy 0 and the largest student
that any side trained, sizes in decades. For each other side: its final hypervolume, when it had it,
when kdsweep had as much, and the ratio; also for 95 and 99 % of it, for the last per cent is often
one lucky trial. A side is cut off at ``--limit-s``: what it had by then counts, and the table says
so. Aim, medians over the seeds: kdsweep has what the faster of the others has in the end, in a
fifth of its time; the faster is the one that first had what both have in the end.

Every run is a line of ``--out``; the same command goes on from there.
"""

import argparse
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import measure
import sweeps
from hypervolume_curves import KDSWEEP, SHARES, Trial, compare, curve, middle, trials_of

HERE = Path(__file__).parent
FILES = {"digits": sweeps.DIGITS, "glyphs": HERE / "glyphs.yaml"}
SIDES = (KDSWEEP, "optuna", "documented")
SCRIPTS = {"optuna": HERE / "plain_optuna.py", "documented": HERE / "documented_tune.py"}
GRACE_S = 60.0
"""A side that was told to end may finish what it is training."""

Run = dict[str, Any]


def key(run: Mapping[str, Any]) -> tuple[Any, ...]:
    """Runs of the same key are the same measurement."""
    names = ("data", "seed", "side", "num_trials", "limit_s", "epochs", "times")
    return tuple(run[name] for name in names)


def measure_one(wanted: Run, place: Path) -> Run:
    """One side's sweep in processes of its own, from its command to its last trial."""
    side, seed, limit_s = wanted["side"], wanted["seed"], wanted["limit_s"]
    sweep, planned = _sweep_file(wanted, place)
    events, load = place / "events.jsonl", os.getloadavg()[0]
    began = time.time()
    if side == KDSWEEP:
        command = [str(HERE / "observed.py"), str(events), "run", str(sweep)]
        command += ["--runs-dir", str(place / "runs")]
    else:
        command = [str(SCRIPTS[side]), str(sweep), "--trials", str(planned), "--seed", str(seed)]
        command += ["--until", str(began + limit_s), "--place", str(place), "--events", str(events)]
    cut = _run([sys.executable, *command], limit_s, place, side)
    ended = time.time()
    lines = events.read_text().splitlines() if events.exists() else []
    trials = trials_of(map(json.loads, lines), began=began, limit_s=limit_s)
    return {
        **wanted,
        "cut": cut or (len(trials) < planned and ended - began >= limit_s),
        "planned": planned,
        "command_s": ended - began,
        "load_before": load,
        "trials": [asdict(trial) for trial in trials],
    }


def _sweep_file(wanted: Run, place: Path) -> tuple[Path, int]:
    """The sweep with this seed, and how many trials there are in all: controls are trials too."""
    raw = sweeps.read(FILES[wanted["data"]])
    trial, search = raw["trial"], raw["search"]
    search["seed"] = trial["seed"] = wanted["seed"]
    search["trials"] = wanted["num_trials"] or search["trials"]
    if wanted["side"] == KDSWEEP:
        search["trials"] *= wanted["times"]
    if wanted["epochs"] is not None:
        trial["train"]["epochs"] = wanted["epochs"]
    path = place / "sweep.yaml"
    sweeps.write(path, raw)
    return path, int(search["trials"]) + sweeps.NUM_CONTROLS


def _run(command: Sequence[str], limit_s: float, place: Path, side: str) -> bool:
    """Run a side to its end, or tell it to end at the limit; whether it had to be told."""
    said = place / "output"
    with said.open("w") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        cut = False
        try:
            try:
                # The others watch the clock themselves.
                process.wait(limit_s + (0.0 if side == KDSWEEP else GRACE_S))
            except subprocess.TimeoutExpired:
                cut = True
                process.send_signal(signal.SIGINT)
                process.wait(GRACE_S)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    if process.returncode and not cut:
        sys.exit(f"{' '.join(command)} failed:\n{said.read_text()[-6000:]}")
    return cut


def measured(given: argparse.Namespace) -> list[Run]:
    """All runs that were asked for: those on file, and the rest now, in turns."""
    given.out.touch()
    known = {key(run): run for run in map(json.loads, given.out.read_text().splitlines())}
    found = []
    for data in given.data:
        _render(data)
        for seed in given.seeds:
            # Every other seed backwards, so that no side is favoured.
            for side in given.sides if seed % 2 == 0 else reversed(given.sides):
                wanted = {
                    "data": data, "seed": seed, "side": side, "num_trials": given.trials,
                    "limit_s": given.limit_s, "epochs": given.epochs,
                    "times": given.times if side == KDSWEEP else 1,
                }  # fmt: skip
                run = known.get(key(wanted))
                if run is None:
                    measure.say(f"{data}, seed {seed}, {side} ...")
                    place = Path(tempfile.mkdtemp(prefix="kds"))
                    try:
                        run = measure_one(wanted, place)
                    finally:
                        shutil.rmtree(place, ignore_errors=True)
                    with given.out.open("a") as out:
                        out.write(json.dumps(run) + "\n")
                found.append(run)
    return found


def _render(data: str) -> None:
    """What a machine does once for all sweeps to come."""
    source = "import sys, torch; from plain_training import Asked, load; from pathlib import Path; "
    source += "load(Asked(Path(sys.argv[1])).trial)"
    subprocess.run([sys.executable, "-c", source, str(FILES[data])], check=True, cwd=HERE)


def compared(runs: Sequence[Run], data: str) -> tuple[dict[int, Any], list[list[str]]]:
    """By seed, each other side against kdsweep; and a row of the table for each run."""
    own = [run for run in runs if run["data"] == data]
    trials = {key(run): [Trial(**trial) for trial in run["trials"]] for run in own}
    largest = max((trial.params for each in trials.values() for trial in each), default=1)
    by_seed: dict[int, Any] = {}
    rows = []
    for run in own:
        found = curve(trials[key(run)], largest=largest)
        by_seed.setdefault(run["seed"], {})[run["side"]] = found
        rows.append(
            [data, str(run["seed"]), run["side"], f"{len(found)}/{run['planned']}",
             f"{found[0][0]:.1f}" if found else "none", f"{run['command_s']:.1f}",
             f"{found[-1][1]:.4f}" if found else "0",
             "cut at the limit" if run["cut"] else "", f"{run['load_before']:.1f}"]
        )  # fmt: skip
    complete = {seed: each for seed, each in by_seed.items() if KDSWEEP in each and len(each) > 1}
    return {seed: compare(each) for seed, each in complete.items()}, rows


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", nargs="+", choices=FILES, default=list(FILES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--trials", type=int, help="beside the controls; default: the file's")
    parser.add_argument("--times", type=int, default=1, help="so many for kdsweep; default 1")
    parser.add_argument("--epochs", type=int, help="of a trial; default: the file's")
    parser.add_argument("--limit-s", type=float, default=600.0, help="of a side; default 600")
    parser.add_argument("--quick", action="store_true", help="4 trials, seed 0, 90 s a side")
    parser.add_argument(
        "--out", type=Path, default=Path("sweep.jsonl"), help="the runs; default sweep.jsonl"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep all numbers here")
    given = parser.parse_args()
    given.load = os.getloadavg()[0]
    if given.quick:
        given.seeds, given.trials, given.limit_s = [0], 4, 90.0
    return given


def main() -> None:
    """Measure what is missing, print every run and the ratios."""
    given = options()
    runs = measured(given)
    found, aims = {}, []
    for data in given.data:
        found[data], rows = compared(runs, data)
        print()
        head = ("data", "seed", "side", "trials", "first after s", "command s", "hypervolume",
                "", "load before")  # fmt: skip
        measure.table(head, rows)
        aims += _print(data, found[data])
    measure.report(given, {"runs": runs, "compared": found, "aims": aims})


def _print(data: str, by_seed: Mapping[int, Any]) -> list[measure.Measured]:
    """The ratios of each seed and their medians."""
    if not by_seed:
        return []
    columns = [f"{what}_{share:.0%}" for share in SHARES for what in ("theirs", "ours", "ratio")]
    sides = [side for side in (*SIDES, "faster") if all(side in each for each in by_seed.values())]
    rows = []
    for side in sides:
        lines = {str(seed): each[side] for seed, each in by_seed.items()}
        lines["median"] = middle(list(lines.values()))
        rows += [
            [side, name, f"{line['final']:.4f}", *(_seconds(line[column]) for column in columns)]
            for name, line in lines.items()
        ]
    print(f"\n{data}: seconds until each side had so much of the other's final hypervolume")
    head = [f"{name.partition('_')[0]} {name.partition('_')[2]}" for name in columns]
    measure.table(("against", "seed", "final", *head), rows)
    ratio = middle([each["faster"] for each in by_seed.values()])["ratio_100%"]
    what = f"{data}: kdsweep / the faster other, time to its final hypervolume"
    return [measure.aim(what, ratio, at_most=1 / 5)]


def _seconds(value: float) -> str:
    return "never" if math.isinf(value) else f"{value:.2f}"


if __name__ == "__main__":
    main()
