"""What a generator of images is trained by, where there are no data: one value per example.

All of them read what a frozen teacher gives for the images; none needs a label.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from kdsweep.errors import TrialError
from kdsweep.losses.logits import over_positions
from kdsweep.losses.precision import check_same_shape, full_precision


def one_hot(logits: Tensor) -> Tensor:
    """Cross-entropy ``[N]`` of logits ``[N, C, ...]`` with their own largest class, in nats.

    ``-log max_c p_c``: zero where the teacher is certain, ``log C`` where it has no idea
    (arXiv:1904.01186).
    """
    logits = full_precision(logits)
    return over_positions(torch.logsumexp(logits, dim=1) - logits.amax(dim=1))


def class_balance(logits: Tensor) -> Tensor:
    """``log C - H(mean p)`` of logits ``[N, C, ...]``, in nats: the batch's value, ``[N]`` times.

    Zero where the classes come equally often, ``log C`` where all of the batch is surely of one;
    the mean is over all examples and positions. The entropy ``H`` is what arXiv:1904.01186
    maximises; this is how far it is from its most.

    Raises:
        TrialError: the logits have no classes.
    """
    if logits.ndim < 2:
        raise TrialError(
            f"logits {list(logits.shape)}: the balance of classes is of logits [N, C, ...]"
        )
    each = full_precision(logits).movedim(1, -1).flatten(0, -2)
    num, num_classes = each.shape
    # In logarithms: a class that no example shows has a mean of zero, and zero log zero no value.
    log_mean = torch.logsumexp(F.log_softmax(each, dim=-1), dim=0) - math.log(num)
    entropy = -(log_mean.exp() * log_mean).sum()
    return (math.log(num_classes) - entropy).expand(len(logits))


def activation(features: Tensor) -> Tensor:
    """``-mean |f|`` of features ``[N, ...]``, per example ``[N]``: the larger, the lower.

    What a network was trained on excites it more than noise does (arXiv:1904.01186 prints the
    1-norm; the mean does not grow with the width of the teacher).
    """
    return -full_precision(features).abs().flatten(1).mean(dim=1)


def norm_statistics(features: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """``|mean(f) - mean|_2 + |var(f) - variance|_2``: the batch's value, ``[N]`` times.

    ``features`` ``[N, D]`` or ``[N, D, H, W]`` are what a batch norm takes, ``mean`` and
    ``variance`` ``[D]`` the running statistics that it kept of its training data
    (arXiv:1912.08795). The variance is that of the batch itself (divided by the
    count), so that one of a single value is zero.

    Raises:
        TrialError: the statistics are not those of ``D`` channels.
    """
    if features.ndim < 2 or not mean.shape == variance.shape == features.shape[1:2]:
        raise TrialError(
            f"features {list(features.shape)} with statistics {list(mean.shape)} and "
            f"{list(variance.shape)}: a batch norm of features [N, D, ...] keeps [D] of each"
        )
    values = full_precision(features).transpose(0, 1).flatten(1)
    found = torch.var_mean(values, dim=1, correction=0)
    apart: Tensor = sum(
        torch.linalg.vector_norm(ours - full_precision(theirs))
        for ours, theirs in zip(found, (variance, mean), strict=True)
    )
    return apart.expand(features.shape[0])


def disagreement(student: Tensor, teacher: Tensor) -> Tensor:
    """``mean_c |z_s - z_t|`` of logits ``[N, C]``, per example ``[N]`` (arXiv:1912.11006).

    Its gradient does not vanish where the two nearly agree, as that of a divergence does.

    Raises:
        TrialError: the two shapes differ.
    """
    check_same_shape(student=student, teacher=teacher)
    return (full_precision(student) - full_precision(teacher)).abs().flatten(1).mean(dim=1)
