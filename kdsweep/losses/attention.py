"""Where a network looks: losses on attention maps of features ``[N, D, H, W]``."""

from torch import Tensor
from torch.nn import functional as F

from kdsweep.errors import TrialError
from kdsweep.losses.precision import check_same_shape, full_precision


def attention_map(features: Tensor) -> Tensor:
    """Maps ``[N, D, H, W]`` -> attention ``[N, H * W]``: mean square over channels, of length one.

    A map of zeros has attention zero, and a gradient of zero.

    Raises:
        TrialError: the features are not maps.
    """
    if features.ndim != 4:
        raise TrialError(f"features {list(features.shape)}: attention is of maps [N, D, H, W]")
    return F.normalize(full_precision(features).square().mean(dim=1).flatten(1), dim=1)


def attention_transfer(student: Tensor, teacher: Tensor) -> Tensor:
    """``mean (Q_s - Q_t)^2`` over ``H * W`` of the attention maps ``Q``, per example ``[N]``.

    Student ``[N, D_s, H, W]`` and teacher ``[N, D_t, H, W]`` may differ in their channels. This is
    the form of the code published with arXiv:1612.03928; the paper prints a norm, which is some
    hundreds of times larger.

    Raises:
        TrialError: the features are not maps, or not of one and the same ``N``, ``H`` and ``W``.
    """
    student_map, teacher_map = attention_map(student), attention_map(teacher)
    # Equal areas are not enough: 2x8 and 4x4 flatten to the same length.
    check_same_shape(student=student[:, :1], teacher=teacher[:, :1])
    return (student_map - teacher_map).square().mean(dim=1)
