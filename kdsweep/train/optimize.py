"""Optimizers and learning-rate schedules from their settings."""

import inspect
import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from kdsweep.models.eager import spare_compiler
from kdsweep.spec import TrainSpec
from kdsweep.spec.trial import Adam, Constant, PerRung, Schedule, Sgd, Steps

_OPTIMIZER = torch.optim.Optimizer
spare_compiler(
    _OPTIMIZER.add_param_group,
    _OPTIMIZER.zero_grad,
    _OPTIMIZER.state_dict,
    _OPTIMIZER.load_state_dict,
)


def _eager(kind: type[torch.optim.Optimizer]) -> type[Any]:
    """``kind`` with a step that does not import torch's compiler to step outside of it.

    Its ``step`` is torch's own, without the wrapper that calls the compiler before and after.
    """
    return type(kind.__name__, (kind,), {"step": torch.no_grad()(inspect.unwrap(kind.step))})


_SGD, _ADAM, _ADAMW = map(_eager, (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW))


def optimizer(train: TrainSpec, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """The optimizer of the settings over those of ``parameters`` that are trained.

    The fused kernels update all tensors in one call: with students of a few thousand parameters
    the loop over tensors is a large part of a step.
    """
    chosen, trained = train.optimizer, [p for p in parameters if p.requires_grad]
    shared = {"lr": train.lr, "weight_decay": chosen.weight_decay, "fused": True}
    made: torch.optim.Optimizer
    if isinstance(chosen, Sgd):
        made = _SGD(trained, momentum=chosen.momentum, nesterov=chosen.nesterov, **shared)
    else:
        kind = _ADAM if isinstance(chosen, Adam) else _ADAMW
        made = kind(trained, betas=(chosen.beta1, chosen.beta2), **shared)
    return made


def factor(schedule: Schedule, epochs: int) -> Callable[[float], float]:
    """The learning rate's factor as a function of the share of ``epochs`` done, 0..1."""
    starts = [schedule.warmup]
    if isinstance(schedule, PerRung):
        ends = [end / epochs for end in schedule.end_epochs(epochs)]
        starts += [end for end in ends if end > schedule.warmup]
    stops = [*starts[1:], 1.0]

    def at(progress: float) -> float:
        if progress < schedule.warmup:
            return progress / schedule.warmup
        if isinstance(schedule, Constant):
            return 1.0
        if isinstance(schedule, Steps):
            return float(schedule.factor ** sum(progress >= m for m in schedule.milestones))
        # The end of one curve is the beginning of the next, but for the last.
        now = min(bisect_right(starts, progress) - 1, len(starts) - 1)
        done = (progress - starts[now]) / (stops[now] - starts[now])
        return 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))

    return at


class Optimizers:
    """One optimizer for the student and what adapts it, and one for each further learner.

    Each learner's gradient is clipped by itself: none takes the other's share of ``clip_norm``.
    """

    def __init__(
        self,
        train: TrainSpec,
        step: nn.Module,
        learners: Sequence[tuple[nn.Module, float | None]],
        *,
        num_steps: int,
    ) -> None:
        """Take the modules that learn apart, each with its learning rate or ``None`` for ours."""
        apart = {id(p) for module, _ in learners for p in module.parameters()}
        groups = [(train, [p for p in step.parameters() if id(p) not in apart])]
        for module, lr in learners:
            own = train if lr is None else train.model_copy(update={"lr": lr})
            groups.append((own, list(module.parameters())))
        self._clip_norm = train.clip_norm
        self._optimizers = [optimizer(own, parameters) for own, parameters in groups]
        self._rates = [
            scheduler(own, each, num_steps=num_steps)
            for (own, _), each in zip(groups, self._optimizers, strict=True)
        ]

        self._parameters = [
            parameter
            for each in self._optimizers
            for group in each.param_groups
            for parameter in group["params"]
        ]

    @property
    def lr(self) -> float:
        """The student's learning rate at the next step."""
        return float(self._optimizers[0].param_groups[0]["lr"])

    def state(self) -> list[list[dict[str, Any]]]:
        """What the next step depends on: of each optimizer its own state and its schedule's."""
        pairs = zip(self._optimizers, self._rates, strict=True)
        return [[each.state_dict(), rate.state_dict()] for each, rate in pairs]

    def load(self, state: Sequence[Sequence[dict[str, Any]]]) -> None:
        """Go on from what ``state`` gave."""
        for each, rate, (own, of_rate) in zip(self._optimizers, self._rates, state, strict=True):
            each.load_state_dict(own)
            _lay_as_parameters(each)
            rate.load_state_dict(of_rate)

    def step(self, loss: Tensor) -> None:
        """One step of every optimizer down the gradient of ``loss``."""
        # `zero_grad` opens a section for the profiler: of a small step a part that can be seen.
        for parameter in self._parameters:
            parameter.grad = None
        loss.backward()  # type: ignore[no-untyped-call]
        for each, rate in zip(self._optimizers, self._rates, strict=True):
            if self._clip_norm is not None:
                parameters = [p for group in each.param_groups for p in group["params"]]
                nn.utils.clip_grad_norm_(parameters, self._clip_norm)
            each.step()
            rate.step()


def _lay_as_parameters(optimizer: torch.optim.Optimizer) -> None:
    """Averages in the memory format of their parameters: fused kernels go by the memory alone."""
    for parameter, own in optimizer.state.items():
        for name, value in own.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                own[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def steps_in_epoch(num_samples: int, batch_size: int, num_ranks: int = 1) -> int:
    """Batches in an epoch; a short last one is left out if it gives a rank fewer than two samples.

    See ``Split.shuffled``.
    """
    full, rest = divmod(num_samples, batch_size)
    return max(1, full + (rest >= 2 * num_ranks))


def scheduler(
    train: TrainSpec, optimizer: torch.optim.Optimizer, *, num_steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    """Sets the learning rate of every step of a training of ``num_steps`` steps.

    With warm-up the first step already moves: step ``i`` has the factor of its end.
    """
    curve, warm = factor(train.schedule, train.epochs), train.schedule.warmup > 0

    def at_step(step: int) -> float:
        return curve(min((step + (1 if warm else 0)) / num_steps, 1.0))

    return torch.optim.lr_scheduler.LambdaLR(optimizer, at_step)
