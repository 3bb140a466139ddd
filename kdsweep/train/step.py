"""One step of training: student, teachers and objective on one batch."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from kdsweep.batch import UNLABELLED, Batch, Outputs
from kdsweep.errors import TrialError
from kdsweep.losses.precision import full_precision
from kdsweep.models.features import FeatureTap
from kdsweep.spec.trial import MAIN_TEACHER, called
from kdsweep.strategies.base import Seen, Strategy
from kdsweep.train.memory_format import ChannelsLast
from kdsweep.train.objective import Objective
from kdsweep.train.ranks import Ranks
from kdsweep.train.running import PLAIN, Running
from kdsweep.train.teacher import Source


class Step(nn.Module):
    """Student and objective as one module, so that several workers can share its gradients.

    ``sources`` are the frozen teachers by name, no part of the module; ``running`` is how the
    networks run: the objective is computed in float32 however that is. ``labelled`` ``[n]`` says
    of each training example whether its label is used, ``None`` of all that it is.
    """

    def __init__(
        self,
        student: nn.Module,
        objective: Objective,
        sources: Mapping[str, Source],
        ranks: Ranks,
        *,
        running: Running = PLAIN,
        labelled: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.student = student
        self.objective = objective
        self.tap = FeatureTap(student, objective.layers.student)
        self._sources = dict(sources) if objective.needs.teacher else {}
        self._ranks, self.running = ranks, running
        self._channels_last = ChannelsLast(self) if running.channels_last else None
        # In a tuple: as a module of the step it would be there twice.
        self._prepared = (running.prepared(student),)
        self._labelled = None if labelled is None else [labelled]
        self.kept_equal = _kept_equal(self)
        """Names of the buffers that every worker of a trial changes alike."""

    @property
    def computed(self) -> str:
        """How, in words for the record: ``float32, contiguous, teacher stored``."""
        teachers = (
            f"{called(name)} {'live' if source.reading is None else 'stored'}"
            for name, source in self._sources.items()
        )
        return ", ".join((self.running.words, *teachers))

    def forward(self, batch: Batch | int, progress: float) -> tuple[Tensor, Tensor]:
        """The total of each example ``[N]`` and the sums of ``total``, every term, and of ones.

        ``batch`` is of training data, or how many examples the strategy is to make itself.
        """
        seen = self.seen(batch, progress)
        total, terms = self.objective(seen)
        sums = [total.detach().sum(), *(term.sum() for term in terms.values())]
        return total, torch.stack([*sums, total.new_full((), len(seen.batch))])

    def seen(self, batch: Batch | int, progress: float = 0.0) -> Seen:
        """What student and teachers give for a batch, with the maps that the objective reads."""
        main, running = self.objective.main, self.running
        if isinstance(batch, int):
            batch = main.made(batch)
        else:
            batch = main.changed(self._with_known_labels(batch))
        logits = running.run(self._prepared[0], batch.seen_by(self.student))
        student = Outputs(logits, _in_float32(self.tap.features))
        teachers = {
            name: self._asked(source, batch)
            for name, source in self._sources.items()
            if name != MAIN_TEACHER
        }
        own = self._own_teacher(batch)
        if own is not None:
            teachers = {MAIN_TEACHER: own, **teachers}
        return Seen(batch, student, own, teachers, progress, self._ranks.gather, running.run)

    def _own_teacher(self, batch: Batch) -> Outputs | None:
        source = self._sources.get(MAIN_TEACHER)
        if source is None:
            return None
        layers = self.objective.layers.teacher
        if self.objective.needs.data:
            return self._asked(source, batch, layers)
        with self.running.autocast():
            given = source.teacher.outputs(batch, layers, to_inputs=True)
        return Outputs(full_precision(given.logits), _in_float32(given.features))

    def _asked(self, source: Source, batch: Batch, layers: tuple[str, ...] = ()) -> Outputs:
        """What a teacher gives for training data, in float32, whatever it is computed in."""
        with self.running.autocast():
            given = source.outputs(batch, layers)
        return Outputs(full_precision(given.logits), _in_float32(given.features))

    def _with_known_labels(self, batch: Batch) -> Batch:
        if self._labelled is None:
            return batch
        known = self._labelled[0][batch.ids]
        return replace(batch, labels=batch.labels.where(known, UNLABELLED))

    def end(self) -> None:
        """Leave the networks in memory as they were built."""
        if self._channels_last is not None:
            self._channels_last.undo()

    def calibrate(self, batches: Sequence[Batch | int]) -> None:
        """Measure the terms on ``batches``; all but the weights is left as it was, but the mode.

        In training mode: fresh batch norm in evaluation mode does not normalise, and the losses of
        a deep network would be measured orders of magnitude too large.
        """
        buffers = {name: value.clone() for name, value in self.named_buffers()}
        self.train()
        with torch.no_grad():
            self.objective.calibrate(self._each(batches))
            for name, value in self.named_buffers():
                if name != "objective.raw":
                    value.copy_(buffers[name])

    def _each(self, batches: Sequence[Batch | int]) -> Iterator[Seen]:
        return (self.seen(batch) for batch in batches)


def _in_float32(features: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {path: full_precision(map_) for path, map_ in features.items()}


def _kept_equal(step: nn.Module) -> tuple[str, ...]:
    """What the strategies inside say of their buffers, by the names that those have in the step.

    Raises:
        TrialError: a strategy names a buffer that it does not have.
    """
    names: list[str] = []
    for path, strategy in step.named_modules():
        if not isinstance(strategy, Strategy):
            continue
        own = [name for name, _ in strategy.named_buffers()]
        for name in strategy.kept_equal:
            if name not in own:
                raise TrialError(
                    f"{type(strategy).__name__} has no buffer {name!r}, which its kept_equal "
                    f"names; it has: {', '.join(own) or 'none'}"
                )
        names += [f"{path}.{name}" for name in strategy.kept_equal]
    return tuple(names)
