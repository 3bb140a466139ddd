"""Sends what is written to a copy on to the object store, behind whoever writes.

What is of one folder arrives in the order in which it was written; folders pass each other. A
store that does not answer is asked again until it does: nothing is given up while this lives.
"""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from pathlib import Path

from kdsweep.storage.objects import Objects, StorageError

_SENDERS = 8
_LONGEST_PAUSE_S = 30.0

_Work = Callable[[], None]


class Pump:
    """Of one directory and the objects that it is a copy of; ``tell`` hears when sending stalls."""

    def __init__(self, objects: Objects, directory: Path, tell: Callable[[str], object]) -> None:
        self._objects, self._directory, self._tell = objects, directory, tell
        self._state = threading.Condition()
        self._todo: OrderedDict[str, deque[tuple[str, _Work]]] = OrderedDict()
        self._busy: set[str] = set()
        self._failing: set[str] = set()
        self._num_done, self._dropped = 0, False
        self._closed = False
        self._threads = [
            threading.Thread(target=self._send, name=f"kdsweep-pump-{number}", daemon=True)
            for number in range(_SENDERS)
        ]
        for thread in self._threads:
            thread.start()

    def changed(self, name: str) -> None:
        """A file was written: it is sent as it is by then."""
        self._add(name, f"+{name}", lambda: self._upload(name))

    def removed(self, below: str) -> None:
        """A folder is gone."""
        self._add(below, f"-{below}", lambda: self._objects.remove_all(below))

    def drop(self) -> None:
        """What is not there by now is not wanted there, and nothing that comes."""
        with self._state:
            self._dropped = True
            self._todo.clear()

    @property
    def address(self) -> str:
        """Where it sends to."""
        return self._objects.address

    @property
    def num_left(self) -> int:
        """How much is not there yet."""
        with self._state:
            return sum(map(len, self._todo.values())) + len(self._busy)

    def wait(self, patience_s: float) -> bool:
        """Wait until all is there; whether it is. Patience ends after so long without progress."""
        done, since = self._num_done, time.monotonic()
        while self.num_left:
            if self._num_done > done:
                done, since = self._num_done, time.monotonic()
            if time.monotonic() - since > patience_s:
                return False
            with self._state:
                self._state.wait(0.1)
        return True

    def close(self) -> None:
        """The end: what is not there by now is not sent."""
        with self._state:
            self._closed = True
            self._state.notify_all()
        for thread in self._threads:
            thread.join(0.5)

    def _add(self, name: str, what: str, work: _Work) -> None:
        key = "/".join(name.split("/")[:2])
        with self._state:
            if self._dropped:
                return
            todo = self._todo.setdefault(key, deque())
            # The file is read when it is sent: once is enough for all that was written until then.
            if not todo or todo[-1][0] != what:
                todo.append((what, work))
            self._state.notify()

    def _send(self) -> None:
        while True:
            with self._state:
                found = self._next()
                while found is None and not self._closed:
                    self._state.wait()
                    found = self._next()
                if found is None or self._closed:
                    return
                key, work = found
                self._busy.add(key)
            self._do(key, work)
            with self._state:
                self._busy.discard(key)
                self._state.notify_all()

    def _do(self, key: str, work: _Work) -> None:
        """Have it done, however often the store must be asked."""
        pause_s = 1.0
        while not self._closed and not self._dropped:
            try:
                work()
            except OSError as error:
                self._has_failed(key, error)
                with self._state:
                    self._state.wait_for(lambda: self._closed, pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            else:
                self._has_worked(key)
                return

    def _next(self) -> tuple[str, _Work] | None:
        for key, todo in self._todo.items():
            if key not in self._busy:
                _, work = todo.popleft()
                if not todo:
                    del self._todo[key]
                return key, work
        return None

    def _has_failed(self, key: str, error: OSError) -> None:
        with self._state:
            is_first = not self._failing
            self._failing.add(key)
        if is_first:
            self._tell(f"warning: {error}; it is tried again, and the sweep goes on meanwhile")

    def _has_worked(self, key: str) -> None:
        with self._state:
            self._num_done += 1
            was_last = self._failing == {key}
            self._failing.discard(key)
        if was_last:
            self._tell(f"{self._objects.address}: answers again")

    def _upload(self, name: str) -> None:
        try:
            content = (self._directory / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return  # gone again; that is sent as well
        try:
            self._objects.write(name, content)
        except FileNotFoundError as error:
            raise StorageError(f"{self._objects.address}: {error}") from error
