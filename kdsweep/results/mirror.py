"""A run whose records lie in an object store: the copy at hand, brought up to date and sent on.

What the store holds is the run. A driver writes to the copy, as to a run directory, and what it
has written goes to the store behind it; whoever reads brings the copy up to date first. Weights
and checkpoints are in the store alone.

A driver that dies may leave a trial in the copy that ended and was not sent any more. Such a
record is kept when the copy is brought up to date, and sent by whoever does that next.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock

from kdsweep.errors import ResultError
from kdsweep.results import claim
from kdsweep.results.names import (
    JOB_FILE,
    LATENCY_FILE,
    LOG_FILE,
    META_FILE,
    RESULT_FILE,
    SWEEP_FILE,
    TRIAL_FILE,
    TRIALS,
    WARM_START_FILE,
)
from kdsweep.results.record import ENDED
from kdsweep.storage.atomic import write_bytes
from kdsweep.storage.copies import address_of
from kdsweep.storage.objects import Objects, StorageError, Stored, objects_at
from kdsweep.storage.pump import Pump

_INDEX, _LOCK = ".storage.index.json", ".storage.lock"
_OF_A_RUN = {
    META_FILE, SWEEP_FILE, JOB_FILE, LOG_FILE, LATENCY_FILE, WARM_START_FILE, "front.csv",
    "front.png",
}  # fmt: skip
_LARGEST_BYTES = 64 * 2**20
"""Of a record: thousands of epochs are some megabytes."""
LAST_PATIENCE_S = 120.0
"""How long a sweep that has ended waits for a store that does not answer."""


class Mirror:
    """What of a run directory goes to an object store; nothing where it is no copy of one."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        address = address_of(directory)
        self.objects: Objects | None = None if address is None else objects_at(address)
        self._pump: Pump | None = None

    def make(self, meta: bytes, sweep: bytes) -> bool:
        """Put a new run into the store, and a copy of it here; whether nobody else was faster.

        Raises:
            ResultError: the store does not answer, or there is no such bucket.
        """
        assert self.objects is not None
        try:
            # Of several that make a run of one name at once one makes this object.
            if not self.objects.create(META_FILE, meta):
                return False
            self.objects.write(SWEEP_FILE, sweep)
        except OSError as error:
            raise _in_words(error, self.objects.address) from error
        refresh(self._directory)
        return True

    def changed(self, *names: str) -> None:
        """Files of the run directory were written."""
        for name in names if self.objects is not None else ():
            if self._pump is not None:
                self._pump.changed(name)
            elif self.objects is not None and (self._directory / name).is_file():
                self.objects.write(name, (self._directory / name).read_bytes())

    def removed(self, below: str) -> None:
        """A folder of the run is needed no more."""
        if self._pump is not None:
            self._pump.removed(below)
        elif self.objects is not None:
            self.objects.remove_all(below)

    def collect(self, is_orphan: Callable[[str], bool]) -> None:
        """Remove there what nobody needs, by its name; left there if the store does not answer."""
        if self.objects is not None:
            with suppress(StorageError):
                self.objects.remove(filter(is_orphan, self.objects.listing()))

    def forfeit(self) -> None:
        """Another drives the run: nothing of ours is sent any more."""
        if self._pump is not None:
            self._pump.drop()

    @contextmanager
    def sending(self, tell: Callable[[str], object]) -> Iterator[None]:
        """Send behind whoever writes, until the context ends and all has arrived.

        Raises:
            ResultError: it has not arrived; says what to do.
        """
        if self.objects is None:
            yield
            return
        pump = self._pump = Pump(self.objects, self._directory, tell)
        try:
            if (self._directory / JOB_FILE).exists():
                pump.changed(JOB_FILE)
            else:
                self.objects.remove([JOB_FILE])
            yield
            if not self._arrives(pump, tell):
                raise ResultError(
                    f"does not answer: {pump.num_left} files of the run are in {self._directory} "
                    f"alone; `kdsweep status {self.objects.address}` on this machine sends them "
                    "when it answers again",
                    source=self.objects.address,
                )
        except KeyboardInterrupt:
            pump.wait(2.0)
            raise
        except Exception:
            # What is known of a sweep that failed is sent as well.
            if pump.num_left:
                self._arrives(pump, tell)
            raise
        finally:
            self._pump = None
            pump.close()

    def _arrives(self, pump: Pump, tell: Callable[[str], object]) -> bool:
        pump.changed(LOG_FILE)
        if pump.num_left > 1:
            tell(f"sending the last records to {pump.address}")
        return pump.wait(LAST_PATIENCE_S)


def refresh(directory: Path, *, still_driven: Callable[[], bool] = lambda: False) -> None:
    """Bring a copy up to date with its store; a run directory that is none is left alone.

    ``still_driven`` says whether a process of this machine drives the run: its copy is then newer
    than the store. A run that the store does not hold is removed.

    Raises:
        ResultError: the store does not answer, or the cache cannot be written to.
    """
    address = address_of(directory)
    if address is None:
        return
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(directory.parent / f".{directory.name}{_LOCK}"):
            if not still_driven():
                _refresh(directory, objects_at(address))
    except OSError as error:
        raise _in_words(error, address) from error


def _in_words(error: OSError, address: str) -> ResultError:
    said = str(error).removeprefix(f"{address}: ")
    return ResultError(f"cannot be reached: {said}", source=address)


def runs_at(address: str) -> list[str]:
    """The names of what lies at an address: of runs, where it holds runs.

    Raises:
        ResultError: the store does not answer.
    """
    try:
        return [name for name in objects_at(address).names() if not name.startswith(".")]
    except OSError as error:
        raise _in_words(error, address) from error


def _refresh(directory: Path, objects: Objects) -> None:
    there = {name: found for name, found in objects.listing().items() if _is_record(name)}
    if META_FILE not in there:
        shutil.rmtree(directory, ignore_errors=True)
        return
    large = [name for name, found in there.items() if found.size > _LARGEST_BYTES]
    if large:
        raise ResultError(
            f"{large[0]} is larger than {_LARGEST_BYTES // 2**20} MiB, which no record is",
            source=objects.address,
        )
    known = _index(directory)
    contents = objects.read_many(
        [name for name, found in there.items()
         if not _is_same(directory / name, known.get(name), found)]
    )  # fmt: skip
    ahead = _ahead(directory, contents)
    if ahead and claim.living_holder(objects.address) is not None:
        ahead = set()  # another goes on with the run, and trains again what it does not know of
    for name in set(contents) - ahead:
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, contents[name])
        known[name] = [there[name].size, there[name].token, _sha256(contents[name])]
    _remove_others(directory, set(there) | ahead)
    for name in sorted(ahead, key=lambda name: name == META_FILE):
        objects.write(name, (directory / name).read_bytes())
    known = {name: seen for name, seen in known.items() if name in there and name not in ahead}
    write_bytes(directory / _INDEX, json.dumps(known).encode())


def _is_record(name: str) -> bool:
    """Whether a copy has it: a trial's file follows from its record, and is not fetched."""
    parts = name.split("/")
    if any(part in ("", ".", "..") or not part.isprintable() for part in parts):
        return False
    return name in _OF_A_RUN or (len(parts) == 3 and parts[0] == TRIALS and parts[2] == RESULT_FILE)


def _is_same(path: Path, known: list[Any] | None, found: Stored) -> bool:
    """Whether neither the store nor the copy has another content than when it was fetched."""
    try:
        return known == [found.size, found.token, _sha256(path.read_bytes())]
    except OSError:
        return False


def _ahead(directory: Path, theirs: Mapping[str, bytes]) -> set[str]:
    """Files of the copy that a driver which died here has written and not sent any more.

    ``theirs`` are the contents in the store of what is not the same there and here.
    """
    own = _read(directory / META_FILE)
    if not own:
        return set()
    meta = _parsed(theirs[META_FILE]) if META_FILE in theirs else own
    if meta.get("sweep_id") != own.get("sweep_id"):
        shutil.rmtree(directory)  # of a run of the same name that is no more
        return set()
    ahead = {META_FILE} if _spent(own) > _spent(meta) else set()
    known = _index(directory)
    for path in directory.glob(f"{TRIALS}/*/{RESULT_FILE}"):
        name = path.relative_to(directory).as_posix()
        if name not in theirs and name in known:
            continue  # it is the same there, or was forgotten there
        mine, other = _read(path), _parsed(theirs.get(name, b""))
        if mine.get("status") not in ENDED or other.get("status") in ENDED:
            continue
        if not other or other.get("trial") == mine.get("trial"):
            ahead |= {name, path.with_name(TRIAL_FILE).relative_to(directory).as_posix()}
    return {name for name in ahead if (directory / name).is_file()}


def _spent(meta: dict[str, Any]) -> tuple[float, float]:
    """Grows from each writing of ``run.json`` to the next, or stays."""
    try:
        return float(meta.get("wall_seconds", 0)), float(meta.get("student_epochs", 0))
    except (TypeError, ValueError):
        return 0.0, 0.0


def _remove_others(directory: Path, names: set[str]) -> None:
    """Records that the store does not hold: of trials that were forgotten."""
    for path in [*directory.glob(f"{TRIALS}/*/*"), *directory.glob("*.*")]:
        name = path.relative_to(directory).as_posix()
        if _is_record(name) and name not in names:
            path.unlink(missing_ok=True)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _index(directory: Path) -> dict[str, Any]:
    return _read(directory / _INDEX)


def _read(path: Path) -> dict[str, Any]:
    try:
        return _parsed(path.read_bytes())
    except OSError:
        return {}


def _parsed(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
