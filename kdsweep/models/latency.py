"""How long a network takes to answer: one way to measure it, for students and teachers alike.

Runs are timed in blocks. A block has one median, and when the medians of the last blocks agree the
numbers are those of these blocks: what was still warming up, or ran beside something else for a
moment, does not count.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor, nn

from kdsweep.batch import Shape, Tokens
from kdsweep.models.modes import evaluating
from kdsweep.results.latency import BatchLatency

BATCHES = (1, 32)
"""Inputs at a time, unless somebody asks for others: one user, and a server with a queue."""
WARM_UP_RUNS = 3
_MOST_RUNS = 1000
_EXAMPLE_SEED = 0


@dataclass(frozen=True)
class Patience:
    """How long is measured: until ``agreeing`` blocks in a row agree, or ``budget_s`` is spent.

    They agree if their medians lie within ``tolerance`` of the one in the middle, from the least to
    the largest. A block lasts ``block_s``, but has ``least_runs`` at least.
    """

    budget_s: float
    block_s: float
    agreeing: int = 3
    tolerance: float = 0.05
    least_runs: int = 5


IN_PASSING = Patience(budget_s=0.05, block_s=0.01)
"""Of a trial whose latency nobody searches: little beside its training."""
SEARCHED = Patience(budget_s=1.0, block_s=0.05)
"""Of a trial whose latency is an objective or bounded."""
ONCE = Patience(budget_s=0.0, block_s=0.0)
"""Of a student that nobody will take: one block of few runs."""
QUIET = Patience(budget_s=10.0, block_s=0.1, agreeing=5, least_runs=10)
"""Where nothing else runs."""


def spread(of_blocks: Sequence[float]) -> float | None:
    """From the least number of a block to the largest, relative to the one in the middle."""
    if len(of_blocks) < 2:
        return None
    return (max(of_blocks) - min(of_blocks)) / max(median(of_blocks), 1e-12)


def agree(medians: Sequence[float], patience: Patience) -> bool:
    """Whether the last blocks agree, so that no other is needed."""
    last = medians[-patience.agreeing :]
    found = spread(last)
    return len(last) == patience.agreeing and found is not None and found <= patience.tolerance


def summary(batch: int, blocks: Sequence[Sequence[float]], patience: Patience) -> BatchLatency:
    """What blocks of runs, in seconds, say of batches of this size."""
    medians = [median(block) for block in blocks]
    stable = agree(medians, patience)
    counted = blocks[-patience.agreeing :] if stable else blocks
    runs = [taken for block in counted for taken in block]
    return BatchLatency(
        batch=batch,
        p50_ms=1e3 * median(runs),
        p95_ms=1e3 * p95(runs),
        spread=spread(medians[-len(counted) :]),
        p95_spread=spread([p95(block) for block in counted]),
        stable=stable,
        blocks=len(counted),
        runs=len(runs),
    )


def p95(runs: Sequence[float]) -> float:
    """The 95th percentile by the nearest rank: a time that a run has really taken."""
    return sorted(runs)[math.ceil(0.95 * len(runs)) - 1]


def timed(
    run: Callable[[], object], batch: int, patience: Patience, clock: Callable[[], float]
) -> BatchLatency:
    """Time ``run``, which answers one batch and returns when the answer is there.

    It may be a network of any runtime. It is run three times to warm up, and then in blocks.
    """
    for _ in range(WARM_UP_RUNS):
        start = clock()
        run()
    # The last one: the first may have compiled, allocated or read something.
    one_s = max(clock() - start, 1e-9)
    num_runs = max(patience.least_runs, min(round(patience.block_s / one_s), _MOST_RUNS))
    blocks: list[list[float]] = []
    medians: list[float] = []
    end = clock() + patience.budget_s
    while not blocks or (not agree(medians, patience) and clock() < end):
        block = []
        for _ in range(num_runs):
            start = clock()
            run()
            block.append(clock() - start)
        blocks.append(block)
        medians.append(median(block))
    return summary(batch, blocks, patience)


def measure_latency(
    network: nn.Module,
    shape: Shape,
    device: torch.device,
    *,
    batches: Sequence[int] = BATCHES,
    patience: Patience = QUIET,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[BatchLatency, ...]:
    """The latency of ``network`` for batches of inputs of ``shape``, on ``device``.

    It is moved there, and asked in evaluation and inference mode, in the precision of its weights.
    The device is synchronised around each run; on a CPU the time depends on torch's number of
    threads.
    """
    network.to(device)
    found = []
    with evaluating(network), torch.inference_mode():
        for batch in batches:
            inputs = examples(network, shape, batch)

            def run(inputs: Tensor = inputs) -> None:
                network(inputs)
                _synchronise(device)

            found.append(timed(run, batch, patience, clock))
    return tuple(found)


def examples(network: nn.Module, shape: Shape, num: int) -> Tensor:
    """Inputs where the network is: noise as normalised images are, or texts of full length."""
    weight = next((p for p in network.parameters() if p.is_floating_point()), torch.empty(0))
    random = torch.Generator().manual_seed(_EXAMPLE_SEED)
    if isinstance(shape, Tokens):
        ids = torch.randint(1, max(shape.vocabulary, 2), (num, shape.length), generator=random)
        return ids.to(weight.device)
    return torch.randn(num, *shape, generator=random).to(weight.device, weight.dtype)


def _synchronise(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
