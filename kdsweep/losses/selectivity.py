"""Which places a network's channels select: a distance between two sets of channels."""

from torch import Tensor

from kdsweep.errors import TrialError
from kdsweep.losses.directions import directions
from kdsweep.losses.precision import check_same_shape, full_precision


def selectivity_transfer(student: Tensor, teacher: Tensor) -> Tensor:
    """``mean k(t, t') + mean k(s, s') - 2 mean k(s, t)``, ``k(x, y) = (x . y)^2``, ``[N]``.

    ``s`` and ``t`` are the channels of maps ``[N, D_s, H, W]`` and ``[N, D_t, H, W]``, flattened
    to ``H * W`` and divided by their length: the squared maximum mean discrepancy of the two sets
    under a polynomial kernel (arXiv:1707.01219). Channels of zeros have kernel zero with all.

    Computed from products of channels, or of pixels where these take less memory: the kernel's
    features are the products of pixels, so that the same number is the squared distance of the
    mean products.

    Raises:
        TrialError: the features are not maps, or not of one and the same ``N``, ``H`` and ``W``.
    """
    if student.ndim != 4 or teacher.ndim != 4:
        raise TrialError(
            f"student {list(student.shape)} and teacher {list(teacher.shape)}: the channels of "
            "maps [N, D, H, W] are compared"
        )
    check_same_shape(student=student[:, :1], teacher=teacher[:, :1])
    ours = directions(full_precision(student).flatten(2))
    theirs = directions(full_precision(teacher).flatten(2))
    num_ours, num_theirs, pixels = ours.shape[1], theirs.shape[1], ours.shape[2]
    if 2 * pixels**2 <= num_ours**2 + num_theirs**2 + num_ours * num_theirs:
        return _by_pixels(ours, theirs)
    return _by_channels(ours, theirs)


def _by_pixels(ours: Tensor, theirs: Tensor) -> Tensor:
    """By mean products ``[N, P, P]`` of channels ``[N, D, P]``."""
    difference = _products(ours.mT) / ours.shape[1] - _products(theirs.mT) / theirs.shape[1]
    return difference.square().sum(dim=(1, 2))


def _by_channels(ours: Tensor, theirs: Tensor) -> Tensor:
    """By kernels ``[N, D, D]`` of channels ``[N, D, P]``; rounding may leave it below zero."""
    between = (ours @ theirs.mT).square().mean(dim=(1, 2))
    return _mean_kernel(ours) + _mean_kernel(theirs) - 2 * between


def _mean_kernel(channels: Tensor) -> Tensor:
    return _products(channels).square().mean(dim=(1, 2))


def _products(rows: Tensor) -> Tensor:
    return rows @ rows.mT
