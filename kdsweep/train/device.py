"""The device that a trial runs on, in words."""

import torch


def describe(device: torch.device) -> str:
    """The device in words, for records: ``cpu (1 thread)`` or the name of the GPU."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    threads = torch.get_num_threads()
    return f"{device.type} ({threads} thread{'s' if threads != 1 else ''})"
