"""Losses on logits ``[N, C]``: one value per example, in nats, never in half precision."""

from torch import Tensor
from torch.nn import functional as F

from kdsweep.errors import TrialError
from kdsweep.losses.precision import check_same_shape, full_precision


def kl_divergence(student: Tensor, teacher: Tensor) -> Tensor:
    """``KL(teacher || student)`` of logits ``[N, C]``, in nats ``[N]``; zero where they agree.

    Summed over the classes. (``nn.KLDivLoss()`` by default also divides by ``C``.)

    Raises:
        TrialError: the two shapes differ.
    """
    check_same_shape(student=student, teacher=teacher)
    log_p = F.log_softmax(full_precision(teacher), dim=-1)
    log_q = F.log_softmax(full_precision(student), dim=-1)
    return (log_p.exp() * (log_p - log_q)).sum(dim=-1)


def soft_targets(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """``T^2 KL(p_t^T || p_s^T)`` with ``p^T = softmax(z / T)``, of logits ``[N, C]``, ``[N]``.

    The gradient of the divergence falls as ``1 / T^2``; the factor keeps its size, and with it the
    meaning of alpha, at every temperature (arXiv:1503.02531, section 2).

    Raises:
        TrialError: the two shapes differ.
    """
    softened = kl_divergence(
        full_precision(student) / temperature, full_precision(teacher) / temperature
    )
    return temperature**2 * softened


def hard_labels(logits: Tensor, labels: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Cross-entropy ``[N]`` of logits ``[N, C]`` with labels ``[N]``, in nats.

    ``label_smoothing`` moves that share of the target evenly onto all ``C`` classes
    (arXiv:1512.00567).

    Raises:
        TrialError: there is not one label for each row of logits.
    """
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise TrialError(
            f"logits {list(logits.shape)} and labels {list(labels.shape)}: "
            "cross-entropy takes logits [N, C] and labels [N]"
        )
    return F.cross_entropy(
        full_precision(logits), labels, reduction="none", label_smoothing=label_smoothing
    )
