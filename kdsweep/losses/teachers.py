"""Several teachers as one: how much each is believed, and the mean of what they say.

Teachers' logits are stacked, ``[K, N, C, ...]``; weights are ``[K, N, ...]``, of sum one over the
teachers, each for one example (or one position of dense logits).
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from kdsweep.batch import UNLABELLED
from kdsweep.losses.logits import check_labels
from kdsweep.losses.precision import full_precision


def equal_weights(teachers: Tensor) -> Tensor:
    """``1 / K`` for each teacher, ``[K, N, ...]``."""
    shape = teachers.shape[:2] + teachers.shape[3:]
    return full_precision(teachers).new_full(shape, 1 / len(teachers))


def entropy_weights(teachers: Tensor) -> Tensor:
    """``(1 - H_k / sum_j H_j) / (K - 1)``: more for a teacher that is surer, ``[K, N, ...]``.

    ``H`` is the entropy of the teacher's probabilities. Where none of them doubts, and for one
    teacher, the weights are equal. (Published code of this scheme leaves the weights with a sum of
    ``(K - 1) / K``, and is not a number where a probability underflows.)
    """
    if len(teachers) == 1:
        return equal_weights(teachers)
    log_p = F.log_softmax(full_precision(teachers), dim=2)
    entropies = -(log_p.exp() * log_p).sum(dim=2)
    total = entropies.sum(dim=0)
    shares = entropies / total.where(total > 0, 1.0)
    weights = (1 - shares) / (len(teachers) - 1)
    return weights.where(total > 0, 1 / len(teachers))


def confidence_weights(teachers: Tensor, labels: Tensor) -> Tensor:
    """``(1 - softmax_k CE_k) / (K - 1)``: more for a teacher that is right, ``[K, N, ...]``.

    ``CE_k`` is the teacher's cross-entropy with the labels ``[N, ...]``; an example that is
    ``UNLABELLED`` weights all alike, as does a single teacher. Source: arXiv:2201.00007.

    Raises:
        TrialError: there is not one label for each example.
    """
    check_labels(teachers[0], labels)
    if len(teachers) == 1:
        return equal_weights(teachers)
    log_p = F.log_softmax(full_precision(teachers), dim=2)
    known = labels != UNLABELLED
    classes = labels.where(known, 0).unsqueeze(0).unsqueeze(2)
    classes = classes.expand(len(teachers), -1, -1, *labels.shape[1:])
    losses = -log_p.gather(2, classes).squeeze(2)
    weights = (1 - losses.softmax(dim=0)) / (len(teachers) - 1)
    return weights.where(known, 1 / len(teachers))


def combined(teachers: Tensor, weights: Tensor, temperature: float) -> Tensor:
    """Logits ``[N, C, ...]`` whose softening at ``temperature`` is the teachers' weighted mean.

    ``T log sum_k w_k softmax(z_k / T)``: the mean is of probabilities, not of logits. One teacher
    stays as it is.
    """
    teachers = full_precision(teachers)
    if len(teachers) == 1:
        return teachers[0]
    log_p = F.log_softmax(teachers / temperature, dim=2)
    return temperature * torch.logsumexp(log_p + weights.log().unsqueeze(2), dim=0)
