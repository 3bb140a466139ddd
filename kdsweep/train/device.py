"""The device that a trial runs on: in words, and its random state."""

import platform
from contextlib import AbstractContextManager, suppress
from functools import cache
from pathlib import Path

import torch


def describe(device: torch.device) -> str:
    """The device in words, for records: ``cpu (1 thread)`` or the name of the GPU."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    threads = torch.get_num_threads()
    return f"{device.type} ({threads} thread{'s' if threads != 1 else ''})"


def model_of(device: torch.device) -> str:
    """The name of the GPU, or the model of the processor as its maker calls it."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return _processor()


@cache
def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            name, _, said = line.partition(":")
            if name.strip() == "model name" and said.strip():
                return said.strip()
    return platform.processor() or platform.machine() or "cpu"


def forked_random(device: torch.device) -> AbstractContextManager[None]:
    """Random draws inside, on the CPU and on ``device``, leave no trace outside."""
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])
