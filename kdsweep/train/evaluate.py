"""Validation: accuracy and cross-entropy of a network on one split."""

import torch
from torch import nn
from torch.nn import functional as F

from kdsweep.data.base import Split
from kdsweep.models.modes import evaluating

EVALUATION_BATCH = 1024


def chance(split: Split) -> float:
    """The share (0..1) of the most frequent class: the accuracy of whoever always says that one."""
    return int(split.labels.cpu().bincount().max()) / split.num_samples


def evaluate(network: nn.Module, split: Split) -> tuple[float, float]:
    """``(accuracy 0..1, cross-entropy in nats)`` on the plain samples of ``split``.

    Sums stay on the device and are read once. Every module's mode is put back.
    """
    sums: torch.Tensor | None = None
    with evaluating(network), torch.inference_mode():
        for batch in split.in_order(batch_size=EVALUATION_BATCH):
            logits = network(batch.seen_by(network)).float()
            correct = (logits.argmax(dim=1) == batch.labels).sum()
            loss = F.cross_entropy(logits, batch.labels, reduction="sum")
            seen = torch.stack((correct.double(), loss.double()))
            sums = seen if sums is None else sums + seen
    if sums is None:
        raise ValueError("an empty split cannot be evaluated")
    accuracy, loss_sum = (sums / split.num_samples).tolist()
    return accuracy, loss_sum


def tested(network: nn.Module, test: Split) -> dict[str, float]:
    """``test_accuracy`` and ``test_loss`` of a network that is done: of it nothing is chosen by."""
    accuracy, loss = evaluate(network, test)
    return {"test_accuracy": accuracy, "test_loss": loss}
