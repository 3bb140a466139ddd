"""Losses on logits ``[N, C]`` or dense ``[N, C, H, W]``: one value per example, in nats.

Classes are dimension 1; a loss of dense logits is the mean over the positions ``H W``. Nothing is
computed in half precision.
"""

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional as F

from kdsweep.batch import UNLABELLED
from kdsweep.errors import TrialError
from kdsweep.losses.precision import check_same_shape, full_precision


def over_positions(losses: Tensor) -> Tensor:
    """The mean over all but the first dimension: ``[N, ...]`` -> ``[N]``; ``[N]`` stays."""
    return losses.flatten(1).mean(dim=1) if losses.ndim > 1 else losses


def kl_divergence(student: Tensor, teacher: Tensor) -> Tensor:
    """``KL(teacher || student)`` of logits ``[N, C, ...]``, in nats ``[N]``; zero where they agree.

    Summed over the classes. (``nn.KLDivLoss()`` by default also divides by ``C``.)

    Raises:
        TrialError: the two shapes differ.
    """
    check_same_shape(student=student, teacher=teacher)
    log_p = F.log_softmax(full_precision(teacher), dim=1)
    log_q = F.log_softmax(full_precision(student), dim=1)
    return over_positions((log_p.exp() * (log_p - log_q)).sum(dim=1))


def at_temperature(
    distance: Callable[[Tensor, Tensor], Tensor],
    student: Tensor,
    teacher: Tensor,
    temperature: float,
) -> Tensor:
    """``T^2 distance(z_s / T, z_t / T)`` of logits ``[N, C, ...]``, ``[N]``.

    The gradient of a distance between softened probabilities falls as ``1 / T^2``; the factor keeps
    its size, and with it the meaning of a weight, at every temperature (arXiv:1503.02531,
    section 2).
    """
    softened = distance(
        full_precision(student) / temperature, full_precision(teacher) / temperature
    )
    return temperature**2 * softened


def soft_targets(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """``T^2 KL(p_t^T || p_s^T)`` with ``p^T = softmax(z / T)``, of logits ``[N, C, ...]``, ``[N]``.

    Raises:
        TrialError: the two shapes differ.
    """
    return at_temperature(kl_divergence, student, teacher, temperature)


def hard_labels(logits: Tensor, labels: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Cross-entropy ``[N]`` of logits ``[N, C, ...]`` with labels ``[N, ...]``, in nats.

    Zero where the label is ``UNLABELLED``; of dense logits the mean over the positions that have
    labels. ``label_smoothing`` moves that share of the target evenly onto all ``C`` classes
    (arXiv:1512.00567).

    Raises:
        TrialError: there is not one label for each example, or for each position.
    """
    check_labels(logits, labels)
    losses = F.cross_entropy(
        full_precision(logits),
        labels,
        reduction="none",
        ignore_index=UNLABELLED,
        label_smoothing=label_smoothing,
    )
    if losses.ndim == 1:
        return losses
    num_labels = (labels != UNLABELLED).flatten(1).sum(dim=1)
    return losses.flatten(1).sum(dim=1) / num_labels.clamp(min=1)


def check_labels(logits: Tensor, labels: Tensor) -> None:
    """Refuse labels that are not one for each example, or for each position of dense logits.

    Raises:
        TrialError: they are not; names both shapes.
    """
    if logits.ndim < 2 or labels.shape != logits.shape[:1] + logits.shape[2:]:
        raise TrialError(
            f"logits {list(logits.shape)} and labels {list(labels.shape)}: "
            "cross-entropy takes logits [N, C] and labels [N], or [N, C, H, W] and [N, H, W]"
        )
