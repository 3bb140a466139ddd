"""What a sweep runs within: signals, and storage that may be full."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from kdsweep.errors import TrialError
from kdsweep.storage.atomic import NO_ROOM, cannot_be_written


@contextmanager
def full_disks_in_words() -> Iterator[None]:
    """Storage that takes nothing more ends a sweep with a sentence.

    Raises:
        TrialError: in place of an ``OSError`` that says so.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise TrialError(cannot_be_written(error)) from None


class StoppedEarlyError(KeyboardInterrupt):
    """Somebody stopped a sweep before anything of it was written; Ray may still be starting."""


def _as_ctrl_c(number: int, frame: object) -> None:
    raise KeyboardInterrupt


@contextmanager
def interruptible() -> Iterator[Callable[[], None]]:
    """SIGTERM is as Ctrl-C; what this gives sees to it again.

    As it connects Ray puts a handler in the place of ours, which ends the process with a dump.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    before = signal.signal(signal.SIGTERM, _as_ctrl_c)
    try:
        yield lambda: _of_sigterm(_as_ctrl_c)
    finally:
        _of_sigterm(before)


def _of_sigterm(handler: Any) -> None:
    signal.signal(signal.SIGTERM, handler)


@contextmanager
def interrupts(stop: Callable[[], None]) -> Iterator[None]:
    """The first Ctrl-C (or SIGTERM) stops the sweep cleanly, the second at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def handle(number: int, frame: object) -> None:
        for each, handler in previous.items():
            signal.signal(each, handler)
        stop()

    for number in previous:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
