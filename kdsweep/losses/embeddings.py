"""Losses on embeddings ``[N, D]``, of which the direction alone counts."""

import torch
from torch import Tensor
from torch.nn import functional as F

from kdsweep.errors import TrialError
from kdsweep.losses.directions import directions
from kdsweep.losses.features import hint
from kdsweep.losses.precision import check_same_shape, full_precision


def direction_mse(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference of embeddings ``[N, D]`` of length one, per example ``[N]``.

    ``2 (1 - cosine) / D``: the mean over ``D`` is that of ``nn.MSELoss()`` and of the code
    published with arXiv:2307.12732, whose weight of 2000 is meant for it.

    Raises:
        TrialError: the two shapes differ, or are not ``[N, D]``.
    """
    _check_embeddings(student, teacher)
    return hint(directions(full_precision(student)), directions(full_precision(teacher)))


def info_nce(student: Tensor, teacher: Tensor, temperature: Tensor | float) -> Tensor:
    """``-(log p(t_i | s_i) + log p(s_i | t_i)) / 2`` per example ``[N]``, in nats.

    ``p(t_j | s_i)`` is the softmax over the batch of the cosines of embeddings ``[N, D]`` divided
    by the temperature: each example is to be told from the others of the batch, in both directions
    (arXiv:2103.00020, with the teacher's embeddings arXiv:2307.12732). One example alone has
    nothing to be told from, and a loss of zero.

    Raises:
        TrialError: the two shapes differ, or are not ``[N, D]``.
    """
    _check_embeddings(student, teacher)
    ours, theirs = directions(full_precision(student)), directions(full_precision(teacher))
    logits = ours @ theirs.T / temperature
    own = torch.arange(len(logits), device=logits.device)
    there = F.cross_entropy(logits, own, reduction="none")
    back = F.cross_entropy(logits.T, own, reduction="none")
    return (there + back) / 2


def _check_embeddings(student: Tensor, teacher: Tensor) -> None:
    check_same_shape(student=student, teacher=teacher)
    if student.ndim != 2:
        raise TrialError(f"embeddings {list(student.shape)}: must be vectors [N, D]")
