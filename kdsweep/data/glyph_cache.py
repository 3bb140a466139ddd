"""The rendered glyphs as one memory-mapped file that proves itself by a checksum."""

import hashlib
import logging
import os
import struct
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from kdsweep.data.glyph_render import RECORD, recipe_digest, render
from kdsweep.storage.copies import cache_folder

_log = logging.getLogger(__name__)
_HEADER = struct.Struct("<8sQ32s")
"""Magic, number of records, SHA-256 of the records; the records follow."""
_MAGIC = b"kdglyph1"


def open_glyphs() -> NDArray[Any]:
    """All glyphs as read-only ``RECORD`` s on a memory map, rendered first where need be.

    One process renders while the others wait. A file that is cut short or altered is rendered
    again, with a warning in the log.
    """
    path = cache_folder() / f"glyphs-{recipe_digest()[:16]}.bin"
    path.parent.mkdir(parents=True, exist_ok=True)
    records = _read(path)
    if records is not None:
        return records
    with FileLock(path.with_suffix(".lock")):
        records = _read(path)
        if records is None:
            _log.info("rendering the glyphs once, into %s", path)
            _write(path, render())
            records = _read(path)
    if records is None:
        raise OSError(f"{path}: what was just written cannot be read back; is the disk sound?")
    return records


def _read(path: Path) -> NDArray[Any] | None:
    """The records, or none where there is no file or not a whole and unaltered one."""
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER.size)
            size = os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        return None
    if len(header) < _HEADER.size:
        _warn(path, "is cut short")
        return None
    magic, count, checksum = _HEADER.unpack(header)
    if magic != _MAGIC or count == 0 or size != _HEADER.size + count * RECORD.itemsize:
        _warn(path, "has not the length that its head says")
        return None
    records = np.memmap(path, RECORD, mode="r", offset=_HEADER.size, shape=(count,))
    if _checksum(records) != checksum:
        _warn(path, "does not match its checksum")
        return None
    return records


def _checksum(records: NDArray[Any]) -> bytes:
    return hashlib.sha256(records.view(np.uint8).data).digest()


def _warn(path: Path, how: str) -> None:
    _log.warning("%s %s; the glyphs are rendered again", path, how)


def _write(path: Path, records: NDArray[Any]) -> None:
    """Whole or not at all: a reader never sees a file that is half written."""
    checksum = _checksum(records)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(_HEADER.pack(_MAGIC, len(records), checksum))
            file.write(records.view(np.uint8).data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
