"""The order of an epoch: which sample comes in which batch, on which rank."""

import torch
from torch import Tensor

from kdsweep.data.views import scramble
from kdsweep.errors import SpecError

_SHUFFLE = 101


def permutation(num_samples: int, *, epoch: int, seed: int, device: torch.device) -> Tensor:
    """All ids ``[num_samples]`` in an order that follows from seed and epoch alone.

    Sorted by hash, not drawn from a generator: the same on every device, and no epoch depends on
    the ones before it.
    """
    ids = torch.arange(num_samples, device=device)
    return torch.argsort(scramble(ids, _SHUFFLE, seed, epoch), stable=True)


def batches_of(ids: Tensor, batch_size: int) -> list[Tensor]:
    """Ids ``[N]`` in pieces of ``batch_size``, the last as short as it is; not copied."""
    return [ids[start : start + batch_size] for start in range(0, len(ids), batch_size)]


def rank_batches(
    order: Tensor, *, batch_size: int, rank: int = 0, num_ranks: int = 1
) -> list[Tensor]:
    """A rank's share of every global batch: each ``num_ranks``-th of its ids.

    A short last batch that would give some rank fewer than two samples is left out (batch norm
    needs two), on every rank alike, so that all of them take the same number of steps.

    Raises:
        SpecError: a global batch has fewer samples than there are ranks.
    """
    if batch_size < num_ranks:
        raise SpecError(
            f"train.batch_size: {batch_size} is not allowed: the {num_ranks} workers of a trial "
            f"share each batch, so it must be at least {num_ranks}"
        )
    batches = batches_of(order, batch_size)
    if batches and len(batches[-1]) < min(batch_size, 2 * num_ranks):
        batches.pop()
    return [batch[rank::num_ranks] for batch in batches]
