"""How the examples of a batch lie to each other: losses that need no equal numbers of features.

Every loss takes features ``[N, ...]`` of the student and of the teacher, flattened to one vector
per example, and gives each example its share ``[N]``: the mean over the batch is the published
loss. One example has no relation to others, and a loss and a gradient of zero.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from kdsweep.errors import TrialError
from kdsweep.losses.directions import directions
from kdsweep.losses.precision import full_precision

_LEAST_PROBABILITY = 1e-7


def similarity(student: Tensor, teacher: Tensor) -> Tensor:
    """``sum_j (G_s - G_t)_ij^2 / N`` of example ``i``, ``[N]``, of features ``[N, ...]``.

    ``G`` is ``f f^T`` with every row divided by its Euclidean length (not by its sum); the mean
    over the batch is ``|G_s - G_t|^2 / N^2`` (arXiv:1907.09682).

    Raises:
        TrialError: the features are not of one and the same number of examples.
    """
    ours, theirs = _vectors(student, teacher)
    difference = directions(ours @ ours.T) - directions(theirs @ theirs.T)
    return difference.square().mean(dim=1)


def distance_relations(student: Tensor, teacher: Tensor) -> Tensor:
    """``mean_j SmoothL1(d_ij / mean d)`` of example ``i``, ``[N]``, of features ``[N, ...]``.

    ``d_ij`` are Euclidean distances, each network's divided by their mean over all pairs of
    different examples; the mean over ``j`` is over all ``N``, as published code has it, with a zero
    at ``j = i`` (arXiv:1904.05068). Where all examples coincide all distances are zero.

    Raises:
        TrialError: the features are not of one and the same number of examples.
    """
    ours, theirs = (_relative_distances(vectors) for vectors in _vectors(student, teacher))
    return F.smooth_l1_loss(ours, theirs, reduction="none").mean(dim=1)


def angle_relations(student: Tensor, teacher: Tensor) -> Tensor:
    """``mean_jk SmoothL1(cos angle j-i-k)`` of example ``i``, ``[N]``, of features ``[N, ...]``.

    The angles that pairs of examples ``j, k`` make at example ``i``; the mean is over all ``N^2``
    pairs, as published code has it, with zeros where two of the three are the same
    (arXiv:1904.05068): fewer than three examples have no angle. Takes memory for ``N^3`` angles and
    ``N^2 D`` differences, several times over: 0.5 GB for each set of angles at ``N = 512``.

    Raises:
        TrialError: the features are not of one and the same number of examples.
    """
    ours, theirs = (_angles(vectors) for vectors in _vectors(student, teacher))
    return F.smooth_l1_loss(ours, theirs, reduction="none").mean(dim=(1, 2))


def probability_transfer(student: Tensor, teacher: Tensor) -> Tensor:
    """``mean_j p_t log(p_t / p_s)`` of example ``i``, ``[N]``, of features ``[N, ...]``.

    ``p_ij`` is ``(1 + cos(f_i, f_j)) / 2`` as a share of its row. Published code (arXiv:1803.10837)
    has the mean over ``N^2``, not a sum over ``j``, and adds 1e-7 to both probabilities in the
    logarithm, so that examples that point in opposite directions have a finite loss.

    Raises:
        TrialError: the features are not of one and the same number of examples.
    """
    p_s, p_t = (_affinities(vectors) for vectors in _vectors(student, teacher))
    ratios = (p_t + _LEAST_PROBABILITY) / (p_s + _LEAST_PROBABILITY)
    return (p_t * ratios.log()).mean(dim=1)


def _vectors(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Both as ``[N, D]``, never in half precision."""
    if min(student.ndim, teacher.ndim) < 2 or len(student) != len(teacher):
        raise TrialError(
            f"student {list(student.shape)} and teacher {list(teacher.shape)}: relations are "
            "between the examples of features [N, ...] with one and the same N"
        )
    return full_precision(student).flatten(1), full_precision(teacher).flatten(1)


def _relative_distances(vectors: Tensor) -> Tensor:
    """Distances ``[N, N]`` over the mean of those between different examples."""
    # Through products of vectors, near neighbours far from the origin would lose all their digits.
    distances = torch.cdist(vectors, vectors, compute_mode="donot_use_mm_for_euclid_dist")
    num_pairs = len(vectors) * (len(vectors) - 1)
    mean = distances.sum() / max(num_pairs, 1)
    return distances / mean.masked_fill(mean == 0, torch.inf)


def _angles(vectors: Tensor) -> Tensor:
    """Cosines ``[N, N, N]``: at the first example, of the ways to the second and to the third."""
    ways = directions(vectors[None, :] - vectors[:, None])
    cosines = ways @ ways.mT
    # One up to rounding, which a weight relative to a loss of nothing but that would blow up.
    cosines.diagonal(dim1=1, dim2=2).zero_()
    return cosines


def _affinities(vectors: Tensor) -> Tensor:
    """Cosines of all pairs ``[N, N]`` moved to 0..1, then each row divided by its sum."""
    unit = directions(vectors)
    affinities = (unit @ unit.T + 1) / 2
    return affinities / affinities.sum(dim=1, keepdim=True)
