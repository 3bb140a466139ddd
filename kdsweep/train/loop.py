"""The training loop: a student, its objective, and a report after every epoch."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

import torch
from torch import Tensor, nn

from kdsweep import catalog
from kdsweep.batch import Batch
from kdsweep.data.base import Split, Splits
from kdsweep.errors import TrialError
from kdsweep.probing import blank_batch
from kdsweep.results.record import EpochMetrics
from kdsweep.spec import TrialSpec
from kdsweep.spec.trial import MAIN_TEACHER
from kdsweep.strategies.base import EpochEnd, Strategy
from kdsweep.train.batches import (
    CALIBRATION_BATCHES,
    Batches,
    OwnBatches,
    TrainingData,
    first_batches,
)
from kdsweep.train.checkpoint import Checkpoints
from kdsweep.train.device import forked_random
from kdsweep.train.evaluate import chance, evaluate
from kdsweep.train.going_on import Keeper, identity_of
from kdsweep.train.labels import labelled
from kdsweep.train.needs import needs_of
from kdsweep.train.objective import Objective
from kdsweep.train.optimize import Optimizers
from kdsweep.train.output_store import OutputStore
from kdsweep.train.probe import probe
from kdsweep.train.ranks import ALONE, Ranks
from kdsweep.train.reading import with_readings
from kdsweep.train.running import chosen
from kdsweep.train.step import Step
from kdsweep.train.teacher import Source, Teacher

_FAR = 1_000_003
"""Seeds of workers lie this far apart: replicates of a trial have seeds that follow each other."""


class Verdict(StrEnum):
    """What the listener answers to an epoch's report.

    ``STOP`` cuts a training short that may go on another time, ``PRUNE`` ends it for good.
    """

    CONTINUE = "continue"
    STOP = "stop"
    PRUNE = "prune"


Report = Callable[[EpochMetrics], Verdict]


@dataclass(frozen=True)
class Trained:
    """A student after its last epoch, and how it got there."""

    student: nn.Module
    epochs: tuple[EpochMetrics, ...]
    raw_weights: dict[str, float]
    stopped: bool
    computed: str = ""
    """In which precision and so on, and whether its teachers are stored or live, in words."""


def train(
    trial: TrialSpec,
    report: Report,
    *,
    splits: Splits,
    device: torch.device,
    teacher: Teacher | None = None,
    stored: OutputStore | None = None,
    others: Mapping[str, Source] | None = None,
    ranks: Ranks = ALONE,
    checkpoints: Checkpoints | None = None,
) -> Trained:
    """Train the trial's student; ``report`` hears of every epoch and may end the training.

    ``stored`` is where the teacher's outputs are kept, for strategies that can live on them;
    ``others`` are the further teachers that the strategy reads. The same trial gives the same
    numbers on the same machine, whatever ran before, and also where it goes on from one of
    ``checkpoints``: of the epochs before that ``report`` does not hear again.

    Raises:
        SpecError: student and teacher cannot be paired as the strategy asks.
        TrialError: a loss is no longer finite, or the strategy finds that training has failed;
            names the epoch and the term.
    """
    main = {} if teacher is None else {MAIN_TEACHER: Source(teacher, stored)}
    sources = {**main, **(others or {})}
    with forked_random(device):
        torch.manual_seed(trial.seed)
        try:
            step, first = _built(trial, splits, device, sources, ranks)
            with step.tap:
                if step.objective.needs_calibration:
                    with forked_random(device):
                        step.calibrate(first or [trial.train.batch_size] * CALIBRATION_BATCHES)
                if ranks.rank:
                    # Drawn alike so far; what is drawn in training must differ between workers.
                    torch.manual_seed(trial.seed + ranks.rank * _FAR)
                identity = identity_of(trial, splits.fingerprint, sources, ranks)
                return _epochs(trial, report, step, splits, device, ranks, checkpoints, identity)
        finally:
            for source in sources.values():
                source.teacher.detach()


def _built(
    trial: TrialSpec,
    splits: Splits,
    device: torch.device,
    sources: Mapping[str, Source],
    ranks: Ranks,
) -> tuple[Step, list[Batch]]:
    """Student and objective before their first step, and training data to calibrate with."""
    info, own = splits.info, needs_of(trial.strategy)
    student = catalog.model_for(trial.student, info).to(device)
    known, num_samples, scale = None, 0, 1.0
    first: list[Batch] = []
    if own.data:
        first, num_samples = first_batches(splits, trial), splits.train.num_samples
        known = labelled(trial, splits.train, device)
        scale = 1.0 if known is None else num_samples / int(known.sum())
    shown = first[0] if first else blank_batch(info, device, trial.train.batch_size)
    running = chosen(trial.train, student, shown, ranks)
    seen = probe(trial, student, sources, shown, info, num_samples=num_samples)
    objective = Objective(
        trial.strategy, seen, label_smoothing=trial.train.label_smoothing, hard_scale=scale
    ).to(device)
    main = sources.get(MAIN_TEACHER)
    objective.begin(student, None if main is None else main.teacher.network)
    if own.data:
        strategies = [cast(Strategy, each) for each in objective.strategies]
        sources = with_readings(sources, trial, splits, strategies, seen)
    return Step(student, objective, sources, ranks, running=running, labelled=known), first


def _epochs(
    trial: TrialSpec,
    report: Report,
    step: Step,
    splits: Splits,
    device: torch.device,
    ranks: Ranks,
    checkpoints: Checkpoints | None,
    identity: str,
) -> Trained:
    train, step = trial.train, step.to(device).train()
    batches: Batches = (
        TrainingData(trial, splits, ranks)
        if step.objective.needs.data
        else OwnBatches(trial, step.objective.main.batches_per_epoch, ranks)
    )
    optimizers = Optimizers(
        train,
        step,
        [(learner.module, learner.lr) for learner in step.objective.learners()],
        num_steps=batches.steps * train.epochs,
    )
    shared = ranks.share_gradients(step, step.kept_equal)
    by_chance = chance(splits.validation)
    keeper = Keeper(checkpoints, identity, step, optimizers, ranks, device)
    reports, verdict, go_on = keeper.resumed(), Verdict.CONTINUE, True
    for epoch in range(len(reports) + 1, train.epochs + 1):
        started, lr = time.perf_counter(), optimizers.lr
        sums = _one_epoch(batches, epoch, shared, optimizers, ranks)
        means = _means(sums, step.objective, epoch)
        # What a student has learned from says nothing of it.
        accuracy, loss = (
            (math.nan, math.nan)
            if trial.with_validation
            else _evaluated(step.student, splits.validation, epoch, ranks, device)
        )
        end = EpochEnd(
            epoch=epoch,
            is_last=epoch == train.epochs,
            means=means,
            accuracy=accuracy,
            chance=by_chance,
            num_validated=splits.validation.num_samples,
        )
        step.objective.check(end)
        if ranks.is_first:
            seconds = time.perf_counter() - started
            reports.append(
                EpochMetrics(
                    epoch=epoch, accuracy=accuracy, loss=loss, train=means, lr=lr, seconds=seconds
                )
            )
            verdict = report(reports[-1])
        go_on = ranks.agree(verdict is Verdict.CONTINUE, device)
        if epoch < train.epochs:
            keeper.keep(reports, cut_short=verdict is Verdict.STOP)
        if not go_on:
            break
    step.student.eval()
    step.end()
    # Told to stop after the last epoch, the student is trained all the same.
    stopped = not go_on and epoch < train.epochs
    weights, computed = step.objective.raw_weights(), step.computed
    return Trained(step.student, tuple(reports), weights, stopped, computed)


def _evaluated(
    student: nn.Module, validation: Split, epoch: int, ranks: Ranks, device: torch.device
) -> tuple[float, float]:
    """Accuracy and loss, told to all workers: none is left waiting for one that gives up.

    Raises:
        TrialError: the loss is not finite.
    """
    found = evaluate(student, validation) if ranks.is_first else (math.nan, math.nan)
    accuracy, loss = (ranks.told_by_first(each, device) for each in found)
    if not math.isfinite(loss):
        raise TrialError(f"epoch {epoch}: the validation loss is {loss}")
    return accuracy, loss


def _one_epoch(
    batches: Batches, epoch: int, step: nn.Module, optimizers: Optimizers, ranks: Ranks
) -> Tensor:
    """Sums over the epoch's examples of ``[total, *terms, 1]``, float64, read by nobody yet."""
    epoch_sums: Tensor | None = None
    all_steps = batches.steps * batches.trial.train.epochs
    for i, batch in enumerate(batches.of(epoch)):
        total, sums = step(batch, ((epoch - 1) * batches.steps + i) / all_steps)
        # Workers average their gradients: each weighs its share by the size of the whole batch, so
        # that an uneven last batch gives the gradient that one worker would have had.
        whole = min(batches.batch_size, batches.num_samples - i * batches.batch_size)
        optimizers.step(total.sum() * (ranks.size / whole))
        epoch_sums = sums.double() if epoch_sums is None else epoch_sums + sums.double()
    if epoch_sums is None:
        raise TrialError(
            f"{batches.num_samples} training samples are too few for {ranks.size} workers"
        )
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
