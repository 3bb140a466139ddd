"""A request that a sweep ends, left in its run directory for whoever drives it, on any machine."""

import json
import os
import platform
import time
from contextlib import suppress
from pathlib import Path

from kdsweep.storage.atomic import write_bytes

STOP_FILE = "stop.json"


def ask_to_stop(directory: Path) -> None:
    """Leave the request; the driver sees it within seconds.

    Raises:
        OSError: the directory cannot be written to.
    """
    asked = {"host": platform.node(), "pid": os.getpid(), "at": time.time()}
    write_bytes(directory / STOP_FILE, json.dumps(asked).encode() + b"\n")


def is_asked_to_stop(directory: Path) -> bool:
    """Whether somebody wants the sweep in ``directory`` to end."""
    return (directory / STOP_FILE).exists()


def forget_the_request(directory: Path) -> None:
    """The sweep has ended, or goes on: what was asked before is over."""
    with suppress(OSError):
        (directory / STOP_FILE).unlink(missing_ok=True)
