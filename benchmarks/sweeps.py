"""The digits sweep cut to size, its teacher made beforehand, and ``kdsweep run`` observed."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import measure
from processes import LOOK_EVERY_S
from ruamel.yaml import YAML

DIGITS = Path(__file__).parent.parent / "search_spaces" / "digits.yaml"
NUM_CONTROLS = 2


@dataclass(frozen=True)
class Observed:
    """A ``kdsweep run`` from the outside: seconds since 1970, and what the display was told."""

    began: float
    ended: float
    events: list[dict[str, Any]]

    def all(self, what: str) -> list[dict[str, Any]]:
        """The events of one kind, in order."""
        return [event for event in self.events if event["what"] == what]


def digits(path: Path, **changes: Mapping[str, Any]) -> Path:
    """The repository's digits sweep with whole sections replaced, as a file."""
    raw = read(DIGITS)
    raw.update(changes)
    write(path, raw)
    return path


def read(path: Path) -> dict[str, Any]:
    """A sweep file as it is written."""
    raw: dict[str, Any] = YAML().load(path.read_text())
    return raw


def write(path: Path, raw: Mapping[str, Any]) -> None:
    """A sweep file."""
    with path.open("w") as file:
        YAML().dump(raw, file)


def make_teacher(sweep: Path, place: Path) -> Path:
    """Train the sweep's teacher once for every run to come; where it is kept."""
    measure.say("making the teacher ...")
    command = [sys.executable, "-m", "kdsweep", "trial", str(sweep), "--runs-dir", str(place)]
    measure.output_of(command)
    return place / "teachers"


def copy_teachers(teachers: Path, runs_dir: Path) -> None:
    """Put teachers that were made beforehand where the sweeps of ``runs_dir`` look for them."""
    shutil.copytree(teachers, runs_dir / "teachers")


def run(
    sweep: Path,
    runs_dir: Path,
    teachers: Path,
    *,
    environment: Mapping[str, str] | None = None,
    look: Callable[[int], None] | None = None,
) -> Observed:
    """``kdsweep run`` in a new directory of runs, to its end; ``look`` gets its process number.

    What it prints is in ``runs_dir``: ``stdout`` and ``stderr``.
    """
    copy_teachers(teachers, runs_dir)
    events = runs_dir / "events.jsonl"
    script = str(Path(__file__).with_name("observed.py"))
    command = [sys.executable, script, str(events), "run", str(sweep), "--runs-dir", str(runs_dir)]
    with (runs_dir / "stdout").open("w") as said, (runs_dir / "stderr").open("w") as complained:
        began = time.time()
        process = subprocess.Popen(
            command, stdout=said, stderr=complained, env={**os.environ, **(environment or {})}
        )
        try:
            while look is not None and process.poll() is None:
                look(process.pid)
                time.sleep(LOOK_EVERY_S)
            process.wait(timeout=measure.LONGEST_S)
        finally:
            process.terminate()
        ended = time.time()
    if process.returncode:
        texts = [(runs_dir / name).read_text()[-4000:] for name in ("stdout", "stderr")]
        sys.exit("\n".join([f"{' '.join(command)} failed:", *texts]))
    return Observed(began, ended, [json.loads(line) for line in events.read_text().splitlines()])
