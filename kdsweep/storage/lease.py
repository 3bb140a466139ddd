"""A right that one process has at a time, as an object which it keeps fresh while it lives.

    driver-00003.json      the third to have it; the highest number counts

Whoever makes the next number has the right: stores make an object once, however many try. It is
free when its holder gave it up, or has not written it for ``DEAD_AFTER_S``.
"""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from kdsweep.storage.objects import Objects

BEAT_EVERY_S = 15.0
DEAD_AFTER_S = 60.0
"""Without a sign of life for so long a holder is taken to be dead."""
LOOK_EVERY_S = 1.0
"""How often those that wait look."""


@dataclass(frozen=True)
class Seen:
    """The right as it was found: who has it, in its own words; ``over`` if it was given up."""

    number: int = 0
    holder: Mapping[str, Any] = field(default_factory=dict)
    over: bool = True


class Lease:
    """The right called ``name``; ``holder`` is what others read of this process."""

    def __init__(self, objects: Objects, name: str, holder: Mapping[str, Any]) -> None:
        self._objects, self._name = objects, name
        self._holder = dict(holder)
        self._number = 0

    def seen(self) -> Seen:
        """Who has it, or had it last."""
        while number := max(self._numbers(), default=0):
            try:
                found = json.loads(self._objects.read(self._object(number)))
                return Seen(number, dict(found["holder"]), bool(found["over"]))
            except FileNotFoundError:
                continue  # given up in this moment, or followed by a higher one
            except (ValueError, LookupError, TypeError):
                return Seen(number, {}, over=False)
        return Seen()

    def silent_s(self, seen: Seen) -> float:
        """Seconds since the holder's last sign of life."""
        try:
            return self._objects.silent_s(self._object(seen.number))
        except FileNotFoundError:
            return DEAD_AFTER_S

    def take(self, seen: Seen) -> bool:
        """Have it after ``seen``, which is over or dead; whether nobody else was faster."""
        number = seen.number + 1
        if not self._objects.create(self._object(number), self._content()):
            return False
        self._number = number
        self._objects.remove([self._object(each) for each in self._numbers() if each < number])
        return True

    def beat(self) -> bool:
        """Give a sign of life; whether this process still has it."""
        if max(self._numbers(), default=0) > self._number:
            return False
        self._objects.write(self._object(self._number), self._content())
        return True

    def give_up(self, *, leave: bool) -> None:
        """Others may have it; with ``leave`` the object stays, and says that it is over."""
        if max(self._numbers(), default=0) > self._number:
            return
        if leave:
            self._objects.write(self._object(self._number), self._content(over=True))
        else:
            self._objects.remove([self._object(self._number)])

    def _numbers(self) -> list[int]:
        folder, slash, _ = self._name.rpartition("/")
        pattern = re.compile(re.escape(self._name) + r"-(\d{5,})\.json")
        names = (f"{folder}{slash}{each}" for each in self._objects.names(folder))
        return [int(found[1]) for found in map(pattern.fullmatch, names) if found]

    def _object(self, number: int) -> str:
        return f"{self._name}-{number:05d}.json"

    def _content(self, *, over: bool = False) -> bytes:
        return json.dumps({"holder": self._holder, "over": over}, indent=1).encode() + b"\n"


@contextmanager
def alone(
    lease: Lease, *, wait: bool = True, enough: Callable[[], bool] = lambda: False
) -> Iterator[bool]:
    """Have the right while the context lasts; says whether this process has it.

    It has not where another has it and ``wait`` is false, or where ``enough`` says that it is no
    longer needed: what another made while it had the right is there when the right is free.

    Raises:
        StorageError: the store does not answer.
    """
    while True:
        seen = lease.seen()
        if (seen.over or lease.silent_s(seen) >= DEAD_AFTER_S) and lease.take(seen):
            break
        if not wait or enough():
            yield False
            return
        time.sleep(LOOK_EVERY_S)
    over = threading.Event()

    def beat() -> None:
        while not over.wait(BEAT_EVERY_S):
            # A store that does not answer for a moment is no reason to give up.
            with suppress(OSError):
                lease.beat()

    thread = threading.Thread(target=beat, name="kdsweep-lease", daemon=True)
    thread.start()
    try:
        yield not enough()
    finally:
        over.set()
        thread.join(BEAT_EVERY_S)
        with suppress(OSError):
            lease.give_up(leave=False)
