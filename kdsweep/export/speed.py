"""How long an exported network takes, by the harness that times students and teachers."""

import os
import time
from functools import partial

import torch

from kdsweep.batch import Tokens
from kdsweep.export.checking import Runner
from kdsweep.export.inputs import Contract
from kdsweep.models.latency import BATCHES, Patience, timed
from kdsweep.results.latency import BatchLatency, Latency
from kdsweep.train.device import model_of

BRIEFLY = Patience(budget_s=2.0, block_s=0.05)
"""Of each file and number of samples: until three blocks agree, which they soon do."""
_CPU = torch.device("cpu")


def timed_runner(
    runner: Runner, contract: Contract, patience: Patience
) -> tuple[BatchLatency, ...]:
    """The latency of an exported network for one input, and for many, on the CPU."""
    found = []
    for batch in BATCHES:
        answer = partial(runner, _noise(contract, batch))
        found.append(timed(answer, batch, patience, time.perf_counter))
    return tuple(found)


def here(batches: tuple[BatchLatency, ...]) -> Latency:
    """With the device, its threads, and whether others worked on it."""
    return Latency(
        device=model_of(_CPU),
        kind=_CPU.type,
        threads=torch.get_num_threads(),
        busy=os.getloadavg()[0] >= (os.cpu_count() or 1),
        batches=batches,
    )


def _noise(contract: Contract, num: int) -> torch.Tensor:
    random = torch.Generator().manual_seed(0)
    size = (num, *contract.sizes)
    if isinstance(contract.shape, Tokens):
        return torch.randint(1, max(contract.shape.vocabulary, 2), size, generator=random)
    if contract.normalisation is None:
        return torch.randn(size, generator=random)
    return torch.randint(0, 256, size, generator=random, dtype=torch.uint8)
