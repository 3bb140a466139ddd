"""Telling an example's own entry in a memory bank from the entries of others."""

import torch
from torch import Tensor
from torch.nn import functional as F

from kdsweep.errors import TrialError
from kdsweep.losses.precision import full_precision


def similarities(anchors: Tensor, bank: Tensor, entries: Tensor) -> Tensor:
    """Inner products ``[N, K]`` of anchors ``[N, D]`` with rows ``entries`` ``[N, K]`` of a bank.

    The bank ``[n, D]`` may be changed before the gradient is computed. Memory is for
    ``N * min(n, K * D)`` numbers: either the products with all of the bank, of which ``K`` are
    taken, or the rows that are asked for. At N = 64, K = 16,384, D = 128 the rows are 537 MB in
    float32, the products with 50,000 entries 13 MB, and there is a copy of the bank, 26 MB.

    Raises:
        TrialError: the shapes are not as said.
    """
    if anchors.ndim != 2 or bank.shape[1:] != anchors.shape[1:] or entries.ndim != 2:
        raise TrialError(
            f"anchors {list(anchors.shape)}, bank {list(bank.shape)} and entries "
            f"{list(entries.shape)}: must be [N, D], [n, D] and [N, K]"
        )
    anchors, bank = full_precision(anchors), full_precision(bank)
    if len(bank) <= entries.shape[1] * bank.shape[1]:
        return (anchors @ bank.clone().T).gather(1, entries)
    return torch.bmm(bank[entries], anchors.unsqueeze(2)).squeeze(2)


def nce(
    positive: Tensor, negatives: Tensor, log_mean: Tensor, counted: Tensor | None = None
) -> Tensor:
    """``-log P(own) - sum_k log(1 - P(other_k))`` per example ``[N]``, in nats (arXiv:1910.10699).

    ``positive`` ``[N]`` and ``negatives`` ``[N, K]`` are similarities divided by the temperature,
    and ``P(s) = e^s / (e^s + K m)`` how likely an entry is the example's own. ``m`` is the mean of
    ``e^s`` over the entries of the first batch, given as its logarithm. (As published, ``e^s`` is
    divided by ``Z = n m``, and the noise is ``K / n``: the number of examples cancels.) Negatives
    that are not ``counted`` ``[N, K]`` add nothing, and ``K`` is the number of those that are.

    Raises:
        TrialError: the shapes are not as said.
    """
    counted = torch.ones_like(negatives, dtype=torch.bool) if counted is None else counted
    if positive.shape != negatives.shape[:1] or negatives.ndim != 2:
        raise TrialError(
            f"positive {list(positive.shape)} and negatives {list(negatives.shape)}: "
            "must be [N] and [N, K]"
        )
    noise = log_mean + counted.sum(dim=1).clamp(min=1).to(log_mean.dtype).log()
    own = F.softplus(noise - full_precision(positive))
    others = F.softplus(full_precision(negatives) - noise.unsqueeze(1))
    return own + others.where(counted, 0).sum(dim=1)


def log_sum_exp(positive: Tensor, negatives: Tensor, counted: Tensor) -> tuple[Tensor, Tensor]:
    """The logarithm of the sum of ``e^s`` of each example ``[N]``, and of how many it is ``[N]``.

    Of the positive ``[N]`` and of those negatives ``[N, K]`` that are ``counted``: what ``nce``
    takes the logarithm of the mean from, joined over the examples of a batch.
    """
    kept = full_precision(negatives).masked_fill(~counted, -torch.inf)
    scores = torch.cat((full_precision(positive).unsqueeze(1), kept), dim=1)
    return torch.logsumexp(scores, dim=1), 1 + counted.sum(dim=1)
