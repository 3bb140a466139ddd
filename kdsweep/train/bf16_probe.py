"""Whether bf16 is worth it on a CPU: the processor is asked, then two batches are timed."""

import copy
import time
from contextlib import nullcontext

import torch
from torch import nn

from kdsweep.batch import Batch
from kdsweep.train.device import forked_random

_TIMED = 2


def has_amx() -> bool:
    """Whether this CPU multiplies matrices of bf16 in hardware, as torch says."""
    return bool(torch.cpu.get_capabilities().get("amx_bf16", False))


def gain(student: nn.Module, batch: Batch) -> float:
    """How many times as fast as float32 a step of ``student`` is in bf16, forward and backward.

    Two batches of each are timed, after one that is not. The student and the random state are
    left as they were.
    """
    inputs = batch.seen_by(student)
    copied = copy.deepcopy(student).train()
    with forked_random(inputs.device):
        return _seconds(copied, inputs, bf16=False) / _seconds(copied, inputs, bf16=True)


def _seconds(network: nn.Module, inputs: torch.Tensor, *, bf16: bool) -> float:
    started = 0.0
    for i in range(1 + _TIMED):
        if i == 1:
            started = time.perf_counter()
        network.zero_grad(set_to_none=True)
        with torch.autocast(inputs.device.type, torch.bfloat16) if bf16 else nullcontext():
            logits = network(inputs)
        logits.float().square().mean().backward()
    return time.perf_counter() - started
