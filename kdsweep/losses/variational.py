"""How well a Gaussian around the student's prediction explains the teacher's features."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from kdsweep.errors import TrialError
from kdsweep.losses.precision import check_same_shape, full_precision

LEAST_VARIANCE = 1e-5


def variance(scale: Tensor) -> Tensor:
    """``softplus(scale) + 1e-5``: positive whatever the scale."""
    return F.softplus(full_precision(scale)) + LEAST_VARIANCE


def scale_of(variance: float) -> float:
    """The scale that gives a variance (above 1e-5)."""
    above = variance - LEAST_VARIANCE
    # The inverse of softplus, in the form that does not overflow.
    return above + math.log(-math.expm1(-above))


def variational_information(mean: Tensor, scale: Tensor, teacher: Tensor) -> Tensor:
    """``1/2 mean [(mean - teacher)^2 / var + log var]``, per example ``[N]``; may be negative.

    ``mean`` is predicted from the student in the teacher's shape ``[N, D, ...]``, and the variance
    ``softplus(scale) + 1e-5`` is learnt, one for each of the teacher's channels: scale ``[D]``. The
    constant ``log(2 pi) / 2`` is left out, as in published code (arXiv:1904.05835).

    Raises:
        TrialError: the prediction has not the teacher's shape, or there is not one scale for each
            channel.
    """
    check_same_shape(student=mean, teacher=teacher)
    if scale.shape != teacher.shape[1:2]:
        raise TrialError(
            f"scale {list(scale.shape)} and teacher {list(teacher.shape)}: there must be one "
            "variance for each channel of [N, D, ...]"
        )
    var = variance(scale).reshape(-1, *[1] * (teacher.ndim - 2))
    squares = (full_precision(mean) - full_precision(teacher)).square()
    return 0.5 * (squares / var + torch.log(var)).flatten(1).mean(dim=1)
