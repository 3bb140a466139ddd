"""What files take, in a directory or in an object store, and taking them away."""

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from kdsweep.storage.address import Place, is_address
from kdsweep.storage.objects import objects_at


def size_under(place: Place, endings: Collection[str]) -> int:
    """Bytes of all files under ``place`` that have one of the ``endings``; links are not followed.

    Raises:
        OSError: it cannot be read.
    """
    if is_address(place):
        found = objects_at(str(place)).listing()
        return sum(each.size for name, each in found.items() if _ending(name) in endings)
    return sum(_sizes(Path(place), endings))


def folders_in(place: Place) -> list[str]:
    """The names of the folders at ``place``, sorted; none where there is no such place.

    A link is none: it could lead elsewhere.

    Raises:
        OSError: it cannot be read.
    """
    if is_address(place):
        return objects_at(str(place)).names()
    try:
        with os.scandir(place) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except (FileNotFoundError, NotADirectoryError):
        return []


def remove_file(place: Place) -> int:
    """Take a file away that may be gone already; the bytes that it took.

    Raises:
        OSError: it cannot be removed.
    """
    if is_address(place):
        folder, _, name = str(place).rpartition("/")
        objects = objects_at(folder)
        found = objects.listing().get(name)
        objects.remove([name])
        return 0 if found is None else found.size
    path = Path(place)
    try:
        size = path.lstat().st_size
        path.unlink()
    except FileNotFoundError:
        return 0
    return size


def _sizes(directory: Path, endings: Collection[str]) -> Iterator[int]:
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    yield from _sizes(Path(entry.path), endings)
                elif _ending(entry.name) in endings:
                    yield entry.stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        # A trial has just ended, and its checkpoints are gone.
        return


def _ending(name: str) -> str:
    return os.path.splitext(name)[1]
