"""The device that a trial runs on: in words, and its random state."""

from contextlib import AbstractContextManager

import torch


def describe(device: torch.device) -> str:
    """The device in words, for records: ``cpu (1 thread)`` or the name of the GPU."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    threads = torch.get_num_threads()
    return f"{device.type} ({threads} thread{'s' if threads != 1 else ''})"


def forked_random(device: torch.device) -> AbstractContextManager[None]:
    """Random draws inside, on the CPU and on ``device``, leave no trace outside."""
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])
