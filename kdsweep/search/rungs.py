"""Who goes on at a rung: successive halving over a front of size against accuracy.

Asynchronous successive halving (arXiv:1810.05934) holds a trial against those that reached the same
rung before it. By accuracy alone it would end every small student; here a trial is ranked by how
many others dominate it, in what validation says at the rung and in the size, which is known before
training.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np

from kdsweep.results.meta import Direction
from kdsweep.results.pareto import SIZE_LIKE, Points
from kdsweep.results.record import EpochMetrics, Metric, TrialResult
from kdsweep.spec import TrainSpec
from kdsweep.spec.rungs import rung_epochs
from kdsweep.spec.sweep import SearchSpec

FEWEST = 3
"""At a rung that fewer have reached nobody is ended: there is too little to be held against."""

_STANDS_FOR: Mapping[Metric, Metric] = {"latency_ms": "macs"}
"""What is measured only after training, and what of the size takes its place at a rung."""


_MEASURED: tuple[Metric, ...] = ("accuracy", "loss")
"""What training gives; the rest is known before."""


@dataclass(frozen=True)
class Rung:
    """Where trials can be compared: the same epoch of trainings of the same length."""

    epoch: int
    epochs: int


@dataclass(frozen=True)
class Judgement:
    """Whether a trial goes on, and a sentence for its record where it does not."""

    goes_on: bool
    why: str = ""


def rungs_of(train: TrainSpec, search: SearchSpec) -> tuple[Rung, ...]:
    """The rungs of a trial of these settings; none where every trial trains to its end."""
    if search.ends_early is None:
        return ()
    epochs = rung_epochs(train, search.ends_early)
    return tuple(Rung(epoch, train.epochs) for epoch in epochs)


@dataclass
class _Entrant:
    """A trial that has rungs, and the size of its student."""

    sizes: Mapping[Any, float]
    rungs: tuple[Rung, ...]


@dataclass
class _Reached:
    """All who have reached one rung, in the order in which they did."""

    values: Points
    """``[N, M]``, to be minimised; more rows than are in use, so that one more costs nothing."""
    above: list[int] = field(default_factory=list)
    """How many dominate each."""
    keys: dict[str, int] = field(default_factory=dict)
    """The row of each trial."""
    judgements: dict[str, Judgement] = field(default_factory=dict)

    def add(self, key: str, mine: Points) -> int:
        """One more; how many of the others dominate it."""
        num = self.keys[key] = len(self.above)
        if num == len(self.values):
            self.values = np.concatenate([self.values, np.empty_like(self.values)])
        self.values[num], others = mine, self.values[:num]
        dominated = (mine <= others).all(axis=1) & (mine < others).any(axis=1)
        for index in np.flatnonzero(dominated):
            self.above[index] += 1
        self.above.append(len(self.dominating(key)))
        return self.above[-1]

    def dominating(self, key: str) -> list[str]:
        """All trials that dominate this one here; nobody does where it has not been."""
        if key not in self.keys:
            return []
        mine, all_ = self.values[self.keys[key]], self.values[: len(self.keys)]
        found = (all_ <= mine).all(axis=1) & (all_ < mine).any(axis=1)
        names = list(self.keys)
        return [names[index] for index in np.flatnonzero(found)]


class Rungs:
    """The rungs of a sweep: who has reached them, and what became of those who went on.

    A trial is told the same at the same rung however often it is asked about. For one thread.
    """

    def __init__(self, objectives: Mapping[Metric, Direction], *, eta: float) -> None:
        self._objectives, self._eta = dict(objectives), eta
        self._entrants: dict[str, _Entrant] = {}
        self._reached: dict[Rung, _Reached] = {}
        self._gains: dict[tuple[Rung, Metric], list[float]] = {}
        self._ends: dict[str, Mapping[str, float]] = {}

    def enter(self, key: str, *, sizes: Mapping[Any, float], rungs: Sequence[Rung]) -> None:
        """A trial begins. ``sizes``: ``params``, ``macs``, ``size_bytes`` of its student."""
        self._entrants[key] = _Entrant(sizes, tuple(rungs))

    def judge(self, key: str, epoch: EpochMetrics) -> Judgement:
        """Whether the trial goes on after this epoch; it does where it has no rung.

        It goes on if nobody dominates it at the rung, or if fewer than one in ``eta`` have fewer
        above them than it has.
        """
        entrant = self._entrants.get(key)
        rung = next((r for r in entrant.rungs if r.epoch == epoch.epoch), None) if entrant else None
        if entrant is None or rung is None:
            return Judgement(goes_on=True)
        reached = self._reached.setdefault(
            rung, _Reached(np.empty((16, len(self._objectives)), dtype=np.float64))
        )
        if key not in reached.judgements:
            above = reached.add(key, self._values(epoch, entrant.sizes))
            reached.judgements[key] = self._judgement(above, reached.above, rung)
        return reached.judgements[key]

    def ended(self, result: TrialResult) -> None:
        """Learn from a complete trial how much is gained between its rungs and its end."""
        entrant = self._entrants.get(result.trial_id)
        if entrant is None or result.status != "complete":
            return
        self._ends[result.trial_id] = result.metrics
        by_epoch = {epoch.epoch: epoch for epoch in result.epochs}
        for rung in entrant.rungs:
            for metric in _MEASURED:
                if rung.epoch in by_epoch and metric in result.metrics:
                    gain = result.metrics[metric] - getattr(by_epoch[rung.epoch], metric)
                    self._gains.setdefault((rung, metric), []).append(gain)

    def remember(self, results: Iterable[TrialResult], search: SearchSpec) -> None:
        """Take the trials of an earlier process in, as if they had been judged here."""
        for result in results:
            if result.role != "trial" or result.status not in ("complete", "pruned"):
                continue
            train = TrainSpec.model_validate(result.trial["train"])
            self.enter(result.trial_id, sizes=result.metrics, rungs=rungs_of(train, search))
            for epoch in result.epochs:
                self.judge(result.trial_id, epoch)
            self.ended(result)

    def estimated(self, result: TrialResult) -> TrialResult:
        """A pruned trial with the metrics that it would have had at its end; others as they are.

        What it had at its rung, and the median of what complete trials have gained since: a value
        of too few epochs as it is would tell a sampler that its settings are worse than they are.
        But it is not thought to have come further than the best of those that dominated it: a
        guess must not look better than all that was trained.
        """
        if result.status != "pruned" or not result.epochs:
            return result
        last = result.epochs[-1]
        rung = Rung(last.epoch, result.trial["train"]["epochs"])
        metrics = dict(result.metrics)
        for metric in _MEASURED:
            gains = self._gains.get((rung, metric))
            metrics[metric] = getattr(last, metric) + (median(gains) if gains else 0.0)
        reached = self._reached.get(rung)
        above = reached.dominating(result.trial_id) if reached is not None else []
        ends = [self._ends[key] for key in above if key in self._ends]
        accuracies = [end["accuracy"] for end in ends if "accuracy" in end]
        losses = [end["loss"] for end in ends if "loss" in end]
        metrics |= {
            "accuracy": min(metrics["accuracy"], max(accuracies, default=1.0)),
            "loss": max(metrics["loss"], min(losses, default=0.0)),
        }
        return result.model_copy(update={"metrics": metrics})

    def _judgement(self, above: int, everyone: Sequence[int], rung: Rung) -> Judgement:
        num = len(everyone)
        better = sum(each < above for each in everyone)
        if above == 0 or num < FEWEST or better < num / self._eta:
            return Judgement(goes_on=True)
        return Judgement(
            goes_on=False,
            why=f"ended at epoch {rung.epoch} of {rung.epochs}: of {num} trials that came so far "
            f"{above} dominate it, and {better} have fewer above them",
        )

    def _values(self, epoch: EpochMetrics, sizes: Mapping[Any, float]) -> Points:
        """The objectives as they are known at a rung ``[M]``, all to be minimised."""
        found = []
        for metric, direction in self._objectives.items():
            known = _STANDS_FOR.get(metric, metric)
            value = sizes[known] if known in SIZE_LIKE else getattr(epoch, known)
            found.append(-value if direction == "max" else value)
        values = np.array(found, dtype=np.float64)
        # What is not a number is as bad as can be.
        return np.where(np.isnan(values), math.inf, values)
