"""The training loop: a student, its objective, and a report after every epoch."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

import torch
from torch import Tensor, nn

from kdsweep import catalog
from kdsweep.batch import Batch, Outputs
from kdsweep.data.base import Splits
from kdsweep.errors import TrialError
from kdsweep.models.features import FeatureTap
from kdsweep.results.record import EpochMetrics
from kdsweep.spec import TrainSpec, TrialSpec
from kdsweep.train.device import forked_random
from kdsweep.train.evaluate import evaluate
from kdsweep.train.objective import Objective
from kdsweep.train.optimize import optimizer, scheduler, steps_in_epoch
from kdsweep.train.probe import probe
from kdsweep.train.ranks import ALONE, Ranks
from kdsweep.train.teacher import RememberedLogits, Teacher

CALIBRATION_BATCHES = 4


class Verdict(StrEnum):
    """What the listener answers to an epoch's report."""

    CONTINUE = "continue"
    STOP = "stop"


Report = Callable[[EpochMetrics], Verdict]


@dataclass(frozen=True)
class Trained:
    """A student after its last epoch, and how it got there."""

    student: nn.Module
    epochs: tuple[EpochMetrics, ...]
    raw_weights: dict[str, float]
    stopped: bool


class _Step(nn.Module):
    """Student and objective as one module, so that several workers can share its gradients."""

    def __init__(self, student: nn.Module, objective: Objective) -> None:
        super().__init__()
        self.student = student
        self.objective = objective
        self.tap = FeatureTap(student, objective.layers.student)

    def seen(self, batch: Batch) -> Outputs:
        """What the student gives for a batch, with the maps that the objective reads."""
        return Outputs(self.student(batch.images), self.tap.features)

    def forward(self, batch: Batch, teacher: Outputs | None) -> tuple[Tensor, Tensor]:
        """The total of each example ``[N]`` and the sums of ``total`` and of every term."""
        total, terms = self.objective(batch, self.seen(batch), teacher)
        sums = torch.stack([total.detach().sum(), *(term.sum() for term in terms.values())])
        return total, sums


def train(
    trial: TrialSpec,
    report: Report,
    *,
    splits: Splits,
    device: torch.device,
    teacher: Teacher | None = None,
    remembered: RememberedLogits | None = None,
    ranks: Ranks = ALONE,
) -> Trained:
    """Train the trial's student; ``report`` hears of every epoch and may end the training.

    ``remembered`` serves strategies that need no more than the teacher's logits. The same trial
    gives the same numbers on the same machine, whatever ran before in this process.

    Raises:
        SpecError: student and teacher cannot be paired as the strategy asks.
        TrialError: a loss is no longer finite; names the epoch and the term.
    """
    with forked_random(device):
        torch.manual_seed(trial.seed)
        info = splits.info
        student = catalog.model(trial.student, shape=info.shape, num_classes=info.num_classes)
        student.to(device)
        first = _first_batches(splits, trial)
        objective = Objective(
            trial.strategy,
            probe(student, teacher, first[0], info.num_classes),
            label_smoothing=trial.train.label_smoothing,
        ).to(device)
        ask = _teacher_for(objective, teacher, remembered)
        step = _Step(student, objective)
        try:
            if objective.needs_calibration:
                _calibrate(step, first, ask, device)
            return _epochs(trial, report, step, ask, splits, device, ranks)
        finally:
            step.tap.detach()
            if teacher is not None:
                teacher.detach()


Ask = Callable[[Batch], Outputs | None]


def _teacher_for(
    objective: Objective, teacher: Teacher | None, remembered: RememberedLogits | None
) -> Ask:
    """How this objective gets the teacher's side of a batch, as cheaply as it can."""
    if teacher is None or not objective.needs.teacher:
        return lambda batch: None
    if remembered is not None and not objective.needs.features:
        return remembered.outputs
    return lambda batch: teacher.outputs(batch, objective.layers.teacher)


def _first_batches(splits: Splits, trial: TrialSpec) -> list[Batch]:
    batches = splits.train.shuffled(batch_size=trial.train.batch_size, epoch=0, seed=trial.seed)
    first = list(islice(batches, CALIBRATION_BATCHES))
    if not first:
        raise TrialError("the training split holds fewer than two samples")
    return first


def _calibrate(step: _Step, batches: list[Batch], ask: Ask, device: torch.device) -> None:
    """Measure the terms on the first batches; all of the student is left as it was, but its mode.

    In training mode: fresh batch norm in evaluation mode does not normalise, and the losses of a
    deep network would be measured orders of magnitude too large.
    """
    buffers = {name: value.clone() for name, value in step.student.named_buffers()}
    step.student.train()
    with torch.no_grad(), forked_random(device):
        step.objective.calibrate((batch, step.seen(batch), ask(batch)) for batch in batches)
        for name, value in step.student.named_buffers():
            value.copy_(buffers[name])


def _epochs(
    trial: TrialSpec,
    report: Report,
    step: _Step,
    ask: Ask,
    splits: Splits,
    device: torch.device,
    ranks: Ranks,
) -> Trained:
    train, step = trial.train, step.to(device).train()
    adam = optimizer(train, step.parameters())
    num_samples = splits.train.num_samples
    steps_per_epoch = steps_in_epoch(num_samples, train.batch_size, ranks.size)
    rates = scheduler(train, adam, num_steps=steps_per_epoch * train.epochs)
    shared = ranks.share_gradients(step)
    reports: list[EpochMetrics] = []
    go_on = True
    for epoch in range(1, train.epochs + 1):
        started, lr = time.perf_counter(), adam.param_groups[0]["lr"]
        batches = splits.train.shuffled(
            batch_size=train.batch_size,
            epoch=epoch,
            seed=trial.seed,
            rank=ranks.rank,
            num_ranks=ranks.size,
        )
        sums = _one_epoch(batches, shared, ask, adam, rates, train, ranks, num_samples=num_samples)
        means = _means(sums, step.objective, epoch)
        accuracy = loss = math.nan
        if ranks.is_first:
            accuracy, loss = evaluate(step.student, splits.validation)
        # Told to all, so that none is left waiting for one that gave up.
        loss = ranks.told_by_first(loss, device)
        if not math.isfinite(loss):
            raise TrialError(f"epoch {epoch}: the validation loss is {loss}")
        if ranks.is_first:
            seconds = time.perf_counter() - started
            reports.append(
                EpochMetrics(
                    epoch=epoch, accuracy=accuracy, loss=loss, train=means, lr=lr, seconds=seconds
                )
            )
            go_on = report(reports[-1]) is Verdict.CONTINUE
        go_on = ranks.agree(go_on, device)
        if not go_on:
            break
    step.student.eval()
    # Told to stop after the last epoch, the student is trained all the same.
    stopped = not go_on and epoch < train.epochs
    return Trained(step.student, tuple(reports), step.objective.raw_weights(), stopped)


def _one_epoch(
    batches: Iterator[Batch],
    step: nn.Module,
    ask: Ask,
    adam: torch.optim.Optimizer,
    rates: torch.optim.lr_scheduler.LRScheduler,
    train: TrainSpec,
    ranks: Ranks,
    *,
    num_samples: int,
) -> Tensor:
    """Sums over the epoch's examples of ``[total, *terms, 1]``, float64, read by nobody yet."""
    parameters = [p for group in adam.param_groups for p in group["params"]]
    epoch_sums: Tensor | None = None
    for i, batch in enumerate(batches):
        total, sums = step(batch, ask(batch))
        adam.zero_grad(set_to_none=True)
        # Workers average their gradients: each weighs its share by the size of the whole batch, so
        # that an uneven last batch gives the gradient that one worker would have had.
        whole = min(train.batch_size, num_samples - i * train.batch_size)
        (total.sum() * (ranks.size / whole)).backward()
        if train.clip_norm is not None:
            nn.utils.clip_grad_norm_(parameters, train.clip_norm)
        adam.step()
        rates.step()
        seen = torch.cat((sums.double(), sums.new_full((1,), len(batch), dtype=torch.float64)))
        epoch_sums = seen if epoch_sums is None else epoch_sums + seen
    if epoch_sums is None:
        raise TrialError(f"{num_samples} training samples are too few for {ranks.size} workers")
    return ranks.sum(epoch_sums)


def _means(sums: Tensor, objective: Objective, epoch: int) -> dict[str, float]:
    """Mean of ``total`` and of every term over the epoch's examples: the epoch's one read.

    Raises:
        TrialError: one of them is not finite.
    """
    *totals, count = sums.tolist()
    names = ("total", *objective.raw_weights())
    means = {name: value / count for name, value in zip(names, totals, strict=True)}
    wrong = [name for name, value in means.items() if not math.isfinite(value)]
    if wrong:
        # The total follows from its terms: the term is what a person can act on.
        named = [name for name in wrong if name != "total"] or wrong
        raise TrialError(
            f"epoch {epoch}: the training loss is not finite (term {', '.join(named)}: "
            f"{means[named[0]]}); a smaller learning rate or train.clip_norm may help"
        )
    return means
