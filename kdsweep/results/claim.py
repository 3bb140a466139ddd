"""The right to drive a run that lies in an object store, and the wish that its driver stops."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from pydantic import ValidationError

from kdsweep.results.names import STOP_FILE
from kdsweep.results.processes import Holder
from kdsweep.storage.lease import BEAT_EVERY_S, DEAD_AFTER_S, Lease, Seen
from kdsweep.storage.objects import objects_at

_DRIVER = "driver"
_LOOK_EVERY_S = 5.0
"""How often a driver looks whether somebody wants it to stop."""


class TakenError(Exception):
    """Somebody else drives the run: ``holder``, where that is known."""

    def __init__(self, holder: Holder | None) -> None:
        super().__init__()
        self.holder = holder


class Claim:
    """This process as the driver; looks after the right until ``over``."""

    def __init__(self, address: str, lease: Lease) -> None:
        self._objects, self._lease = objects_at(address), lease
        self.over = threading.Event()
        self.lost_to: Holder | None = None
        """Who took the run over, which happens to a machine that slept."""
        self.asked_to_stop = False
        self.thread = threading.Thread(target=self._watch, name="kdsweep-claim", daemon=True)

    def _watch(self) -> None:
        looks = 0
        while not self.over.wait(_LOOK_EVERY_S):
            looks += 1
            # A store that does not answer for a moment is no reason to stop.
            with suppress(OSError):
                self.asked_to_stop = self.asked_to_stop or self._objects.exists(STOP_FILE)
                if looks * _LOOK_EVERY_S >= BEAT_EVERY_S:
                    looks = 0
                    if not self._lease.beat():
                        self.lost_to = _holder(self._lease.seen())
                        return


@contextmanager
def claimed(address: str, me: Holder) -> Iterator[Claim]:
    """Be the driver of the run at ``address``.

    Raises:
        StorageError: the store does not answer.
        TakenError: somebody else is.
    """
    lease = Lease(objects_at(address), _DRIVER, me.model_dump())
    seen = lease.seen()
    if _lives(lease, seen):
        raise TakenError(_holder(seen))
    if not lease.take(seen):
        raise TakenError(_holder(lease.seen()))
    claim = Claim(address, lease)
    claim.thread.start()
    try:
        yield claim
    finally:
        claim.over.set()
        claim.thread.join(BEAT_EVERY_S)
        with suppress(OSError):
            lease.give_up(leave=True)


def living_holder(address: str) -> Holder | None:
    """Who drives the run at ``address`` now; none where nobody does.

    Raises:
        StorageError: the store does not answer.
    """
    lease = Lease(objects_at(address), _DRIVER, {})
    seen = lease.seen()
    return _holder(seen) if _lives(lease, seen) else None


def silent_s(address: str) -> float:
    """Seconds since the driver's last sign of life.

    Raises:
        OSError: nobody drives it; or the store does not answer.
    """
    lease = Lease(objects_at(address), _DRIVER, {})
    seen = lease.seen()
    if seen.over:
        raise FileNotFoundError(f"{address}: nobody drives it")
    return lease.silent_s(seen)


def ask_to_stop(address: str, wish: dict[str, object]) -> None:
    """Leave the wish that the driver stops; it sees it within seconds.

    Raises:
        StorageError: the store does not answer.
    """
    objects_at(address).write(STOP_FILE, json.dumps(wish).encode() + b"\n")


def is_asked_to_stop(address: str) -> bool:
    """Whether somebody wants the driver to stop.

    Raises:
        StorageError: the store does not answer.
    """
    return objects_at(address).exists(STOP_FILE)


def forget_the_request(address: str) -> None:
    """What was asked before is over."""
    with suppress(OSError):
        objects_at(address).remove([STOP_FILE])


def _lives(lease: Lease, seen: Seen) -> bool:
    if seen.over:
        return False
    holder = _holder(seen)
    if holder is not None and holder.is_here:
        return holder.process_lives
    return lease.silent_s(seen) < DEAD_AFTER_S


def _holder(seen: Seen) -> Holder | None:
    try:
        return Holder.model_validate(seen.holder)
    except ValidationError:
        return None
