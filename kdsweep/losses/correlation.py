"""Pearson correlation in place of equality: relations between classes, and within each.

Both losses are of probabilities, ``softmax`` of logits ``[N, C]`` or ``[N, C, H, W]``, and take a
temperature through ``logits.at_temperature`` (arXiv:2205.10536).
"""

from torch import Tensor
from torch.linalg import vector_norm
from torch.nn import functional as F

from kdsweep.losses.logits import over_positions
from kdsweep.losses.precision import check_same_shape, full_precision

_LEAST_NORM = 1e-8


def inter_class(student: Tensor, teacher: Tensor) -> Tensor:
    """``1 - r`` of each example's probabilities over the classes, ``[N]``; 0 to 2.

    A row of equal probabilities correlates with nothing: its loss is 1 and its gradient zero.

    Raises:
        TrialError: the two shapes differ.
    """
    check_same_shape(student=student, teacher=teacher)
    ours, theirs = _probabilities(student), _probabilities(teacher)
    return over_positions(1 - _correlation(ours, theirs, dim=1))


def intra_class(student: Tensor, teacher: Tensor) -> Tensor:
    """``1 -`` the mean over classes of ``r`` of the class's probabilities over the batch.

    One number, given to every example ``[N]``: it is of the batch, and so depends on its size. Of
    dense logits every position counts as an example. One example has nothing to correlate with: its
    loss is zero.

    Raises:
        TrialError: the two shapes differ.
    """
    check_same_shape(student=student, teacher=teacher)
    ours, theirs = (
        _probabilities(logits).movedim(1, -1).flatten(0, -2) for logits in (student, teacher)
    )
    if len(ours) == 1:
        return ours.new_zeros(1)
    return (1 - _correlation(ours, theirs, dim=0).mean()).expand(len(student))


def _probabilities(logits: Tensor) -> Tensor:
    return F.softmax(full_precision(logits), dim=1)


def _correlation(one: Tensor, other: Tensor, dim: int) -> Tensor:
    """Pearson's ``r`` along ``dim``; zero, with a gradient of zero, where one is constant."""
    constant = _is_constant(one, dim) | _is_constant(other, dim)
    one, other = (each - each.mean(dim=dim, keepdim=True) for each in (one, other))
    norms = vector_norm(one, dim=dim) * vector_norm(other, dim=dim)
    # Where one is constant the least norm alone would be left below, and a gradient of 1e8.
    correlation: Tensor = (one * other).sum(dim=dim) / (norms + _LEAST_NORM)
    return correlation.masked_fill(constant, 0.0)


def _is_constant(values: Tensor, dim: int) -> Tensor:
    return values.amax(dim=dim) == values.amin(dim=dim)
