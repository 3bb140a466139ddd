"""The processes of a Ray that a sweep starts for itself: no more than it needs, and undisturbed."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from kdsweep.search import environment  # noqa: F401  # before ray
from kdsweep.search.environment import LOOPBACK

from ray._private import parameter, services  # isort: skip


@contextmanager
def lean() -> Iterator[None]:
    """Start Ray on the loopback address, without an autoscaler and a process that forwards logs.

    Nobody uses those two: each is a Python process of about 1.5 CPU-seconds that starts before
    anything of ours does. ``ray.init`` turns a loopback address that it is given into the
    machine's own, on which its processes listen on every interface.

    Its processes end with this one and for no other reason: what stops a whole process group or a
    whole job (``timeout``, systemd, Slurm) would otherwise take them from a driver that has
    records to write.
    """
    full, popen = parameter.RayParams, services.ConsolePopen

    def fewer(*given: Any, **named: Any) -> Any:
        own = {"node_ip_address": LOOPBACK, "no_monitor": True, "include_log_monitor": False}
        return full(*given, **{**named, **own})

    parameter.RayParams, services.ConsolePopen = fewer, Undisturbed
    try:
        yield
    finally:
        parameter.RayParams, services.ConsolePopen = full, popen


class Undisturbed(services.ConsolePopen):  # type: ignore[misc]
    """A process of Ray in a session of its own that passes over SIGTERM, as do its workers."""

    started: "list[Undisturbed]" = []  # noqa: RUF012  # of this process

    def __init__(self, *given: Any, preexec_fn: Callable[[], None], **named: Any) -> None:
        def prepare() -> None:
            preexec_fn()
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

        super().__init__(*given, preexec_fn=prepare, start_new_session=True, **named)
        self.started.append(self)

    def terminate(self) -> None:
        """End it: Ray would ask with SIGTERM, and wait a second for each process."""
        self.kill()


def end_what_was_started() -> None:
    """End every process of Ray that this one has started, and the workers of those."""
    for process in Undisturbed.started:
        if process.poll() is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
    Undisturbed.started.clear()
