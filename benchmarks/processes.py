"""The processes below one process, read from ``/proc``: Linux only, and no package needed."""

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
MB = 2**20
LOOK_EVERY_S = 0.25


@dataclass(frozen=True)
class Process:
    """One process now. ``began`` tells it from an earlier one of the same number."""

    pid: int
    parent: int
    title: str
    cpu_s: float
    began: int


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


class CpuMeter:
    """Processor time of a tree, that of processes which have ended since the start included.

    Ray's own parent process does not count its dead: they are looked at until they are gone, so
    that the last ``LOOK_EVERY_S`` of each may be missing.
    """

    def __init__(self, root: int) -> None:
        self._root = root
        self._seen: dict[tuple[int, int], float] = {}
        self._lock = threading.Lock()
        threading.Thread(target=self._watch, daemon=True).start()

    def seconds(self) -> float:
        """So far, since each process began."""
        with self._lock:
            self._seen |= {(each.pid, each.began): each.cpu_s for each in tree(self._root)}
            return sum(self._seen.values())

    def _watch(self) -> None:
        while True:
            self.seconds()
            time.sleep(LOOK_EVERY_S)


def memory_mb(pid: int) -> float:
    """Memory of a process, pages that it shares counted in part (PSS); zero if it is gone."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    sizes = [line.split()[1] for line in text.splitlines() if line.startswith("Pss:")]
    return int(sizes[0]) * 1024 / MB if sizes else 0.0


def open_files(pid: int) -> int:
    """File descriptors of a process."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def thread_cpu_s(pid: int) -> dict[int, float]:
    """Processor seconds of each thread of a process, by its number."""
    found = {}
    for entry in Path(f"/proc/{pid}/task").iterdir():
        thread = _read(entry)
        if thread is not None:
            found[thread.pid] = thread.cpu_s
    return found


def _read(entry: Path) -> Process | None:
    try:
        stat = (entry / "stat").read_text()
        command = (entry / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return None  # it has ended since the listing
    # The name may hold spaces and brackets: what follows the last bracket is numbers.
    fields = stat.rpartition(")")[2].split()
    return Process(
        pid=int(entry.name),
        parent=int(fields[1]),
        title=" ".join(part.decode(errors="replace") for part in command if part),
        cpu_s=(int(fields[11]) + int(fields[12])) / _TICKS_PER_S,
        began=int(fields[19]),
    )
