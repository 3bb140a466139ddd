"""What a process keeps warm between trials: data on its device, teachers, their logits."""

import json
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from kdsweep import catalog
from kdsweep.data.base import Splits, WithheldSplit, without_training
from kdsweep.errors import KdsweepError, in_one_line, whole_traceback
from kdsweep.models.size import count_macs, count_params, measure_latency_ms, size_bytes
from kdsweep.results.record import Status
from kdsweep.spec import TrialSpec
from kdsweep.spec.trial import MAIN_TEACHER
from kdsweep.sweep_file.components import components
from kdsweep.sweep_file.training_data import student_reads, training_data_are_read
from kdsweep.train.device import describe
from kdsweep.train.loop import Report, Trained, Verdict, train
from kdsweep.train.needs import teachers_of
from kdsweep.train.ranks import ALONE, Ranks
from kdsweep.train.teacher import RememberedLogits, Source, can_be_remembered
from kdsweep.train.teacher_store import TeacherCard, TeacherStore
from kdsweep.train.weights import save_weights

KEPT_DATA_SETS = 2
KEPT_TEACHERS = 2
LATENCY_BUDGET_S = 0.05
"""Per trial: some hundred runs of a small student, and little beside its training."""


@dataclass(frozen=True)
class Outcome:
    """How a trial ended, in plain values that travel between processes."""

    status: Status
    metrics: dict[str, float] = field(default_factory=dict)
    raw_weights: dict[str, float] = field(default_factory=dict)
    teachers: tuple[dict[str, Any], ...] = ()
    """The cards of teachers that are new to this session, the main one first; each told once."""
    error: str | None = None
    """Why it failed or was stopped, in a sentence."""
    traceback: str = ""
    """Of an error that was not foreseen, as in a class of one's own."""
    device: str = ""
    seconds: float = 0.0

    def plain(self) -> dict[str, Any]:
        """As a dictionary of JSON types."""
        return asdict(self)


class Session:
    """Runs one trial after another on one device; nothing of a trial is left but what is shared."""

    def __init__(self, *, device: torch.device, teachers: Path, ranks: Ranks = ALONE) -> None:
        self.device = device
        self.ranks = ranks
        self._store = TeacherStore(teachers)
        self._splits: OrderedDict[str, Splits] = OrderedDict()
        self._teachers: OrderedDict[str, tuple[Source, TeacherCard]] = OrderedDict()
        self._told: set[str] = set()

    def splits(self, trial: TrialSpec) -> Splits:
        """The trial's data on this session's device, as its student may read them.

        The training split is withheld from a student that does not learn from it, and its files
        are opened only if a teacher has to be trained first.
        """
        if student_reads(trial):
            return self._whole(trial)
        if training_data_are_read(trial):
            return without_training(self._whole(trial))
        return _kept(
            self._splits,
            f"without training: {trial.data.model_dump_json()}",
            lambda: catalog.dataset(trial.data).load_without_training(self.device),
            KEPT_DATA_SETS,
        )

    def _whole(self, trial: TrialSpec) -> Splits:
        return _kept(
            self._splits,
            trial.data.model_dump_json(),
            lambda: catalog.dataset(trial.data).load(self.device),
            KEPT_DATA_SETS,
        )

    def teachers(self, trial: TrialSpec, report: Report) -> dict[str, tuple[Source, TeacherCard]]:
        """The teachers that the trial's strategy reads, by name, the main one first.

        Made now if nobody has made them before; ``report`` hears of that.
        """
        return {name: self._teacher(trial, name, report) for name in teachers_of(trial)}

    def _teacher(self, trial: TrialSpec, name: str, report: Report) -> tuple[Source, TeacherCard]:
        spec = trial.all_teachers[name]
        # One that is loaded is only validated: its trial's data will do.
        splits = self._whole(trial) if spec.weights is None else self.splits(trial)
        key = json.dumps([splits.fingerprint, spec.model_dump()], sort_keys=True)

        def make() -> tuple[Source, TeacherCard]:
            teacher, card = self._store.get(
                trial, spec, splits=splits, device=self.device, report=report, ranks=self.ranks
            )
            fits = not isinstance(splits.train, WithheldSplit) and can_be_remembered(
                splits.train, num_classes=splits.info.num_classes, num_views=splits.num_views
            )
            return Source(teacher, RememberedLogits(teacher, splits.train) if fits else None), card

        return _kept(self._teachers, key, make, max(KEPT_TEACHERS, len(trial.all_teachers)))

    def run(
        self,
        trial: TrialSpec,
        report: Report,
        *,
        weights: Path | None = None,
        on_teacher: Report = lambda epoch: Verdict.CONTINUE,
    ) -> Outcome:
        """Run a trial to its end, whatever that is: a failure is an outcome, not an exception.

        The student's weights go to ``weights`` if it trained to its end; ``on_teacher`` hears of
        the epochs of a teacher that had to be trained first.
        """
        started = time.perf_counter()
        device = describe(self.device)
        try:
            trained, cards = self._train(trial, report, on_teacher)
            metrics = self._measure(trained.student, trial) if self.ranks.is_first else {}
            if weights is not None and self.ranks.is_first and not trained.stopped:
                save_weights(trained.student, weights)
            if trained.epochs:
                last = trained.epochs[-1]
                metrics |= {"accuracy": last.accuracy, "loss": last.loss}
            return Outcome(
                status="stopped" if trained.stopped else "complete",
                metrics=metrics,
                raw_weights=trained.raw_weights,
                teachers=self._news_of(cards),
                device=device,
                seconds=time.perf_counter() - started,
            )
        except Exception as error:  # noqa: BLE001  # a trial fails alone: the lane lives on
            self._let_through(error)
            return _ended_by(error, trial, device, started)

    def prepare(self, trial: TrialSpec, report: Report) -> Outcome:
        """Make or find the trial's teachers, and train nothing else."""
        started, device = time.perf_counter(), describe(self.device)
        try:
            cards = [self._teacher(trial, name, report)[1] for name in trial.all_teachers]
        except Exception as error:  # noqa: BLE001  # a trial fails alone: the lane lives on
            self._let_through(error)
            return _ended_by(error, trial, device, started)
        told = tuple(asdict(card) for card in cards)
        seconds = time.perf_counter() - started
        return Outcome("complete", teachers=told, device=device, seconds=seconds)

    def _train(
        self, trial: TrialSpec, report: Report, on_teacher: Report
    ) -> tuple[Trained, list[TeacherCard]]:
        splits = self.splits(trial)
        known = self.teachers(trial, on_teacher)
        sources = {name: source for name, (source, _) in known.items()}
        main = sources.pop(MAIN_TEACHER, None)
        trained = train(
            trial,
            report,
            splits=splits,
            device=self.device,
            teacher=None if main is None else main.teacher,
            remembered=None if main is None else main.remembered,
            others=sources,
            ranks=self.ranks,
        )
        return trained, [card for _, card in known.values()]

    def _let_through(self, error: Exception) -> None:
        """A trial fails alone and the lane lives on, unless its other workers cannot know.

        What all workers run into alike is one of our own errors; after another one the rest would
        wait for this worker for ever, so that the whole lane starts again.
        """
        if self.ranks.size > 1 and not isinstance(error, KdsweepError):
            raise error

    def _news_of(self, cards: Iterable[TeacherCard]) -> tuple[dict[str, Any], ...]:
        """The cards that no outcome has told of: thousands of trials share a teacher."""
        new = [card for card in cards if card.digest not in self._told]
        self._told |= {card.digest for card in new}
        return tuple(asdict(card) for card in new)

    def _measure(self, student: nn.Module, trial: TrialSpec) -> dict[str, float]:
        shape = catalog.shape_for(trial.student, self.splits(trial).info)
        return {
            "params": count_params(student),
            "macs": count_macs(student, shape),
            "size_bytes": size_bytes(student),
            "latency_ms": measure_latency_ms(
                student, shape, self.device, budget_s=LATENCY_BUDGET_S
            ),
        }


T = TypeVar("T")


def _kept(cache: "OrderedDict[str, T]", key: str, make: Callable[[], T], most: int) -> T:
    """From the cache, or made and put there; the one used longest ago goes."""
    if key not in cache:
        while len(cache) >= most:
            cache.popitem(last=False)
        cache[key] = make()
    cache.move_to_end(key)
    return cache[key]


def _ended_by(error: Exception, trial: TrialSpec, device: str, started: float) -> Outcome:
    """The outcome of a trial that an exception ended; what it held on the device is let go."""
    # The frames that the error went through hold the networks, and would for as long as it lives.
    traceback.clear_frames(error.__traceback__)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    seconds = time.perf_counter() - started
    if isinstance(error, InterruptedError):
        return Outcome("stopped", error=str(error), device=device, seconds=seconds)
    foreseen = isinstance(error, KdsweepError) and error.__cause__ is None
    return Outcome(
        "failed",
        error=_in_words(error, trial),
        traceback="" if foreseen else whole_traceback(error),
        device=device,
        seconds=seconds,
    )


def _in_words(error: Exception, trial: TrialSpec) -> str:
    """What failed, in a sentence; of an error that we did not foresee, where."""
    if isinstance(error, KdsweepError):
        return str(error)
    if isinstance(error, torch.cuda.OutOfMemoryError | MemoryError):
        return (
            f"out of memory with student {trial.student.name} and batch size "
            f"{trial.train.batch_size}: {error}"
        )
    # The user's own may be an installed package as well.
    named = (component.name for _, _, component in components(trial))
    return in_one_line(error, {name.partition(":")[0].partition(".")[0]
                               for name in named if ":" in name})  # fmt: skip
