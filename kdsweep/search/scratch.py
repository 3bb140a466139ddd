"""A place for the files that Ray wants to write and nobody reads; what dead drivers left there."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import ValidationError

from kdsweep.results.processes import Holder
from kdsweep.storage.atomic import write_bytes

_PREFIX, _OWNER, _LOCK = "kdsweep-", "owner.json", "owner.lock"


@contextmanager
def scratch_place() -> Iterator[Path]:
    """A directory for the time of a sweep; those of drivers that were killed are removed first."""
    _remove_what_is_left(Path(tempfile.gettempdir()))
    path = Path(tempfile.mkdtemp(prefix=_PREFIX))
    lock = FileLock(path / _LOCK, timeout=0)
    try:
        # Storage without locks: what is left there stays.
        with suppress(OSError, NotImplementedError):
            lock.acquire()
            write_bytes(path / _OWNER, Holder.this_process().model_dump_json().encode())
        yield path
    finally:
        lock.release()
        shutil.rmtree(path, ignore_errors=True)


def _remove_what_is_left(directory: Path) -> None:
    for path in directory.glob(f"{_PREFIX}*"):
        with suppress(OSError, NotImplementedError):
            if _is_of_a_dead_driver(path):
                shutil.rmtree(path, ignore_errors=True)


def _is_of_a_dead_driver(path: Path) -> bool:
    """Whether a driver of this user on this machine made it, and is provably gone.

    Its process is not there, and nobody has its lock: in a container another would see no process.
    """
    if path.is_symlink() or path.stat().st_uid != os.geteuid():
        return False
    try:
        owner = Holder.model_validate_json((path / _OWNER).read_bytes())
    except (ValidationError, FileNotFoundError, NotADirectoryError):
        return False
    if not owner.is_here or owner.process_lives:
        return False
    lock = FileLock(path / _LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        return False
    lock.release()
    return True
