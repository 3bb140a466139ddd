"""A flat folder of files by their names, in a directory or in an object store."""

import shutil
from pathlib import Path
from typing import Protocol

from kdsweep.storage.address import Place, is_address
from kdsweep.storage.atomic import write_bytes
from kdsweep.storage.objects import objects_at, patiently


class Folder(Protocol):
    """Files by their names; what is written has its name when it is whole."""

    def names(self) -> list[str]:
        """What is there, in no order; nothing where there is no such folder."""

    def read(self, name: str) -> bytes:
        """The content of a file.

        Raises:
            OSError: it is missing, or cannot be read.
        """

    def write(self, name: str, content: bytes) -> None:
        """Make or replace a file.

        Raises:
            OSError: it cannot be written.
        """

    def remove(self, name: str) -> None:
        """A file that may be gone already."""

    def clear(self) -> None:
        """All of it."""


def folder_at(place: Place) -> Folder:
    """The folder at a path or an address."""
    return _Remote(str(place)) if is_address(place) else _Local(Path(place))


def write_at(place: Place, content: bytes) -> None:
    """Make or replace the one file at a path or an address, in one step.

    Raises:
        OSError: it cannot be written.
    """
    if is_address(place):
        folder, _, name = str(place).rpartition("/")
        patiently(lambda: objects_at(folder).write(name, content))
        return
    path = Path(place)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, content)


class _Local:
    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def names(self) -> list[str]:
        try:
            return [each.name for each in self._directory.iterdir()]
        except (FileNotFoundError, NotADirectoryError):
            return []

    def read(self, name: str) -> bytes:
        return (self._directory / name).read_bytes()

    def write(self, name: str, content: bytes) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        write_bytes(self._directory / name, content)

    def remove(self, name: str) -> None:
        (self._directory / name).unlink(missing_ok=True)

    def clear(self) -> None:
        shutil.rmtree(self._directory, ignore_errors=True)


class _Remote:
    def __init__(self, address: str) -> None:
        self._objects = objects_at(address)

    def names(self) -> list[str]:
        return patiently(self._objects.names)

    def read(self, name: str) -> bytes:
        return patiently(lambda: self._objects.read(name))

    def write(self, name: str, content: bytes) -> None:
        self._objects.write(name, content)

    def remove(self, name: str) -> None:
        self._objects.remove([name])

    def clear(self) -> None:
        self._objects.remove_all("")
