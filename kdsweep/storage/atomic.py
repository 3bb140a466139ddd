"""A file is there whole or not at all, whatever dies in between."""

import errno
import glob
import os
import uuid
from collections.abc import Mapping
from pathlib import Path

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""The numbers of errors that say that the storage takes nothing more."""


def cannot_be_written(why: object) -> str:
    """The sentence for a sweep whose records cannot be kept."""
    return f"the sweep cannot write what it must: {why}; make room, and `kdsweep resume` goes on"


def unfinished(path: Path) -> Path:
    """Another name beside ``path`` for what is not whole yet; another one with each call."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.new")


def remove_unfinished(directory: Path, *names: str) -> None:
    """Remove what writers of these files left that died; only for whoever alone may write them.

    Raises:
        OSError: it cannot be removed.
    """
    for name in names:
        for left in directory.glob(f".{glob.escape(name)}.*.new"):
            left.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Replace ``path`` by ``content`` in one step, on disk before it gets its name.

    Raises:
        OSError: no room, no permission; ``path`` is then as it was.
    """
    write_files(path.parent, {path.name: content})


def write_files(directory: Path, contents: Mapping[str, bytes]) -> None:
    """Replace files of ``directory``, each in one step, in this order; it is synced once for all.

    Raises:
        OSError: no room, no permission; the file it was about is as it was, and those after it.
    """
    for name, content in contents.items():
        temporary = unfinished(directory / name)
        try:
            with temporary.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, directory / name)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    sync_directory(directory)


def sync_directory(directory: Path) -> None:
    """Make the names in ``directory`` outlast a power cut."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
