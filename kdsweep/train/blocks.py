"""A block of one output on disk: there whole and as its card says, or made again.

The values lie in ``NAME.f16``, float16 row by row; ``NAME.json`` is the card that vouches for them.
Both get their names when they are whole, the card last.
"""

import hashlib
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from kdsweep.storage.atomic import remove_unfinished, sync_directory, unfinished, write_bytes
from kdsweep.storage.copies import name_of

_log = logging.getLogger(__name__)

Half = NDArray[np.float16]
_DTYPE = np.dtype("<f2")
_PIECE_BYTES = 2**24


@dataclass(frozen=True)
class Card:
    """What a block holds. ``overflows``: a value does not fit float16, so there are none."""

    shape: tuple[int, ...]
    dtype: str
    sha256: str
    overflows: bool = False


@dataclass(frozen=True)
class Block:
    """The values ``[n, ...]``, mapped from the disk; ``None`` where they do not fit float16."""

    values: Half | None


def read(place: Path, num_rows: int, *, verify: bool) -> Block | None:
    """What is stored at ``place``, a path without an ending; ``None`` if it is not there whole.

    With ``verify`` all of it is read, and compared with the checksum on its card.
    """
    path, card_path = place.with_suffix(".f16"), place.with_suffix(".json")
    if not card_path.exists():
        return None
    found = _checked(path, card_path, num_rows, verify=verify)
    if found is None:
        _log.warning("stored outputs of the teacher are damaged and made again: %s", name_of(path))
    return found


def _checked(path: Path, card_path: Path, num_rows: int, *, verify: bool) -> Block | None:
    try:
        said: dict[str, Any] = json.loads(card_path.read_text())
        card = Card(**{**said, "shape": tuple(said["shape"])})
        if card.overflows:
            return Block(None)
        size = int(np.prod(card.shape)) * _DTYPE.itemsize
        fits = card.shape[0] == num_rows and card.dtype == _DTYPE.str
        if not fits or path.stat().st_size != size:
            return None
        # Copy on write: nobody writes, and torch takes only arrays that could be written.
        values: Half = np.memmap(path, _DTYPE, mode="c", shape=card.shape)
    except (OSError, ValueError, TypeError, LookupError, ArithmeticError, RecursionError):
        return None
    if verify and _sha256_of(path) != card.sha256:
        return None
    return Block(values)


class BlockWriter:
    """Writes a block, a few rows at a time; it has its name when ``commit`` has returned.

    Left without ``commit``, as a context, it leaves nothing behind.
    """

    def __init__(self, place: Path) -> None:
        self._place = place
        self._temporary = unfinished(place)
        with refusals_in_words(place.parent):
            place.parent.mkdir(parents=True, exist_ok=True)
            # Whoever writes here holds the block's lock: what others left is of writers that died.
            remove_unfinished(place.parent, place.name)
            self._file = self._temporary.open("xb")
        self._sha256 = hashlib.sha256()
        self._num_rows, self._rest = 0, tuple[int, ...]()
        self._overflows = False

    def append(self, rows: Half) -> None:
        """The next rows ``[n, ...]``."""
        data = np.ascontiguousarray(rows, _DTYPE).data.cast("B")
        with refusals_in_words(self._place.parent):
            self._file.write(data)
        self._sha256.update(data)
        self._num_rows, self._rest = self._num_rows + len(rows), rows.shape[1:]

    def overflow(self) -> None:
        """Note that a value does not fit: the block will say so, and hold nothing."""
        self._overflows = True

    def commit(self) -> None:
        """Give values and card their names; they outlast a power cut from here on."""
        shape = (self._num_rows, *self._rest)
        digest = "" if self._overflows else self._sha256.hexdigest()
        card = Card(shape, _DTYPE.str, digest, self._overflows)
        with refusals_in_words(self._place.parent):
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            if not self._overflows:
                os.replace(self._temporary, self._place.with_suffix(".f16"))
                sync_directory(self._place.parent)
            write_bytes(self._place.with_suffix(".json"), json.dumps(asdict(card)).encode())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        self._temporary.unlink(missing_ok=True)


@contextmanager
def refusals_in_words(directory: Path) -> Iterator[None]:
    """An ``OSError`` while writing to ``directory``, told with what to do about it."""
    try:
        yield
    except OSError as error:
        raise OSError(
            error.errno,
            f"outputs of the teacher cannot be stored in {str(directory)!r} ({error.strerror}): "
            "make room there, or set teacher.stored: none",
        ) from error


def _sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest()
