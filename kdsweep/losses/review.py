"""Feature maps compared at several sizes."""

from torch import Tensor
from torch.nn import functional as F

from kdsweep.errors import TrialError
from kdsweep.losses.features import hint
from kdsweep.losses.precision import full_precision

_SIDES = (4, 2, 1)


def hierarchical_context(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared differences at full size and averaged to 4x4, 2x2 and 1x1, weighted, ``[N]``.

    The weights are 1, 1/2, 1/4, 1/8, over their sum; of maps ``[N, D, H, W]`` that are no larger
    than a size it is left out, and the weights after it move up (arXiv:2104.09044).

    Raises:
        TrialError: the features are not maps, or their shapes differ.
    """
    if student.ndim != 4 or teacher.ndim != 4:
        raise TrialError(
            f"student {list(student.shape)} and teacher {list(teacher.shape)}: maps [N, D, H, W] "
            "are compared at several sizes"
        )
    weight = sum_of_weights = 1.0
    loss = hint(student, teacher)
    # Averages are linear: of the difference they are the differences of the averages.
    difference = full_precision(student) - full_precision(teacher)
    height, width = difference.shape[2:]
    for side in (side for side in _SIDES if side < max(height, width)):
        weight /= 2
        sum_of_weights += weight
        averaged = F.adaptive_avg_pool2d(difference, (min(side, height), min(side, width)))
        loss = loss + weight * averaged.square().flatten(1).mean(dim=1)
    return loss / sum_of_weights
