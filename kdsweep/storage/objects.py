"""The objects under an address, as bytes by their names; fsspec speaks to the store."""

import logging
import os
import time
import uuid
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, TypeVar

from kdsweep.errors import redacted
from kdsweep.storage.address import checked
from kdsweep.storage.atomic import unfinished

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

_TOKENS = ("ETag", "etag", "md5Hash", "generation", "LastModified", "updated", "mtime")
_OPTIONS: dict[str, dict[str, Any]] = {
    # By default a server that takes a connection and says nothing is waited for, with all that is
    # tried again, for many minutes in a call. What has to be patient here asks again by itself.
    "s3": {
        "config_kwargs": {
            "connect_timeout": 10, "read_timeout": 30, "retries": {"total_max_attempts": 2},
        }
    },
}  # fmt: skip
_AT_ONCE = 64
"""Objects that are asked for together."""


class StorageError(OSError):
    """The store does not answer, or refuses; says which, and what it said.

    ``refused`` where it answers and does not allow it: to ask again is of no use.
    """

    refused = False


PATIENCE_S = 300.0
"""So long a worker asks a store again that does not answer, before its trial fails."""
_LONGEST_PAUSE_S = 20.0


def patiently(call: Callable[[], _T]) -> _T:
    """What ``call`` gives, asked again while the store does not answer.

    Raises:
        StorageError: it has not answered for ``PATIENCE_S``, or refuses.
    """
    until, pause_s = time.monotonic() + PATIENCE_S, 1.0
    while True:
        try:
            return call()
        except StorageError as error:
            if error.refused or time.monotonic() + pause_s > until:
                raise
            _log.warning("%s; it is asked again", error)
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


@dataclass(frozen=True)
class Stored:
    """What a listing says of an object; ``token`` is another one when its content is."""

    size: int
    token: str


@lru_cache(maxsize=64)
def objects_at(address: str) -> "Objects":
    """The objects under ``address``; one for all of this process.

    Raises:
        SpecError: see ``address.checked``.
    """
    return Objects(checked(address))


class Objects:
    """What lies under ``address``; names in it are relative, their parts joined by slashes.

    Every method raises ``StorageError`` where the store does not do what it is asked, and
    ``FileNotFoundError`` where there is no such object or bucket.
    """

    def __init__(self, address: str) -> None:
        import fsspec

        for noisy in ("s3fs", "gcsfs", "botocore", "aiobotocore"):
            logging.getLogger(noisy).setLevel(logging.ERROR)
        self.address = address
        # A listing that is remembered would hide what other machines write.
        options = _OPTIONS.get(address.partition(":")[0], {})
        self._fs, root = fsspec.core.url_to_fs(address, use_listings_cache=False, **options)
        self._root = str(root).rstrip("/")

    def read(self, name: str) -> bytes:
        """The content of an object."""
        return bytes(self._asked(name, lambda path: self._fs.cat_file(path)))

    def read_many(self, names: Collection[str]) -> dict[str, bytes]:
        """The contents of many, several at a time; those that are gone by then are left out."""
        found: dict[str, bytes] = {}
        todo = list(names)
        for first in range(0, len(todo), _AT_ONCE):
            some = {self._path(name): name for name in todo[first : first + _AT_ONCE]}
            got = self._asked("", partial(self._cat, list(some)))
            for path, content in got.items():
                if isinstance(content, FileNotFoundError):
                    continue
                if isinstance(content, Exception):
                    raise self._said(some[path], content) from content
                found[some[path]] = bytes(content)
        return found

    def write(self, name: str, content: bytes) -> None:
        """Replace an object in one step."""
        self._asked(name, lambda path: self._fs.pipe_file(path, content))

    def create(self, name: str, content: bytes) -> bool:
        """Make an object that is not there; whether it is the one with this ``content`` now."""
        with suppress(FileExistsError):
            self._asked(name, lambda path: self._fs.pipe_file(path, content, mode="create"))
        # An answer that was lost is asked for again, and finds its own object. Of a store that
        # knows no conditions the last writer wins, and the others see it here.
        return self.read(name) == content

    def download(self, name: str, path: Path) -> None:
        """An object as a file, which has its name when it is whole."""
        temporary = unfinished(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._asked(name, lambda source: self._fs.get_file(source, str(temporary)))
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)

    def upload(self, path: Path, name: str) -> None:
        """A file as an object."""
        with path.open("rb"):  # said of the file, not of the store
            pass
        self._asked(name, lambda target: self._fs.put_file(str(path), target))

    def exists(self, name: str) -> bool:
        """Whether there is such an object."""
        return bool(self._asked(name, lambda path: self._fs.exists(path)))

    def listing(self, below: str = "") -> dict[str, Stored]:
        """All objects under the name ``below``, by their whole names."""
        try:
            found = self._asked(below, lambda path: self._fs.find(path, detail=True))
        except FileNotFoundError:
            self._refuse_missing_bucket()
            return {}
        return {
            path.removeprefix(f"{self._root}/"): _stored(info)
            for path, info in found.items()
            if path.startswith(f"{self._path(below)}/") and info.get("type") != "directory"
        }

    def names(self, below: str = "") -> list[str]:
        """The next parts of the names under ``below``, each once: as a directory's."""
        try:
            found = self._asked(below, lambda path: self._fs.ls(path, detail=False))
        except FileNotFoundError:
            self._refuse_missing_bucket()
            return []
        prefix = f"{self._path(below)}/"
        inside = (path.rstrip("/") for path in found if path.startswith(prefix))
        return sorted({path.removeprefix(prefix) for path in inside} - {""})

    def remove(self, names: Iterable[str]) -> None:
        """Objects that nobody needs; those that are gone already are no error."""
        todo = [self._path(name) for name in names]
        if todo:
            try:
                self._asked("", lambda _: self._fs.rm(todo))
            except FileNotFoundError:
                for path in todo:
                    self._remove_one(path)

    def remove_all(self, below: str) -> None:
        """All objects under the name ``below``."""
        self.remove(self.listing(below))

    def silent_s(self, name: str) -> float:
        """Seconds since the object was written, by the store's own clock."""
        clock = f".now.{uuid.uuid4().hex[:12]}"
        then = self._asked(name, lambda path: self._fs.modified(path))
        try:
            self.write(clock, b"")
            now = self._asked(clock, lambda path: self._fs.modified(path))
        finally:
            self.remove([clock])
        return max(0.0, float((now - then).total_seconds()))

    def _cat(self, paths: list[str], _: str) -> dict[str, Any]:
        return dict(self._fs.cat(paths, on_error="return"))

    def _remove_one(self, path: str) -> None:
        try:
            self._fs.rm_file(path)
        except FileNotFoundError:
            return
        except Exception as error:
            raise self._said("", error) from error

    def _refuse_missing_bucket(self) -> None:
        bucket = self._root.partition("/")[0]
        try:
            self._fs.ls(bucket, detail=False)
        except FileNotFoundError:
            raise StorageError(
                f"{self.address}: there is no bucket {bucket!r}: make it, or name another"
            ) from None
        except Exception:  # noqa: BLE001  # who may not list a bucket may still use a part of it
            return

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    def _asked(self, name: str, call: Callable[[str], _T]) -> _T:
        try:
            return call(self._path(name))
        except (FileNotFoundError, FileExistsError, StorageError):
            raise
        except Exception as error:
            raise self._said(name, error) from error

    def _said(self, name: str, error: Exception) -> StorageError:
        where = f"{self.address}/{name}" if name else self.address
        said = redacted(str(error).strip().splitlines()[0] if str(error).strip() else "")
        found = StorageError(f"{where}: {type(error).__name__}{': ' if said else ''}{said}")
        found.refused = isinstance(error, PermissionError)
        return found


def _stored(info: dict[str, Any]) -> Stored:
    token = next((str(info[key]) for key in _TOKENS if info.get(key)), "")
    return Stored(int(info.get("size") or 0), token)
