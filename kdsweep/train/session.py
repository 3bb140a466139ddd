"""What a process keeps warm between trials: data on its device, teachers, their stored outputs."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from kdsweep.data.base import Splits
from kdsweep.data.withheld import WithheldSplit
from kdsweep.errors import KdsweepError, TrialError
from kdsweep.results.record import EpochMetrics
from kdsweep.spec import TrialSpec
from kdsweep.spec.trial import MAIN_TEACHER, called
from kdsweep.storage.address import Place
from kdsweep.sweep_file.parts import model_key
from kdsweep.train.allocator import keep_freed_memory
from kdsweep.train.changed import changed_since
from kdsweep.train.checkpoint import EVERY_S, Checkpoints
from kdsweep.train.device import describe
from kdsweep.train.evaluate import tested
from kdsweep.train.kept import AT_LEAST, Kept
from kdsweep.train.kept_splits import KeptSplits
from kdsweep.train.loop import Report, Trained, Verdict, train
from kdsweep.train.measure import measured, timed_teacher
from kdsweep.train.needs import teachers_of
from kdsweep.train.outcome import Outcome, ended_by, told_of
from kdsweep.train.output_store import OutputStore
from kdsweep.train.ranks import ALONE, Ranks
from kdsweep.train.teacher import Source, Teacher
from kdsweep.train.teacher_store import OUTPUTS, TeacherCard, TeacherStore
from kdsweep.train.timing import UNTOLD, Timing
from kdsweep.train.warned import warnings_heard
from kdsweep.train.weights import save_weights

TeacherReport = Callable[[EpochMetrics, str], Verdict]
"""Hears of an epoch of a teacher, and which of the trial's teachers it is."""

KEPT_DATA_BYTES = KEPT_TEACHER_BYTES = 2**30
"""A process keeps data sets and teachers up to this size, and the last two of each in any case."""


class Session:
    """Runs one trial after another on one device; nothing of a trial is left but what is shared.

    The process keeps the memory that its trainings free. ``layers`` are those at which trials to
    come will read a teacher, by ``model_key``: what is made of its outputs has them all.
    """

    def __init__(
        self,
        *,
        device: torch.device,
        teachers: Place,
        ranks: Ranks = ALONE,
        layers: Mapping[str, Sequence[str]] | None = None,
        checkpoint_every_s: float = EVERY_S,
        timing: Timing = UNTOLD,
    ) -> None:
        keep_freed_memory()
        self.device = device
        self.ranks = ranks
        self._timing = timing
        self._store = TeacherStore(teachers, checkpoint_every_s=checkpoint_every_s)
        self._layers = layers or {}
        self._splits = KeptSplits(device, KEPT_DATA_BYTES)
        self._teachers: Kept[tuple[Source, TeacherCard]] = Kept(
            lambda each: each[0].num_bytes, KEPT_TEACHER_BYTES
        )
        self._told: set[str] = set()
        self._warned: set[str] = set()

    def splits(self, trial: TrialSpec) -> Splits:
        """The trial's data on this session's device, as its student may read them."""
        return self._splits.of(trial)

    def teachers(
        self, trial: TrialSpec, report: TeacherReport
    ) -> dict[str, tuple[Source, TeacherCard]]:
        """The teachers that the trial's strategy reads, by name, the main one first.

        Made now if nobody has made them before; ``report`` hears of that.
        """
        return {name: self._teacher(trial, name, report) for name in teachers_of(trial)}

    def _teacher(
        self, trial: TrialSpec, name: str, report: TeacherReport
    ) -> tuple[Source, TeacherCard]:
        spec = trial.all_teachers[name]
        # One that is loaded is only validated: its trial's data will do. No teacher learns from
        # validation data that its student learns from, but it is asked about them.
        whole = spec.weights is None or trial.with_validation
        splits = self._splits.whole(trial) if whole else self.splits(trial)
        shown = self.splits(trial) if trial.with_validation else splits
        key = json.dumps([shown.fingerprint, spec.identity], sort_keys=True)

        def make() -> tuple[Source, TeacherCard]:
            try:
                teacher, card = self._store.get(
                    trial, spec, splits=splits, device=self.device, ranks=self.ranks,
                    report=lambda epoch: report(epoch, name),
                )  # fmt: skip
            except TrialError as error:
                told = (problem.removeprefix(f"{MAIN_TEACHER}: ") for problem in error.problems)
                raise TrialError(f"{called(name)}: {each}" for each in told) from error
            layers = self._layers_of(teacher.network, trial, name)
            return Source(teacher, self._outputs(teacher, card, shown, layers)), card

        at_least = max(AT_LEAST, len(trial.all_teachers))
        return self._teachers.get(key, make, at_least=at_least)

    def _layers_of(self, network: nn.Module, trial: TrialSpec, name: str) -> tuple[str, ...]:
        """Those that any teacher of its kind is read at, and that it has."""
        modules = dict(network.named_modules())
        known = self._layers.get(model_key(trial, name), ())
        return tuple(each for each in known if each.split(":")[0] in modules)

    def _outputs(
        self, teacher: Teacher, card: TeacherCard, splits: Splits, layers: Sequence[str]
    ) -> OutputStore | None:
        if isinstance(splits.train, WithheldSplit):
            return None
        place = self._store.place_of(card.digest).within(OUTPUTS)
        key = f"{card.weights_sha256} {splits.fingerprint}"
        return OutputStore(place, key, teacher, splits.train, layers)

    def run(
        self,
        trial: TrialSpec,
        report: Report,
        *,
        weights: Place | None = None,
        on_teacher: TeacherReport = lambda epoch, name: Verdict.CONTINUE,
        checkpoints: Checkpoints | None = None,
        warn: Callable[[str], object] | None = None,
        opens_test: bool = False,
    ) -> Outcome:
        """Run a trial to its end, whatever that is: a failure is an outcome, not an exception.

        The student's weights go to ``weights`` if it trained to its end; ``on_teacher`` hears of
        the epochs of a teacher that had to be trained first; it goes on from ``checkpoints``.
        What is ``warn``ed of while it trains is not in the outcome as well. With ``opens_test`` a
        student that has come to its end is measured on the test data, which nobody else opens.
        """

        def tell(sentence: str) -> None:
            if warn is not None and sentence not in self._warned:
                self._warned.add(sentence)
                warn(sentence)

        with warnings_heard(tell) as heard:
            outcome = self._run(trial, report, weights, on_teacher, checkpoints, opens_test)
        return self._with_warnings(outcome, heard)

    def _run(
        self,
        trial: TrialSpec,
        report: Report,
        weights: Place | None,
        on_teacher: TeacherReport,
        checkpoints: Checkpoints | None,
        opens_test: bool,
    ) -> Outcome:
        started = time.perf_counter()
        device = describe(self.device)
        try:
            trained, cards = self._train(trial, report, on_teacher, checkpoints)
            metrics: dict[str, float] = {}
            latency = None
            if self.ranks.is_first:
                metrics, latency = measured(
                    trained.student, trial.student, self.splits(trial).info, self.device,
                    self._timing, is_cut_short=trained.stopped,
                )  # fmt: skip
            if weights is not None and self.ranks.is_first and not trained.stopped:
                save_weights(trained.student, weights)
            if trained.epochs and not trial.with_validation:
                last = trained.epochs[-1]
                metrics |= {"accuracy": last.accuracy, "loss": last.loss}
            if opens_test and self.ranks.is_first and not trained.stopped:
                metrics |= tested(trained.student, self.splits(trial).test)
            return Outcome(
                status="stopped" if trained.stopped else "complete",
                metrics=metrics,
                latency=None if latency is None else latency.model_dump(),
                raw_weights=trained.raw_weights,
                teachers=self._news_of(cards),
                device=device,
                computed=trained.computed,
                seconds=time.perf_counter() - started,
            )
        except Exception as error:  # noqa: BLE001  # a trial fails alone: the lane lives on
            self._let_through(error)
            return ended_by(error, trial, device, started)

    def prepare(
        self,
        trial: TrialSpec,
        report: TeacherReport,
        expected: Mapping[str, str] | None = None,
        *,
        opens_test: bool = False,
    ) -> Outcome:
        """Read the trial's data, make or find its teachers, and train nothing else.

        ``expected`` is as in ``changed_since``: if something is not so, nothing is made, and
        ``changed`` says it. With ``opens_test`` the teachers are measured on the test data.
        """
        with warnings_heard() as heard:
            outcome = self._prepare(trial, report, expected or {}, opens_test)
        return self._with_warnings(outcome, heard)

    def _prepare(
        self,
        trial: TrialSpec,
        report: TeacherReport,
        expected: Mapping[str, str],
        opens_test: bool,
    ) -> Outcome:
        started, device = time.perf_counter(), describe(self.device)
        try:
            teachers = trial.all_teachers
            is_trained = any(each.weights is None for each in teachers.values())
            splits = self._splits.whole(trial) if is_trained else self.splits(trial)
            changed = changed_since(expected, splits.for_teachers, teachers.get(MAIN_TEACHER))
            if opens_test and not splits.test.num_samples:
                changed = ("the data set has no test data, so there is nothing to open",)
            if changed:
                return Outcome("failed", changed=changed, device=device)
            made = {n: self._teacher(trial, n, report) for n in trial.all_teachers}
            tests = {n: tested(source.teacher.network, splits.test)
                     for n, (source, _) in made.items() if opens_test}  # fmt: skip
            timed = {n: timed_teacher(source.teacher, card, splits.info, self.device, self._timing)
                     for n, (source, card) in made.items() if self.ranks.is_first}  # fmt: skip
        except Exception as error:  # noqa: BLE001  # a trial fails alone: the lane lives on
            self._let_through(error)
            return ended_by(error, trial, device, started)
        told = tuple({**told_of(card, n), **tests.get(n, {}), **timed.get(n, {})}
                     for n, (_, card) in made.items())  # fmt: skip
        return Outcome(
            "complete",
            teachers=told,
            data=splits.for_teachers,
            examples=splits.counts,
            num_classes=splits.info.num_classes,
            inputs=splits.info.sizes,
            device=device,
            seconds=time.perf_counter() - started,
        )

    def _train(
        self,
        trial: TrialSpec,
        report: Report,
        on_teacher: TeacherReport,
        checkpoints: Checkpoints | None,
    ) -> tuple[Trained, dict[str, TeacherCard]]:
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
            stored=None if main is None else main.store,
            others=sources,
            ranks=self.ranks,
            checkpoints=checkpoints,
        )
        return trained, {name: card for name, (_, card) in known.items()}

    def _let_through(self, error: Exception) -> None:
        """A trial fails alone and the lane lives on, unless its other workers cannot know.

        What all workers run into alike is one of our own errors; after another one the rest would
        wait for this worker for ever, so that the whole lane starts again.
        """
        if self.ranks.size > 1 and not isinstance(error, KdsweepError):
            raise error

    def _with_warnings(self, outcome: Outcome, heard: list[str]) -> Outcome:
        """The outcome with the warnings that no other has told of."""
        new = tuple(sentence for sentence in heard if sentence not in self._warned)
        self._warned |= set(new)
        return replace(outcome, warnings=new)

    def _news_of(self, cards: Mapping[str, TeacherCard]) -> tuple[dict[str, Any], ...]:
        """The cards that no outcome has told of: thousands of trials share a teacher."""
        new = {name: card for name, card in cards.items() if card.digest not in self._told}
        self._told |= {card.digest for card in new.values()}
        return tuple(told_of(card, name) for name, card in new.items())
