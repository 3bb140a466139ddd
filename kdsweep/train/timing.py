"""How students and their teacher are timed in a sweep: briefly, while other lanes train."""

import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import torch
from filelock import FileLock
from torch import nn

from kdsweep.batch import Shape
from kdsweep.models.latency import (
    BATCHES,
    IN_PASSING,
    ONCE,
    SEARCHED,
    Patience,
    measure_latency,
)
from kdsweep.results.latency import BatchLatency, Latency
from kdsweep.storage.copies import cache_folder
from kdsweep.train.device import model_of


@dataclass(frozen=True)
class Timing:
    """What a session knows of the sweep that its trials are of.

    ``lanes`` train at the same time on all its machines; ``is_searched`` where the latency is an
    objective or bounded: then it is measured longer, by one lane of a node at a time.
    """

    lanes: int = 1
    is_searched: bool = False

    def of(
        self, student: nn.Module, shape: Shape, device: torch.device, *, is_cut_short: bool = False
    ) -> Latency:
        """The latency of a student; of one that was cut short nobody wants to know it well."""
        if is_cut_short:
            return self._said(device, measure_latency(student, shape, device, batches=(1,),
                                                      patience=ONCE))  # fmt: skip
        if not self.is_searched:
            return self._said(device, _measured(student, shape, device, IN_PASSING))
        with turn_to_measure():
            return self._said(device, _measured(student, shape, device, SEARCHED))

    def of_teacher(self, teacher: nn.Module, shape: Shape, device: torch.device) -> Latency:
        """The latency of a teacher, as of a student; unless it is searched of one input alone.

        A teacher may be large, and is timed while nothing can be distilled from it yet.
        """
        if self.is_searched:
            return self.of(teacher, shape, device)
        found = measure_latency(teacher, shape, device, batches=(1,), patience=IN_PASSING)
        return self._said(device, found)

    def _said(self, device: torch.device, batches: tuple[BatchLatency, ...]) -> Latency:
        return Latency(
            device=model_of(device),
            kind=device.type,
            threads=torch.get_num_threads(),
            busy=self.lanes > 1 or os.getloadavg()[0] >= (os.cpu_count() or 1),
            lanes=self.lanes,
            batches=batches,
        )


UNTOLD = Timing()
"""Of a trial that is no lane's."""


def _measured(
    student: nn.Module, shape: Shape, device: torch.device, patience: Patience
) -> tuple[BatchLatency, ...]:
    """One input at a time, and many where there is memory for them."""
    first, *others = BATCHES
    found = measure_latency(student, shape, device, batches=(first,), patience=patience)
    for batch in others:
        # The student was trained, in smaller batches perhaps: this is no reason to fail.
        with suppress(torch.OutOfMemoryError):
            found += measure_latency(student, shape, device, batches=(batch,), patience=patience)
    return found


@contextmanager
def turn_to_measure() -> Iterator[None]:
    """Only one process of a user and node measures at a time, where its storage has locks."""
    node = re.sub(r"[^A-Za-z0-9.-]", "-", platform.node()) or "node"
    folder = cache_folder()
    lock = FileLock(folder / f"latency-{node}.lock")
    try:
        with suppress(OSError, NotImplementedError):
            folder.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        yield
    finally:
        lock.release()
