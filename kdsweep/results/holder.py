"""Who drives a run: a file in its directory, which the driver keeps fresh while it lives.

A file lock alone does not reach across machines on every shared file system, and says nothing of
who has it. ``driver.json`` names the host and the process; its time of change is the driver's
heartbeat. A driver on this machine is alive if its process is, one on another if its heart beat
within the last minute. A driver that ends cleanly takes the file away.
"""

import json
import os
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import ValidationError

from kdsweep.errors import ResultError
from kdsweep.results import claim
from kdsweep.results.names import HOLDER_FILE, JOB_FILE, META_FILE
from kdsweep.results.processes import Holder
from kdsweep.storage.atomic import write_bytes
from kdsweep.storage.copies import address_of, name_of
from kdsweep.storage.lease import BEAT_EVERY_S, DEAD_AFTER_S
from kdsweep.storage.objects import StorageError, objects_at

LOCK_FILE = ".driver.lock"


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
    """Seconds since the driver's heart last beat, by the clock of the storage itself.

    Raises:
        OSError: nobody drives the run, or the storage does not answer.
    """
    address = address_of(directory)
    if address is not None and not drives_here(directory):
        return claim.silent_s(address)
    return _since_written(directory, HOLDER_FILE)


def numbers_are_old_s(directory: Path) -> float:
    """Seconds since the driver wrote down what is spent and how far its trials are.

    It does that for all of them at once, now and then: see ``search.watch``.

    Raises:
        OSError: there is no run, or the storage does not answer.
    """
    address = address_of(directory)
    if address is not None and not drives_here(directory):
        return objects_at(address).silent_s(META_FILE)
    return _since_written(directory, META_FILE)


def _since_written(directory: Path, name: str) -> float:
    written = (directory / name).stat().st_mtime
    clock = directory / f".now.{uuid.uuid4().hex[:12]}"
    try:
        clock.touch()
        now = clock.stat().st_mtime
    except OSError:
        now = time.time()  # who may only read has no other clock
    finally:
        with suppress(OSError):
            clock.unlink()
    return max(0.0, now - written)


def living_holder(directory: Path) -> Holder | None:
    """Who drives the run in ``directory`` now; none where nobody does."""
    holder = read_holder(directory)
    if holder is not None and holder.is_here and holder.process_lives:
        return holder
    address = address_of(directory)
    if address is not None:
        return claim.living_holder(address)
    if holder is None or holder.is_here:
        return None
    try:
        return holder if silent_s(directory) < DEAD_AFTER_S else None
    except OSError:
        return None


def drives_here(directory: Path) -> bool:
    """Whether a living process of this machine drives the run in ``directory``."""
    holder = read_holder(directory)
    return holder is not None and holder.is_here and holder.process_lives


def refusal(directory: Path, holder: Holder | None) -> str:
    """Why another may not drive the run, and what to do."""
    if holder is None:
        return "is being worked on by another kdsweep process; wait for it or stop it first"
    sentence = (
        f"is being worked on by {holder.words}; wait for it, or stop it with "
        f"`kdsweep stop {name_of(directory)}`"
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
        raise ResultError(refusal(directory, holder), source=name_of(directory))


@contextmanager
def held(directory: Path) -> Iterator["Heart"]:
    """Be the one driver of the run in ``directory``; given up when the process ends, however.

    Of a run in an object store the right is an object there, beside the one of the copy at hand.

    Raises:
        ResultError: somebody else drives it; or the directory cannot be written to.
    """
    lock, lock_holds = FileLock(directory / LOCK_FILE, timeout=0), True
    heart = Heart(directory)
    try:
        lock.acquire()
    except Timeout:
        raise ResultError(
            refusal(directory, read_holder(directory)), source=name_of(directory)
        ) from None
    except (NotImplementedError, OSError):
        lock_holds = False  # storage without locks: there is the file alone
    try:
        heart.start(lock_holds=lock_holds)
        with _claimed(directory, heart):
            yield heart
    finally:
        heart.stop()
        lock.release()


@contextmanager
def _claimed(directory: Path, heart: "Heart") -> Iterator[None]:
    address = address_of(directory)
    if address is None:
        yield
        return
    try:
        with claim.claimed(address, heart.me) as heart.claim:
            yield
    except claim.TakenError as taken:
        raise ResultError(refusal(directory, taken.holder), source=address) from None
    except StorageError as error:
        raise ResultError(f"cannot be reached: {error}", source=address) from error


class Heart:
    """This process as the driver of a run, from ``start`` to ``stop``."""

    def __init__(self, directory: Path) -> None:
        self._directory, self._path = directory, directory / HOLDER_FILE
        self.me = Holder.this_process()
        self.claim: claim.Claim | None = None
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
            raise ResultError(refusal(self._directory, before), source=name_of(self._directory))
        try:
            self._take(read_holder(self._directory))
        except OSError as error:
            raise ResultError(
                f"cannot be written to: {error}", source=name_of(self._directory)
            ) from error
        self._thread.start()

    @property
    def taken_by(self) -> Holder | None:
        """Who took the run over; none as long as it is this process's."""
        return self.lost_to or (None if self.claim is None else self.claim.lost_to)

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
                file.write(json.dumps(self.me.model_dump(), indent=1) + "\n")
            job = self._directory / JOB_FILE
            if self.me.job:
                write_bytes(job, json.dumps({"job": self.me.job}).encode() + b"\n")
            else:
                job.unlink(missing_ok=True)
        except FileExistsError:
            now = read_holder(self._directory)
            raise ResultError(
                refusal(self._directory, now), source=name_of(self._directory)
            ) from None

    def _set_aside(self, before: Holder | None) -> None:
        """Take away the file of a driver that is dead, and nobody else's."""
        aside = self._path.with_name(f".{HOLDER_FILE}.{self.me.token}")
        os.rename(self._path, aside)
        try:
            found = Holder.model_validate_json(aside.read_bytes())
        except ValidationError:
            found = None
        if found is not None and (before is None or found.token != before.token):
            os.rename(aside, self._path)  # another was faster
            raise ResultError(refusal(self._directory, found), source=name_of(self._directory))
        aside.unlink()

    def _is_mine(self) -> bool:
        found = read_holder(self._directory)
        return found is not None and found.token == self.me.token

    def _beat(self) -> None:
        while not self._over.wait(BEAT_EVERY_S):
            found = read_holder(self._directory)
            if found is not None and found.token != self.me.token:
                self.lost_to = found
                return
            # Storage that does not answer for a moment is no reason to stop.
            with suppress(OSError):
                os.utime(self._path)
