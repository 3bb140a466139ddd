"""Vectors of length one, with gradients that stay finite where there is no direction."""

import torch
from torch import Tensor

_SHORTEST = 1e-12


def directions(vectors: Tensor, dim: int = -1) -> Tensor:
    """Vectors along ``dim`` divided by their length; those without any stay zero.

    The gradient at zero is zero. ``F.normalize`` divides by an epsilon there and multiplies the
    gradient by 1e12: two equal examples, or a row of zeros, would throw every weight away.
    """
    lengths: Tensor = torch.linalg.vector_norm(vectors, dim=dim, keepdim=True)
    return vectors / lengths.masked_fill(lengths < _SHORTEST, torch.inf)
