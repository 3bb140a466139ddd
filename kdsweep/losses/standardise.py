"""Logits without their scale: each row of mean zero and deviation one."""

import torch
from torch import Tensor

from kdsweep.losses.precision import full_precision

_LEAST_DEVIATION = 1e-7


def standardise(logits: Tensor) -> Tensor:
    """``(z - mean) / (std + 1e-7)`` over the classes of logits ``[N, C, ...]``, of the same shape.

    The deviation is the unbiased one, with ``C - 1``; ``C`` is at least 2. A row whose logits are
    all the same has no deviation to be measured in: it becomes zeros, with a gradient of zero.
    Source: arXiv:2403.01427.
    """
    logits = full_precision(logits)
    deviation, mean = torch.std_mean(logits, dim=1, keepdim=True)
    # By comparison, not by the deviation: that of a constant row may be a rounding error.
    constant = logits.amax(dim=1, keepdim=True) == logits.amin(dim=1, keepdim=True)
    return ((logits - mean) / (deviation + _LEAST_DEVIATION)).masked_fill(constant, 0.0)
