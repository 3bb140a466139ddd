"""The workers of one trial: how they share gradients and sums. One worker is the plain case."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True)
class Ranks:
    """This worker's rank among ``size`` workers that train one trial together.

    With more than one, ``torch.distributed`` must be initialised with exactly these workers.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this worker validates, reports and saves."""
        return self.rank == 0

    def share_gradients(self, step: nn.Module, kept_equal: Sequence[str] = ()) -> nn.Module:
        """``step`` as it is, or wrapped so that gradients are averaged over the workers.

        All workers then start with the first one's parameters and buffers, and get its buffers
        again before each forward, but for those named in ``kept_equal``.
        """
        if self.size == 1:
            return step
        for name in kept_equal:
            dist.broadcast(step.get_buffer(name), src=0)
        # What torch has for this: `broadcast_buffers=False` would leave out batch norm's as well.
        leave_out = DistributedDataParallel._set_params_and_buffers_to_ignore_for_model
        leave_out(step, set(kept_equal))  # type: ignore[no-untyped-call]
        # A user's network may hold layers that a forward skips: alone it trains, so it must here.
        return DistributedDataParallel(step, find_unused_parameters=True)

    def sum(self, values: Tensor) -> Tensor:
        """``values`` added up over the workers, on every worker."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def gather(self, values: Tensor) -> Tensor:
        """Every worker's ``values`` ``[n, ...]`` one after another, without gradient.

        The workers may have different ``n``.
        """
        values = values.detach()
        if self.size == 1:
            return values
        counts = [values.new_zeros(1, dtype=torch.int64) for _ in range(self.size)]
        dist.all_gather(counts, counts[0].new_tensor([len(values)]))
        most = int(torch.cat(counts).max())
        padded = torch.cat((values, values.new_zeros(most - len(values), *values.shape[1:])))
        parts = [torch.empty_like(padded) for _ in range(self.size)]
        dist.all_gather(parts, padded.contiguous())
        return torch.cat([part[: int(n)] for part, n in zip(parts, counts, strict=True)])

    def told_by_first(self, value: float, device: torch.device) -> float:
        """The first worker's value, on every worker."""
        if self.size == 1:
            return value
        told = torch.tensor([value], device=device, dtype=torch.float64)
        dist.broadcast(told, src=0)
        return told.item()

    def agree(self, answer: bool, device: torch.device) -> bool:
        """The first worker's answer, on every worker."""
        return bool(self.told_by_first(float(answer), device))


ALONE = Ranks()
