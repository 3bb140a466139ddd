"""From ``kdsweep run`` to the first epoch: when what is up, which processes, what they import.

The command runs the digits sweep with few trials, its teacher made beforehand. Times are seconds
from the start of the command to what its own display is told:

  imports        the command line is read, the file checked; Ray is about to be started
  Ray            Ray is up, lanes are asked for
  lane           the first lane is up
  first epoch    of any trial
  last trial     has ended
  command        has ended: records, front and MLflow are written

A further run, whose times are not used, is watched: every process below the command with its
processor seconds and its greatest share of memory (PSS). Another runs under ``-X importtime``:
modules and seconds of every Python process, and the packages that take most of them. It slows
importing down, and modules that a worker of Ray imports before it has a log of its own are counted
together, for all workers.
"""

import re
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import measure
import sweeps
from processes import memory_mb, tree

MOMENTS = ("imports", "Ray", "lane", "first epoch", "last trial", "command")
LARGEST = 5
"""So many packages are named per process."""

_IMPORT = re.compile(r"^import time:\s+(\d+) \|\s+\d+ \|\s+([\w.]+)$", re.MULTILINE)
_WORKER_LOG = re.compile(r"worker-.*-(\d+)\.err$")


def moments(observed: sweeps.Observed) -> measure.Measured:
    """When what was up."""
    phases = [(event["at"], event["text"]) for event in observed.all("phase")]
    texts = [text for _, text in phases]
    starting = texts.index("starting Ray")
    asked = next(i for i, text in enumerate(texts) if re.match(r"starting \d+ lane", text))
    at = (
        phases[starting][0],
        phases[asked][0],
        phases[asked + 1][0],
        observed.all("epoch")[0]["at"],
        observed.all("ended")[-1]["at"],
        observed.ended,
    )
    return {name: when - observed.began for name, when in zip(MOMENTS, at, strict=True)}


@dataclass
class Seen:
    """What was seen of one process."""

    title: str = ""
    cpu_s: float = 0.0
    memory_mb: float = 0.0


@dataclass
class Watcher:
    """Looks at the processes of a run again and again."""

    seen: dict[int, Seen] = field(default_factory=lambda: defaultdict(Seen))

    def __call__(self, root: int) -> None:
        for process in tree(root):
            seen = self.seen[process.pid]
            seen.cpu_s = process.cpu_s
            seen.memory_mb = max(seen.memory_mb, memory_mb(process.pid))
            # In the end a worker of Ray is idle, and a process that has ended has no name.
            if process.title and (not seen.title or "::IDLE" not in process.title):
                seen.title = named(process.title)


def named(command: str) -> str:
    """A process in a few words."""
    if "observed.py" in command:
        return "the driver"
    script = re.search(r"(\w+/\w+\.py)", command)
    if command.startswith("ray::") or script is None:
        return Path(command.split(" ")[0]).name
    return script[1]


def imports(log: str) -> measure.Measured | None:
    """Modules and seconds of one process by its log; none if it imported nothing there."""
    lines = _IMPORT.findall(log)
    if not lines:
        return None
    packages: dict[str, float] = defaultdict(float)
    for microseconds, module in lines:
        packages[module.partition(".")[0]] += int(microseconds) / 1e6
    most = sorted(packages.items(), key=lambda item: -item[1])[:LARGEST]
    return {"modules": len(lines), "seconds": sum(packages.values()), "most": dict(most)}


def imports_of(runs_dir: Path, ray_dir: Path, watcher: Watcher) -> list[measure.Measured]:
    """What every Python process of a run under ``-X importtime`` imported."""
    logs = [("the driver", runs_dir / "stderr")]
    # What raylet starts writes here until it has a log of its own: several processes in one.
    early = "all below raylet, at first"
    for log in sorted(ray_dir.glob("**/logs/*.err")):
        if log.parent.parent.is_symlink():
            continue  # session_latest is the session once more
        worker = _WORKER_LOG.search(log.name)
        title = early if log.stem == "raylet" else log.stem
        logs.append((watcher.seen[int(worker[1])].title if worker else title, log))
    found = []
    for title, log in logs:
        imported = imports(log.read_text(errors="replace"))
        if imported is not None:
            found.append({"process": title, **imported})
    return found


def main() -> None:
    """Run the sweep again and again, and print what it took to get going."""
    given = measure.options(__doc__, trials=6, repeats=5, quick_trials=4)
    with tempfile.TemporaryDirectory(prefix="kds") as scratch:
        place = Path(scratch)
        num_searched = max(1, given.trials - sweeps.NUM_CONTROLS)
        search = {"sampler": "random", "trials": num_searched, "seed": 0}
        sweep = sweeps.digits(place / "digits.yaml", search=search)
        teachers = sweeps.make_teacher(sweep, place)
        times = []
        for repeat in range(given.repeats):
            measure.say(f"{repeat + 1}/{given.repeats} kdsweep run ...")
            times.append(moments(sweeps.run(sweep, place / f"runs-{repeat}", teachers)))
        measure.say("once more, watched ...")
        watcher = Watcher()
        sweeps.run(sweep, place / "watched", teachers, look=watcher)
        measure.say("once more, with import times ...")
        importing, ray_dir = Watcher(), place / "r"
        # Sockets below Ray's directory have paths of 107 characters at most.
        traced = {"PYTHONPROFILEIMPORTTIME": "1", "RAY_TMPDIR": str(ray_dir)}
        runs_dir = place / "traced"
        sweeps.run(sweep, runs_dir, teachers, environment=traced, look=importing)
        imported = imports_of(runs_dir, ray_dir, importing)
    _print(times, watcher.seen.values(), imported)
    processes = [vars(seen) for seen in watcher.seen.values()]
    measure.report(given, {"times": times, "processes": processes, "imports": imported})


def _print(
    times: list[measure.Measured], seen: Iterable[Seen], imported: list[measure.Measured]
) -> None:
    rows = [(name, measure.spread(times, name, 2)) for name in MOMENTS]
    measure.table(("seconds from the command to", "median (least .. most)"), rows)
    print()
    most_first = sorted(seen, key=lambda each: -each.cpu_s)
    rows = [(each.title, f"{each.cpu_s:.2f}", f"{each.memory_mb:.0f}") for each in most_first]
    rows.append((f"all {len(rows)}", f"{sum(each.cpu_s for each in most_first):.2f}", ""))
    measure.table(("process", "CPU-s", "MB"), rows)
    print()
    imported = sorted(imported, key=lambda each: -each["seconds"])
    rows = [
        (
            each["process"],
            str(each["modules"]),
            f"{each['seconds']:.2f}",
            ", ".join(f"{name} {seconds:.2f}" for name, seconds in each["most"].items()),
        )
        for each in imported
    ]
    measure.table(("process", "modules", "import s", "most of them"), rows)


if __name__ == "__main__":
    main()
