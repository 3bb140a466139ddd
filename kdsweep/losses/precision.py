"""What every loss asks of its tensors before it computes."""

import torch
from torch import Tensor

from kdsweep.errors import TrialError

_HALF = (torch.float16, torch.bfloat16)


def check_same_shape(**tensors: Tensor) -> None:
    """Refuse tensors that would broadcast or fail instead of being compared element by element.

    Raises:
        TrialError: the shapes differ, or are not a batch of something ``[N, ...]``; names each.
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if len(set(shapes.values())) > 1 or any(len(shape) < 2 for shape in shapes.values()):
        found = " and ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
        raise TrialError(f"{found}: a loss compares tensors [N, ...] of one and the same shape")


def full_precision(tensor: Tensor) -> Tensor:
    """The tensor in float32 if it is of a half type, else itself (float64 stays float64).

    Softened probabilities and squares of small maps underflow in half precision.
    """
    return tensor.float() if tensor.dtype in _HALF else tensor
