"""What the benchmarks share: one measurement per fresh process, medians, and where they ran."""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from processes import cpus

Measured = dict[str, Any]
"""What one measurement found: JSON types."""

PACKAGES = ("ray", "torch", "optuna", "mlflow")
LONGEST_S = 1800.0
"""A measurement that takes longer hangs."""


def options(
    doc: str,
    *,
    trials: int,
    repeats: int,
    quick_trials: int,
    more: Callable[[argparse.ArgumentParser], None] = lambda parser: None,
) -> argparse.Namespace:
    """The command line that all benchmarks have; ``--quick`` shows that it works, not how well.

    ``more`` adds what a script has of its own.
    """
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, help=f"of each measurement; default {trials}")
    parser.add_argument("--repeats", type=int, help=f"of each side; default {repeats}")
    parser.add_argument("--quick", action="store_true", help=f"{quick_trials} trials, once")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep all numbers here")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--place", type=Path, help=argparse.SUPPRESS)
    more(parser)
    given = parser.parse_args()
    given.load = os.getloadavg()[0]
    given.trials = given.trials or (quick_trials if given.quick else trials)
    given.repeats = given.repeats or (1 if given.quick else repeats)
    return given


def in_turns(
    sides: Mapping[str, Callable[[], Measured]], *, repeats: int
) -> dict[str, list[Measured]]:
    """Measure the sides in turns, every other round backwards, so that no side is favoured."""
    found: dict[str, list[Measured]] = {name: [] for name in sides}
    for repeat in range(repeats):
        names = list(sides) if repeat % 2 == 0 else list(reversed(sides))
        for name in names:
            say(f"{repeat + 1}/{repeats} {name} ...")
            found[name].append(sides[name]())
    return found


def in_fresh_process(
    script: str,
    side: str,
    *,
    trials: int,
    place: Path | None = None,
    environment: Mapping[str, str] | None = None,
    extra: Sequence[str] = (),
) -> Measured:
    """``script --one side`` in a process of its own, whose last line is what it measured."""
    command = [sys.executable, script, "--one", side, "--trials", str(trials), *extra]
    if place is not None:
        command += ["--place", str(place)]
    return json.loads(output_of(command, environment).splitlines()[-1])


def output_of(command: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
    """What a command prints; if it fails, what it complains of ends the benchmark."""
    with tempfile.TemporaryFile("w+") as complaints:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            timeout=LONGEST_S,
            env={**os.environ, **(environment or {})},
        )
        if done.returncode:
            complaints.seek(0)
            sys.exit(f"{' '.join(command)} failed:\n{done.stdout}\n{complaints.read()[-8000:]}")
    return done.stdout


def middle(measured: Sequence[Measured], key: str) -> float:
    """The median of one number over the repeats."""
    return median(each[key] for each in measured)


def spread(measured: Sequence[Measured], key: str, digits: int = 3) -> str:
    """``median (least .. most)`` of one number over the repeats."""
    values = [each[key] for each in measured]
    least, most = min(values), max(values)
    return f"{median(values):.{digits}f} ({least:.{digits}f} .. {most:.{digits}f})"


def aim(what: str, ratio: float, *, at_most: float) -> Measured:
    """Print a ratio beside what it should be; returns both."""
    met = ratio <= at_most
    print(f"{what}: {ratio:.3g} (aim: at most {at_most:.3g}; {'met' if met else 'MISSED'})")
    return {"what": what, "ratio": ratio, "at_most": at_most, "met": met}


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under their head, the first column to the left."""
    widths = [max(len(str(row[i])) for row in (head, *rows)) for i in range(len(head))]
    for row in (head, *rows):
        cells = [f"{row[0]:<{widths[0]}}"]
        cells += [f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True)]
        print("  ".join(cells).rstrip())


def where() -> Measured:
    """The machine and the packages."""
    return {
        "date": datetime.now(UTC).astimezone().isoformat(timespec="seconds"),
        "cpu": _cpu_name(),
        "cpus": cpus(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
    }


def report(given: argparse.Namespace, found: Mapping[str, Any]) -> None:
    """Say where this ran, and keep the numbers if that was asked for."""
    place = {**where(), "load_before": round(given.load, 2)}
    packages = ", ".join(f"{name} {number}" for name, number in place["packages"].items())
    print(
        f"\n{place['date']}: {place['cpus']} CPUs ({place['cpu']}), "
        f"load {place['load_before']} before, "
        f"Python {place['python']}, {packages}"
    )
    if given.json is not None:
        given.json.write_text(json.dumps({"where": place, **found}, indent=1) + "\n")


def say(text: str) -> None:
    """A line for whoever waits; not a part of the result."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def _cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
