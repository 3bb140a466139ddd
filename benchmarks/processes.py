"""The processes below one process, read from ``/proc``: Linux only, and no package needed."""

import os
from dataclasses import dataclass
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
MB = 2**20


@dataclass(frozen=True)
class Process:
    """One process now. ``cpu_s`` is its own, ``reaped_s`` that of children that have ended."""

    pid: int
    parent: int
    title: str
    cpu_s: float
    reaped_s: float


def cpus() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0))


def tree(root: int) -> list[Process]:
    """``root`` and all below it that are alive."""
    everyone = [found for entry in Path("/proc").glob("[0-9]*") if (found := _read(entry))]
    inside = {root}
    # Process numbers wrap around: a child may come before its parent in the listing.
    while True:
        more = {each.pid for each in everyone if each.parent in inside} - inside
        if not more:
            return [each for each in everyone if each.pid in inside]
        inside |= more


def cpu_seconds(root: int) -> float:
    """Processor time that the tree has used so far, that of its dead included."""
    return sum(each.cpu_s + each.reaped_s for each in tree(root))


def memory_mb(pid: int) -> float:
    """Memory of a process, pages that it shares counted in part (PSS); zero if it is gone."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    sizes = [line.split()[1] for line in text.splitlines() if line.startswith("Pss:")]
    return int(sizes[0]) * 1024 / MB if sizes else 0.0


def _read(entry: Path) -> Process | None:
    try:
        stat = (entry / "stat").read_text()
        command = (entry / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return None  # it has ended since the listing
    # The name may hold spaces and brackets: what follows the last bracket is numbers.
    fields = stat.rpartition(")")[2].split()
    user, system, reaped_user, reaped_system = (int(field) for field in fields[11:15])
    return Process(
        pid=int(entry.name),
        parent=int(fields[1]),
        title=" ".join(part.decode(errors="replace") for part in command if part),
        cpu_s=(user + system) / _TICKS_PER_S,
        reaped_s=(reaped_user + reaped_system) / _TICKS_PER_S,
    )
