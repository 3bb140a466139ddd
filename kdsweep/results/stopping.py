"""A request that a sweep ends, left in its run directory for whoever drives it, on any machine."""

import json
import os
import platform
import time
from contextlib import suppress
from pathlib import Path

from kdsweep.results import claim
from kdsweep.results.names import STOP_FILE
from kdsweep.storage.atomic import write_bytes
from kdsweep.storage.copies import address_of


def ask_to_stop(directory: Path) -> None:
    """Leave the request; the driver sees it within seconds.

    Raises:
        OSError: the directory, or the object store that it is a copy of, cannot be written to.
    """
    asked: dict[str, object] = {"host": platform.node(), "pid": os.getpid(), "at": time.time()}
    address = address_of(directory)
    if address is None:
        write_bytes(directory / STOP_FILE, json.dumps(asked).encode() + b"\n")
    else:
        claim.ask_to_stop(address, asked)


def is_asked_to_stop(directory: Path) -> bool:
    """Whether somebody wants the sweep in ``directory`` to end."""
    address = address_of(directory)
    if address is None:
        return (directory / STOP_FILE).exists()
    return claim.is_asked_to_stop(address)


def forget_the_request(directory: Path) -> None:
    """The sweep has ended, or goes on: what was asked before is over."""
    address = address_of(directory)
    if address is not None:
        claim.forget_the_request(address)
    with suppress(OSError):
        (directory / STOP_FILE).unlink(missing_ok=True)
