"""Where a trial takes its teachers' outputs from: the disk or the teachers themselves."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

from kdsweep.batch import Batch, Outputs, modality, read_by
from kdsweep.data.base import DataInfo, Extent, Splits
from kdsweep.probing import PROBE_SAMPLES
from kdsweep.spec import TeacherSpec, TrialSpec
from kdsweep.spec.trial import MAIN_TEACHER, called
from kdsweep.strategies.base import Probe, Strategy
from kdsweep.sweep_file.asked import (
    Asked,
    Room,
    asked_of_main,
    asked_of_other,
    bytes_in_words,
    storable,
    views_seen,
)
from kdsweep.train.output_store import OutputStore
from kdsweep.train.tables import Table
from kdsweep.train.teacher import Source, Teacher

_log = logging.getLogger(__name__)


class StoredReading:
    """What one trial reads of one teacher's stored outputs, batch by batch."""

    def __init__(
        self, store: OutputStore, layers: Sequence[str], slots: Sequence[int], name: str
    ) -> None:
        """``slots`` are the views of the training in their order; ``name`` is the teacher's."""
        self._store, self._layers, self._slots = store, tuple(layers), tuple(slots)
        self._name = name
        self._current: tuple[int, Mapping[str, Table] | None] | None = None

    def outputs(self, batch: Batch) -> Outputs | None:
        """Of the batch's examples as its view shows them; ``None`` where nothing is stored.

        That is so of a view that the training never shows (the weights of the terms are measured
        on it), and of one in which a value does not fit float16.
        """
        if self._current is None or self._current[0] != batch.view:
            shown = batch.view in self._slots
            self._current = (batch.view, self._tables(batch) if shown else None)
        tables = self._current[1]
        if tables is None:
            return None
        logits = tables[""].rows(batch.ids)
        return Outputs(logits, {path: tables[path].rows(batch.ids) for path in self._layers})

    def _tables(self, batch: Batch) -> Mapping[str, Table] | None:
        ahead = self._slots[self._slots.index(batch.view) + 1 :]
        device = batch.ids.device
        tables = self._store.view(batch.view, self._layers, device=device, ahead=ahead)
        if tables is None:
            _log.warning(
                "%s: some of its outputs are too large for float16, in which they are stored; "
                "where that is so it is asked for each batch instead",
                called(self._name),
            )
        return tables


def with_readings(
    sources: Mapping[str, Source],
    trial: TrialSpec,
    splits: Splits,
    strategies: Sequence[Strategy],
    probe: Probe,
) -> dict[str, Source]:
    """The teachers, each with what the trial reads of it from the disk, where it does.

    Whether it does follows from the trial and its data alone, never from what is there already: the
    same trial gives the same numbers.
    """
    return {
        name: _with_reading(source, name, trial, splits, _asked(name, source.teacher, strategies,
                                                                probe, splits.info))
        for name, source in sources.items()
    }  # fmt: skip


def _asked(
    name: str, teacher: Teacher, strategies: Sequence[Strategy], probe: Probe, info: DataInfo
) -> Asked:
    if name != MAIN_TEACHER:
        return asked_of_other(strategies, probe.teachers[name])
    assert probe.teacher is not None
    reads = modality(read_by(teacher.network, info.shapes))
    return asked_of_main(
        strategies, probe.teacher, num_probed=PROBE_SAMPLES, reads_tokens=reads == "tokens"
    )


def _with_reading(
    source: Source, name: str, trial: TrialSpec, splits: Splits, asked: Asked
) -> Source:
    settings = trial.all_teachers.get(name)
    word = "auto" if settings is None else settings.stored
    if source.store is None or not storable(word, asked):
        return replace(source, reading=None)
    slots = views_seen(splits.num_views, trial.train.epochs)
    extent = Extent(splits.train.num_samples, len(slots))
    room = Room(extent, asked.values, _max_bytes(settings))
    if not room.fits:
        _log.warning(
            "%s: storing its outputs would take %s, more than its max_cache_bytes allows (%s): it "
            "is asked for each batch instead",
            called(name), room.arithmetic, bytes_in_words(room.max_bytes),
        )  # fmt: skip
        return replace(source, reading=None)
    return replace(source, reading=StoredReading(source.store, tuple(asked.layers), slots, name))


def _max_bytes(settings: TeacherSpec | None) -> int:
    default: int = TeacherSpec.model_fields["max_cache_bytes"].default
    return default if settings is None else settings.max_cache_bytes
