"""A teacher on a data set: what could be stored of it, and how it is addressed."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from kdsweep.data.base import Extent
from kdsweep.spec import TrialSpec
from kdsweep.spec.trial import StoredWord
from kdsweep.sweep_file.asked import LOGITS, Room


def part_key(trial: TrialSpec, name: str) -> str:
    """Hash of the data of a trial, with all defaults written out, and of one of its teachers."""
    teacher = trial.all_teachers[name]
    said = json.dumps([trial.data.model_dump(mode="json"), teacher.identity], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def model_key(trial: TrialSpec, name: str) -> str:
    """As ``part_key``, the same for all teachers of that name and of one class of models."""
    return f"{name} {trial.all_teachers[name].model.name}"


def identity_of(trial: TrialSpec, name: str) -> str:
    """What one of a trial's teachers follows from, the data apart."""
    return json.dumps(trial.all_teachers[name].identity, sort_keys=True)


@dataclass(frozen=True)
class StoredPart:
    """What could be stored of one teacher on one data set.

    ``outputs`` has values for each example in one view, the logits first, then layers by module
    path; of strategies that can live on logits alone ``logits`` has the same. Both are empty where
    no strategy can live on them. ``key`` and ``model`` are its ``part_key`` and ``model_key``,
    ``teacher`` what the teacher follows from.
    """

    key: str
    model: str
    teacher: str
    num_views: int | None
    num_samples: int | None
    outputs: Mapping[str, int]
    logits: Mapping[str, int]

    def num_bytes(self, values: int) -> int | None:
        """What so many values take; ``None`` where the samples are not counted yet."""
        if not values:
            return 0
        if self.num_views is None or self.num_samples is None:
            return None
        return Room(Extent(self.num_samples, self.num_views), values, 0).num_bytes

    def values(self, word: StoredWord) -> int:
        """For one example in one view, by what is stored."""
        stored: dict[StoredWord, Mapping[str, int]] = {"none": {}, "logits": self.logits}
        return sum(stored.get(word, self.outputs).values())


def layers_by_model(parts: Iterable[StoredPart]) -> dict[str, dict[str, None]]:
    """By ``model_key``, all layers that are read."""
    found: dict[str, dict[str, None]] = {}
    for part in parts:
        own = (output for output in part.outputs if output != LOGITS)
        found.setdefault(part.model, {}).update(dict.fromkeys(own))
    return found


def size_of(part: StoredPart) -> int:
    """In bytes, of all that could be stored; zero where samples are not counted."""
    return part.num_bytes(part.values("features")) or 0


def with_all_layers(
    part: StoredPart, paths: Mapping[str, Iterable[str]], values: Mapping[str, int]
) -> StoredPart:
    """With every layer that is read of any teacher of its kind, where it has it."""
    if not part.outputs:
        return part
    also = {path: values[path] for path in paths.get(part.model, ()) if path in values}
    return replace(part, outputs={**part.outputs, **also})


def not_at_a_corner(
    name: str,
    trial: TrialSpec,
    parts: Sequence[StoredPart],
    paths: Mapping[str, Iterable[str]],
    values: Mapping[str, int],
) -> StoredPart:
    """What is at no corner, as if it had the most views and samples of those that are."""
    views = [part.num_views for part in parts if part.num_views is not None]
    samples = [part.num_samples for part in parts if part.num_samples is not None]
    counted = len(views) == len(parts)
    logits = {LOGITS: values[LOGITS]} if LOGITS in values else {}
    own = StoredPart(
        part_key(trial, name),
        model_key(trial, name),
        identity_of(trial, name),
        max(views) if counted else None,
        max(samples) if counted else None,
        logits if any(part.outputs for part in parts) else {},
        logits if any(part.logits for part in parts) else {},
    )
    return with_all_layers(own, paths, values)
