"""Losses on features of any shape ``[N, ...]``: one value per example."""

from torch import Tensor

from kdsweep.losses.precision import check_same_shape, full_precision


def hint(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference of features ``[N, ...]``, per example ``[N]``.

    The mean is over all but the first dimension, so that a batch's mean is that of
    ``nn.MSELoss()``, as published code has it (arXiv:1412.6550 halves a sum instead).

    Raises:
        TrialError: the two shapes differ.
    """
    check_same_shape(student=student, teacher=teacher)
    difference = full_precision(student) - full_precision(teacher)
    return difference.square().flatten(1).mean(dim=1)
