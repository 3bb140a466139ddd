"""The workers of one trial: how they share gradients and sums. One worker is the plain case."""

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

    def share_gradients(self, step: nn.Module) -> nn.Module:
        """``step`` as it is, or wrapped so that gradients are averaged over the workers."""
        # A user's network may hold layers that a forward skips: alone it trains, so it must here.
        return (
            step if self.size == 1 else DistributedDataParallel(step, find_unused_parameters=True)
        )

    def sum(self, values: Tensor) -> Tensor:
        """``values`` added up over the workers, on every worker."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

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
