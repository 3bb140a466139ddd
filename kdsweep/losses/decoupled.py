"""The divergence in two: the target class against the rest, and the rest among themselves.

``KL = TCKD + (1 - p_y) NCKD`` (arXiv:2203.08679). Both are differences of log-sum-exps, never
logarithms of sums of probabilities: those are infinite where a network is certain.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from kdsweep.batch import UNLABELLED
from kdsweep.losses.logits import check_labels, over_positions
from kdsweep.losses.precision import check_same_shape, full_precision


def target_divergence(student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
    """TCKD: ``KL`` of (target, all the rest) as two classes, in nats ``[N]``.

    Logits are ``[N, C, ...]``, labels ``[N, ...]``; the target of an example that is ``UNLABELLED``
    is the teacher's most likely class.

    Raises:
        TrialError: the shapes differ, or there is not one label for each example.
    """
    target = _target(student, teacher, labels)
    ours, theirs = _log_odds(student, target), _log_odds(teacher, target)
    of_target = theirs.sigmoid() * (F.logsigmoid(theirs) - F.logsigmoid(ours))
    of_rest = (-theirs).sigmoid() * (F.logsigmoid(-theirs) - F.logsigmoid(-ours))
    return over_positions((of_target + of_rest).squeeze(1))


def non_target_divergence(student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
    """NCKD: ``KL`` of the softmax over all classes but the target, in nats ``[N]``.

    Arguments and errors as of ``target_divergence``. Of two classes it is zero.
    """
    target = _target(student, teacher, labels)
    log_p, log_q = (_log_softmax_of_rest(each, target) for each in (teacher, student))
    return over_positions((log_p.exp() * (log_p - log_q)).sum(dim=1))


def _target(student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
    """``[N, C, ...]``, true at each example's target class."""
    check_same_shape(student=student, teacher=teacher)
    check_labels(student, labels)
    classes = torch.where(labels == UNLABELLED, teacher.argmax(dim=1), labels)
    target = torch.zeros(student.shape, dtype=torch.bool, device=student.device)
    return target.scatter(1, classes.unsqueeze(1), True)


def _log_odds(logits: Tensor, target: Tensor) -> Tensor:
    """``log p_y / (1 - p_y)``, ``[N, 1, ...]``."""
    logits = full_precision(logits)
    of_target = logits.masked_fill(~target, 0.0).sum(dim=1, keepdim=True)
    # The target's logit is taken off before the sum: where the odds are even nothing is lost.
    rest = (logits - of_target).masked_fill(target, -torch.inf)
    return -rest.logsumexp(dim=1, keepdim=True)


def _log_softmax_of_rest(logits: Tensor, target: Tensor) -> Tensor:
    """Log probabilities over the classes but the target, where it is zero for both networks."""
    rest = full_precision(logits).masked_fill(target, -torch.inf)
    return F.log_softmax(rest, dim=1).masked_fill(target, 0.0)
