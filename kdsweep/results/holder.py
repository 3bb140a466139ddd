"""Who drives a run: a file in its directory, which the driver keeps fresh while it lives.

A file lock alone does not reach across machines on every shared file system, and says nothing of
who has it. ``driver.json`` names the host and the process; its time of change is the driver's
heartbeat. A driver on this machine is alive if its process is, one on another if its heart beat
within the last minute. A driver that ends cleanly takes the file away.
"""

import json
import os
import platform
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from kdsweep.errors import ResultError
from kdsweep.results.processes import began, boot_id, ray_job
from kdsweep.storage.atomic import write_bytes

HOLDER_FILE = "driver.json"
LOCK_FILE = ".driver.lock"
JOB_FILE = "job.json"
"""The Ray job that drove it last: it has an output of its own, also when it has ended."""
BEAT_EVERY_S = 15.0
DEAD_AFTER_S = 60.0
"""Without a heartbeat for so long a driver on another machine is taken to be dead."""


class Holder(BaseModel):
    """The driver of a run, as it described itself."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    host: str
    boot: str = ""
    """Of the machine since it was last started: machines may have one name."""
    pid: int
    pid_began: str = ""
    """When the process began, in the machine's own count: numbers of processes come again."""
    since: float
    """Seconds since 1970."""
    job: str = ""
    """The Ray job that it is, if it is one."""
    token: str

    @classmethod
    def this_process(cls) -> "Holder":
        """The one that asks."""
        return cls(
            host=platform.node(),
            boot=boot_id(),
            pid=os.getpid(),
            pid_began=began(os.getpid()) or "",
            since=time.time(),
            job=ray_job(),
            token=uuid.uuid4().hex,
        )

    @property
    def words(self) -> str:
        """``kdsweep on HOST, process 4711, since 2026-11-26 19:20:07 (Ray job ID)``."""
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.since))
        job = f" (Ray job {self.job})" if self.job else ""
        return f"kdsweep on {self.host}, process {self.pid}, since {since}{job}"

    @property
    def is_here(self) -> bool:
        """Whether it runs, or ran, on this machine."""
        return (self.host, self.boot) == (platform.node(), boot_id())

    @property
    def process_lives(self) -> bool:
        """Whether its process is there; asked on its own machine alone."""
        found = began(self.pid)
        return found is not None and found == (self.pid_began or found)


def read_holder(directory: Path) -> Holder | None:
    """Who drives the run in ``directory``, or drove it last; none where it ended cleanly."""
    try:
        return Holder.model_validate_json((directory / HOLDER_FILE).read_bytes())
    except (OSError, ValidationError):
        # Half a file is of somebody who is just taking the run, and dies with the next look.
        return None


def read_job(directory: Path) -> str:
    """The Ray job that drives the run in ``directory``, or drove it last; empty if none did."""
    try:
        return str(json.loads((directory / JOB_FILE).read_text())["job"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def silent_s(directory: Path) -> float:
    """Seconds since the driver's heart last beat, by the clock of the storage itself."""
    beat = (directory / HOLDER_FILE).stat().st_mtime
    clock = directory / f".now.{uuid.uuid4().hex[:12]}"
    try:
        clock.touch()
        now = clock.stat().st_mtime
    except OSError:
        now = time.time()  # who may only read has no other clock
    finally:
        with suppress(OSError):
            clock.unlink()
    return max(0.0, now - beat)


def living_holder(directory: Path) -> Holder | None:
    """Who drives the run in ``directory`` now; none where nobody does."""
    holder = read_holder(directory)
    if holder is None:
        return None
    if holder.is_here:
        return holder if holder.process_lives else None
    try:
        return holder if silent_s(directory) < DEAD_AFTER_S else None
    except OSError:
        return None


def refusal(directory: Path, holder: Holder | None) -> str:
    """Why another may not drive the run, and what to do."""
    if holder is None:
        return "is being worked on by another kdsweep process; wait for it or stop it first"
    sentence = (
        f"is being worked on by {holder.words}; wait for it, or stop it with "
        f"`kdsweep stop {directory}`"
    )
    if holder.is_here:
        return sentence
    with suppress(OSError):
        sentence += (
            f" (it gave a sign of life {silent_s(directory):.0f} s ago; after {DEAD_AFTER_S:.0f} s "
            "without one it is taken to be dead, and `kdsweep resume` goes on)"
        )
    return sentence


def refuse_if_held(directory: Path) -> None:
    """Complain if somebody drives the run in ``directory`` now.

    Raises:
        ResultError: names the host and the process.
    """
    holder = living_holder(directory)
    if holder is not None:
        raise ResultError(refusal(directory, holder), source=directory)


@contextmanager
def held(directory: Path) -> Iterator["Heart"]:
    """Be the one driver of the run in ``directory``; given up when the process ends, however.

    Raises:
        ResultError: somebody else drives it; or the directory cannot be written to.
    """
    lock, lock_holds = FileLock(directory / LOCK_FILE, timeout=0), True
    heart = Heart(directory)
    try:
        lock.acquire()
    except Timeout:
        raise ResultError(refusal(directory, read_holder(directory)), source=directory) from None
    except (NotImplementedError, OSError):
        lock_holds = False  # storage without locks: there is the file alone
    try:
        heart.start(lock_holds=lock_holds)
        yield heart
    finally:
        heart.stop()
        lock.release()


class Heart:
    """This process as the driver of a run, from ``start`` to ``stop``."""

    def __init__(self, directory: Path) -> None:
        self._directory, self._path = directory, directory / HOLDER_FILE
        self._me = Holder.this_process()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="kdsweep-heart", daemon=True)
        self.lost_to: Holder | None = None
        """Who took the run over, which happens to a machine that slept."""

    def start(self, *, lock_holds: bool) -> None:
        """Write down who drives; with ``lock_holds`` no other process of this machine does.

        Raises:
            ResultError: somebody else drives the run.
        """
        before = living_holder(self._directory)
        if before is not None and not (lock_holds and before.is_here):
            raise ResultError(refusal(self._directory, before), source=self._directory)
        try:
            self._take(read_holder(self._directory))
        except OSError as error:
            raise ResultError(f"cannot be written to: {error}", source=self._directory) from error
        self._thread.start()

    def stop(self) -> None:
        """The end of it: nobody drives the run any more."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(BEAT_EVERY_S)
        if self._is_mine():
            with suppress(OSError):
                self._path.unlink()

    def _take(self, before: Holder | None) -> None:
        if before is not None or self._path.exists():
            self._set_aside(before)
        try:
            # Of several that take a run at once one makes the file, also where locks do not reach.
            with self._path.open("x") as file:
                file.write(json.dumps(self._me.model_dump(), indent=1) + "\n")
            job = self._directory / JOB_FILE
            if self._me.job:
                write_bytes(job, json.dumps({"job": self._me.job}).encode() + b"\n")
            else:
                job.unlink(missing_ok=True)
        except FileExistsError:
            now = read_holder(self._directory)
            raise ResultError(refusal(self._directory, now), source=self._directory) from None

    def _set_aside(self, before: Holder | None) -> None:
        """Take away the file of a driver that is dead, and nobody else's."""
        aside = self._path.with_name(f".{HOLDER_FILE}.{self._me.token}")
        os.rename(self._path, aside)
        try:
            found = Holder.model_validate_json(aside.read_bytes())
        except ValidationError:
            found = None
        if found is not None and (before is None or found.token != before.token):
            os.rename(aside, self._path)  # another was faster
            raise ResultError(refusal(self._directory, found), source=self._directory)
        aside.unlink()

    def _is_mine(self) -> bool:
        found = read_holder(self._directory)
        return found is not None and found.token == self._me.token

    def _beat(self) -> None:
        while not self._over.wait(BEAT_EVERY_S):
            found = read_holder(self._directory)
            if found is not None and found.token != self._me.token:
                self.lost_to = found
                return
            # Storage that does not answer for a moment is no reason to stop.
            with suppress(OSError):
                os.utime(self._path)
