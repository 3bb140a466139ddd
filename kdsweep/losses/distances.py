"""Other distances between logits ``[N, C]`` or ``[N, C, H, W]`` than the divergence of the teacher.

Each is one value per example ``[N]``: a sum over the classes (of squares a mean), and of dense
logits the mean over the positions. What is softened goes through ``logits.at_temperature``.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from kdsweep.losses.logits import kl_divergence, over_positions
from kdsweep.losses.precision import check_same_shape, full_precision


def soft_cross_entropy(student: Tensor, teacher: Tensor) -> Tensor:
    """``-sum_c p_t log p_s``: the divergence and the teacher's entropy, in nats ``[N]``.

    Its gradient is that of the divergence; its least value is the teacher's entropy, not zero.

    Raises:
        TrialError: the two shapes differ.
    """
    check_same_shape(student=student, teacher=teacher)
    p = F.softmax(full_precision(teacher), dim=1)
    log_q = F.log_softmax(full_precision(student), dim=1)
    return over_positions(-(p * log_q).sum(dim=1))


def reverse_kl_divergence(student: Tensor, teacher: Tensor) -> Tensor:
    """``KL(student || teacher)``, in nats ``[N]``: it seeks a mode of the teacher's (2306.08543).

    Raises:
        TrialError: the two shapes differ.
    """
    # Compared here: the error of the reversed call would name the student the teacher.
    check_same_shape(student=student, teacher=teacher)
    return kl_divergence(student=teacher, teacher=student)


def jensen_shannon(student: Tensor, teacher: Tensor) -> Tensor:
    """``(KL(p || m) + KL(q || m)) / 2`` with ``m = (p + q) / 2``: symmetric, at most ``ln 2``.

    Near agreement it is a quarter of the divergence.

    Raises:
        TrialError: the two shapes differ.
    """
    check_same_shape(student=student, teacher=teacher)
    log_p = F.log_softmax(full_precision(teacher), dim=1)
    log_q = F.log_softmax(full_precision(student), dim=1)
    log_m = torch.logaddexp(log_p, log_q) - math.log(2)
    both = log_p.exp() * (log_p - log_m) + log_q.exp() * (log_q - log_m)
    return over_positions(both.sum(dim=1)) / 2


def logit_mse(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean over the classes of ``(z_s - z_t)^2``, ``[N]`` (arXiv:1312.6184, 2105.08919).

    Twice what ``T^2 KL`` tends to at high temperatures, for logits of one mean over the classes.

    Raises:
        TrialError: the two shapes differ.
    """
    check_same_shape(student=student, teacher=teacher)
    difference = full_precision(student) - full_precision(teacher)
    return over_positions(difference.square().mean(dim=1))
