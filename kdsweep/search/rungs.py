"""Who goes on at a rung: successive halving over a front of size against accuracy.

Asynchronous successive halving (arXiv:1810.05934) holds a trial against those that reached the same
rung before it. By accuracy alone it would end every small student; here a trial is ranked by how
far it is ahead of, or behind, the best of those that are no larger. Sizes are known before
training.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdsweep.results.limits import points_words
from kdsweep.results.meta import Direction
from kdsweep.results.pareto import known_untrained
from kdsweep.results.record import EpochMetrics, Metric, TrialResult
from kdsweep.spec import TrainSpec
from kdsweep.spec.rungs import rung_epochs
from kdsweep.spec.sweep import SearchSpec

FEWEST = 3
"""At a rung that fewer have reached nobody is ended: there is too little to be held against."""

_MEASURED: tuple[Metric, ...] = ("accuracy", "loss")
"""What training gives; the rest is known before."""

Rows = NDArray[np.float64]
"""``[N, K]``, a trial in each row."""


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


class _Reached:
    """All who have reached one rung, in the order in which they did."""

    def __init__(self, num_measured: int, num_sizes: int) -> None:
        # More rows than are in use, so that one more costs nothing.
        self._values, self._best = np.empty((16, num_measured)), np.empty((16, num_measured))
        self._sizes = np.empty((16, num_sizes))
        self._rows: dict[str, int] = {}
        self._best_of_octave: dict[tuple[int, ...], Rows] = {}
        self.judgements: dict[str, Judgement] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, key: str, values: Rows, sizes: Rows) -> None:
        """One more: what validation says ``[V]``, to be maximised, and its sizes ``[S]``."""
        num = len(self)
        if num == len(self._values):
            self._values, self._best, self._sizes = (
                np.concatenate([rows, np.empty_like(rows)])
                for rows in (self._values, self._best, self._sizes)
            )
        others, theirs, best = self._values[:num], self._sizes[:num], self._best[:num]
        no_larger, no_smaller = (theirs <= sizes).all(axis=1), (theirs >= sizes).all(axis=1)
        best[no_smaller] = np.maximum(best[no_smaller], values)
        self._values[num], self._sizes[num] = values, sizes
        self._best[num] = others[no_larger].max(axis=0, initial=-math.inf)
        self._rows[key] = num
        octave = self._octave(num)
        best_of_octave = self._best_of_octave.get(octave, values)
        self._best_of_octave[octave] = np.maximum(best_of_octave, values)

    def is_best_of_its_octave(self) -> bool:
        """Whether the last one is as good as any in its octave of each size, in one value or more.

        Sizes are in one octave that are nearest to the same power of two.
        """
        num = len(self) - 1
        values, best = self._values[num], self._best_of_octave[self._octave(num)]
        return bool(((values >= best) & np.isfinite(values)).any())

    def _octave(self, row: int) -> tuple[int, ...]:
        return tuple(round(math.log2(max(1.0, abs(size)))) for size in self._sizes[row])

    def behind(self) -> Rows:
        """How far each is behind the best of the others that are no larger ``[N, V]``.

        Less than zero where it is ahead of them; minus infinity where all others are larger.
        """
        num = len(self)
        with np.errstate(invalid="ignore"):
            found = self._best[:num] - self._values[:num]
        # Not a number on both sides: as bad as can be.
        return np.where(np.isnan(found), math.inf, found)

    def dominating(self, key: str) -> list[str]:
        """All trials that dominate this one here; nobody does where it has not been."""
        if key not in self._rows:
            return []
        row, num = self._rows[key], len(self)
        values, sizes = self._values[:num], self._sizes[:num]
        no_worse = (values >= values[row]).all(axis=1) & (sizes <= sizes[row]).all(axis=1)
        better = (values > values[row]).any(axis=1) | (sizes < sizes[row]).any(axis=1)
        names = list(self._rows)
        return [names[index] for index in np.flatnonzero(no_worse & better)]


class Rungs:
    """The rungs of a sweep: who has reached them, and what became of those who went on.

    A trial is told the same at the same rung however often it is asked about. For one thread.
    """

    keeps_octaves = True
    """Whether the best of each octave of size goes on whatever its rank."""

    def __init__(self, objectives: Mapping[Metric, Direction], *, eta: float) -> None:
        self._measured = {m: objectives[m] for m in _MEASURED if m in objectives}
        self._sizes = {
            known_untrained(m): direction
            for m, direction in objectives.items() if m not in _MEASURED
        }  # fmt: skip
        self._eta = eta
        self._entrants: dict[str, _Entrant] = {}
        self._reached: dict[Rung, _Reached] = {}
        self._gains: dict[tuple[Rung, Metric], list[float]] = {}
        self._ends: dict[str, Mapping[str, float]] = {}

    def enter(self, key: str, *, sizes: Mapping[Any, float], rungs: Sequence[Rung]) -> None:
        """A trial begins. ``sizes``: ``params``, ``macs``, ``size_bytes`` of its student."""
        self._entrants[key] = _Entrant(sizes, tuple(rungs))

    def judge(self, key: str, epoch: EpochMetrics) -> Judgement:
        """Whether the trial goes on after this epoch; it does where it has no rung.

        It goes on if, of all that came so far, fewer than one in ``eta`` are further ahead of (or
        less far behind) the best of those that are no larger than they. Of a student smaller than
        all others nothing is known to be worse, so it goes on; and so does the best so far of all
        within an octave of its size. With several measured objectives one in which that is so is
        enough; with none there is nothing to learn from a rung.
        """
        entrant = self._entrants.get(key)
        rung = next((r for r in entrant.rungs if r.epoch == epoch.epoch), None) if entrant else None
        if entrant is None or rung is None or not self._measured:
            return Judgement(goes_on=True)
        reached = self._reached.setdefault(rung, _Reached(len(self._measured), len(self._sizes)))
        if key not in reached.judgements:
            reached.add(key, self._values(epoch), self._sizes_of(entrant))
            reached.judgements[key] = (
                Judgement(goes_on=True)
                if self.keeps_octaves and reached.is_best_of_its_octave()
                else self._judgement(reached.behind(), rung)
            )
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

    def _judgement(self, behind: Rows, rung: Rung) -> Judgement:
        """Of the last of those that have reached the rung."""
        mine, num = behind[-1], len(behind)
        before = (behind < mine).sum(axis=0)
        if num < FEWEST or (before < num / self._eta).any():
            return Judgement(goes_on=True)
        nearest = int(before.argmin())
        metric, far = list(self._measured)[nearest], mine[nearest]
        apart = points_words(abs(far)) if metric == "accuracy" else f"{abs(far):.4f}"
        where = f"{apart} {'behind' if far >= 0 else 'ahead of'}"
        return Judgement(
            goes_on=False,
            why=f"ended at epoch {rung.epoch} of {rung.epochs}: {metric} {where} the best of those "
            f"no larger, and {before[nearest]} of the {num} that came so far do better in that",
        )

    def _values(self, epoch: EpochMetrics) -> Rows:
        """What validation says of the measured objectives ``[V]``, all to be maximised."""
        said = {metric: getattr(epoch, metric) for metric in self._measured}
        values = _turned(said, self._measured, towards="max")
        # What is not a number is as bad as can be.
        return np.where(np.isnan(values), -math.inf, values)

    def _sizes_of(self, entrant: _Entrant) -> Rows:
        """The sizes among the objectives ``[S]``, all to be minimised."""
        return _turned(entrant.sizes, self._sizes, towards="min")


def _turned(
    values: Mapping[Any, float], directions: Mapping[Any, Direction], *, towards: Direction
) -> Rows:
    """The values of ``directions`` in order; those that go the other way with their sign turned."""
    return np.array(
        [
            values[name] if direction == towards else -values[name]
            for name, direction in directions.items()
        ],
        dtype=np.float64,
    )
