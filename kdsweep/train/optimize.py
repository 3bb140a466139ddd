"""Optimizers and learning-rate schedules from their settings."""

import math
from collections.abc import Callable, Iterable

import torch
from torch import nn

from kdsweep.spec import TrainSpec
from kdsweep.spec.trial import Adam, AdamW, Constant, Cosine, Schedule, Sgd


def optimizer(train: TrainSpec, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """The optimizer of the settings over ``parameters``.

    The fused kernels update all tensors in one call: with students of a few thousand parameters
    the loop over tensors is a large part of a step.
    """
    chosen, trained = train.optimizer, [p for p in parameters if p.requires_grad]
    decay, fused = chosen.weight_decay, all(p.is_floating_point() for p in trained)
    if isinstance(chosen, Sgd):
        return torch.optim.SGD(
            trained, lr=train.lr, momentum=chosen.momentum, nesterov=chosen.nesterov,
            weight_decay=decay, fused=fused,
        )
    betas = (chosen.beta1, chosen.beta2)
    if isinstance(chosen, Adam):
        return torch.optim.Adam(trained, lr=train.lr, betas=betas, weight_decay=decay, fused=fused)
    assert isinstance(chosen, AdamW)
    return torch.optim.AdamW(trained, lr=train.lr, betas=betas, weight_decay=decay, fused=fused)


def factor(schedule: Schedule) -> Callable[[float], float]:
    """The learning rate's factor as a function of the share of training done, 0..1."""

    def at(progress: float) -> float:
        if progress < schedule.warmup:
            return progress / schedule.warmup
        if isinstance(schedule, Constant):
            return 1.0
        if isinstance(schedule, Cosine):
            done = (progress - schedule.warmup) / (1 - schedule.warmup)
            return 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
        return float(schedule.factor ** sum(progress >= m for m in schedule.milestones))

    return at


def scheduler(
    train: TrainSpec, optimizer: torch.optim.Optimizer, *, num_steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    """Sets the learning rate of every step of a training of ``num_steps`` steps.

    With warm-up the first step already moves: step ``i`` has the factor of its end.
    """
    curve, warm = factor(train.schedule), train.schedule.warmup > 0

    def at_step(step: int) -> float:
        return curve(min((step + (1 if warm else 0)) / num_steps, 1.0))

    return torch.optim.lr_scheduler.LambdaLR(optimizer, at_step)
