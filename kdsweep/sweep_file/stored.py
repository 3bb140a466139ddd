"""What is stored of each teacher in a sweep or by a trial, settled before anything runs."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from kdsweep import catalog
from kdsweep.data.base import Extent
from kdsweep.spec import Component, Space, TeacherSpec, TrialSpec
from kdsweep.spec.trial import MAIN_TEACHER, StoredWord
from kdsweep.sweep_file.asked import LOGITS, Asked, Room, bytes_in_words, storable, views_seen
from kdsweep.sweep_file.parts import (
    StoredPart,
    identity_of,
    layers_by_model,
    model_key,
    not_at_a_corner,
    part_key,
    size_of,
    with_all_layers,
)
from kdsweep.sweep_file.resolve import resolved
from kdsweep.sweep_file.unseen_parts import unseen_parts

_BY_AMOUNT: tuple[StoredWord, ...] = ("none", "logits", "features")


@dataclass(frozen=True)
class Wanted:
    """A trial whose strategies can be built, and what it asks of each teacher that it reads."""

    trial: TrialSpec
    asked: Mapping[str, Asked]
    extent: Extent | None


@dataclass(frozen=True)
class StoredPlan:
    """What is stored of one teacher, of all that the strategies ask of it.

    ``parts`` are of the data sets and the teachers of that name in the space, the one that takes
    most first. Where they are too many to list they are those at its corners, and there may be as
    many more as ``unseen`` says. With ``is_bound`` some are counted as if they were the largest.
    ``live`` says of strategies, by name, why they ask the teacher
    itself.
    """

    teacher: str
    stored: StoredWord
    max_cache_bytes: int
    parts: tuple[StoredPart, ...]
    unseen: int = 0
    is_bound: bool = False
    live: Mapping[str, str] = field(default_factory=dict)
    refused: str = ""
    """The sentence on what is asked and has no room; empty where all has."""

    @property
    def num_bytes(self) -> int | None:
        """What is stored takes; ``None`` where the samples are not counted yet."""
        return self.bytes_of(self.stored)

    def bytes_of(self, word: StoredWord) -> int | None:
        """What all parts together would take; those that are not seen as if they were largest."""
        each = [part.num_bytes(part.values(word)) for part in self.parts]
        counted = [num for num in each if num is not None]
        if len(counted) < len(each):
            return None
        return sum(counted) + self.unseen * self._largest(word)

    def _largest(self, word: StoredWord) -> int:
        views = max(part.num_views or 0 for part in self.parts)
        samples = max(part.num_samples or 0 for part in self.parts)
        values = max(part.values(word) for part in self.parts)
        return Room(Extent(samples, views), values, 0).num_bytes

    @property
    def layers(self) -> dict[str, tuple[str, ...]]:
        """By ``model_key``, the module paths at which all outputs are stored where a teacher has
        them; logits always."""
        if self.stored != "features" or self.num_bytes is None:
            return {}
        return {
            model: tuple(paths) for model, paths in layers_by_model(self.parts).items() if paths
        }


ValuesOf = Callable[[TrialSpec, str], Mapping[str, int]]
"""Values for each example of a trial's teacher: at each module path, and of its logits."""


def plans(
    trial: TrialSpec,
    wanted: Iterable[Wanted],
    *,
    epochs: int,
    values_of: ValuesOf,
    space: Space | None = None,
    num_trials: int = 1,
    max_bytes: int | None = None,
) -> tuple[StoredPlan, ...]:
    """What is stored of each teacher that is read, if a training has up to ``epochs`` epochs.

    There may be up to ``num_trials`` trials in ``space``, of whose corners ``wanted`` are.
    ``max_bytes`` are for all teachers together, whatever each may have by itself.
    """
    each = list(wanted)
    share = None if max_bytes is None else max_bytes // max(1, len(trial.all_teachers))
    found = []
    for name in trial.all_teachers:
        groups = _groups(name, each)
        if groups:
            parts = [_part(name, group, epochs) for group in groups]
            seen = {part.key for part in parts}
            others, num_others = unseen_parts(
                name, trial, space or Space(), seen=seen, num_trials=num_trials
            )
            paths = layers_by_model(parts)
            parts = [
                with_all_layers(part, paths, values_of(group[0].trial, name))
                for part, group in zip(parts, groups, strict=True)
            ]
            more = [
                not_at_a_corner(name, other, parts, paths, values_of(other, name))
                for other in others
            ]
            more = sorted(more, key=size_of, reverse=True)[:num_others]
            unseen = 0 if others else num_others
            plan = _plan(name, groups, [*parts, *more], unseen, share)
            found.append(replace(plan, is_bound=num_others > 0))
    return tuple(found)


def settled(trial: TrialSpec, found: Iterable[StoredPlan]) -> TrialSpec:
    """The trial with a definite word for what is stored of each teacher: it repeats its numbers."""
    word = {plan.teacher: plan.stored for plan in found}
    changed = {
        name: each.model_copy(update={"stored": word.get(name, each.stored)})
        for name, each in trial.all_teachers.items()
    }
    if not changed:
        return trial
    update: dict[str, object] = {MAIN_TEACHER: changed.pop(MAIN_TEACHER)}
    if changed:
        update["teachers"] = changed
    return trial.model_copy(update=update)


def for_outputs(max_bytes: int | None) -> int | None:
    """Half of what a sweep may keep: the other is for students and checkpoints."""
    return None if max_bytes is None else max_bytes // 2


def most_epochs(trial: TrialSpec, space: Space) -> int:
    """The epochs of the longest training of a space."""
    found = [trial.train.epochs]
    for corner in space.corners():
        value = corner.changes.get("train.epochs")
        below = corner.changes.get("train")
        if isinstance(below, Mapping):
            value = below.get("epochs", value)
        found += [value] if isinstance(value, int) else []
    return max(found)


def _groups(name: str, wanted: Iterable[Wanted]) -> list[list[Wanted]]:
    """The trials that read a teacher of that name, by data set and teacher."""
    found: dict[str, list[Wanted]] = {}
    for each in wanted:
        if name in each.asked:
            teacher = each.trial.all_teachers[name]
            key = f"{each.trial.data.model_dump_json()} {teacher.model_dump_json()}"
            found.setdefault(key, []).append(each)
    return list(found.values())


def _plan(
    name: str,
    groups: list[list[Wanted]],
    parts: Sequence[StoredPart],
    unseen: int,
    share: int | None,
) -> StoredPlan:
    teachers = [group[0].trial.all_teachers[name] for group in groups]
    parts = sorted(parts, key=size_of, reverse=True)
    most = min(teacher.max_cache_bytes for teacher in teachers)
    most = most if share is None else min(most, share)
    plan = StoredPlan(name, "none", most, tuple(parts), unseen)
    words = [_word(plan, teacher) for teacher in teachers]
    word, refused = min(words, key=lambda each: _BY_AMOUNT.index(each[0]))
    live: dict[str, str] = {}
    for group in groups:
        live |= _live(name, group, None if plan.bytes_of("features") is None else word)
    return replace(plan, stored=word, live=live, refused=refused)


def _part(name: str, group: list[Wanted], epochs: int) -> StoredPart:
    first = group[0]
    stored, extent = first.trial.all_teachers[name].stored, first.extent
    outputs: dict[str, int] = {}
    logits: dict[str, int] = {}
    for each in group:
        asked = each.asked[name]
        if storable("logits" if stored == "logits" else "features", asked):
            outputs = {LOGITS: asked.logits, **outputs, **asked.layers}
        if storable("logits", asked):
            logits = {LOGITS: asked.logits}
    whole = TrialSpec.model_validate(resolved(first.trial))
    return StoredPart(
        part_key(whole, name),
        model_key(whole, name),
        identity_of(whole, name),
        None if extent is None else len(views_seen(extent.num_views, epochs)),
        None if extent is None else extent.num_samples,
        outputs,
        logits,
    )


def _live(name: str, group: list[Wanted], word: StoredWord | None) -> dict[str, str]:
    """The strategies that ask the teacher itself, with the reason; so far as that is settled."""
    by_word = {"none": "nothing is stored", "logits": "features are not stored"}
    found: dict[str, str] = {}
    for each in group:
        asked = each.asked[name]
        if not storable("features", asked):
            found[_named(each.trial)] = asked.obstacle or _first_of(asked.unfit)
        elif word is not None and not storable(word, asked):
            found[_named(each.trial)] = by_word[word]
    return found


def _first_of(unfit: Mapping[str, str]) -> str:
    (path, reason), *more = unfit.items()
    return f"{path}: {reason}" + (f", and {len(more)} more" if more else "")


def _word(plan: StoredPlan, teacher: TeacherSpec) -> tuple[StoredWord, str]:
    """The definite word, and the sentence on what has no room."""
    wanted: StoredWord = "logits" if teacher.stored == "logits" else "features"
    if teacher.stored == "none" or not any(part.values(wanted) for part in plan.parts):
        return "none", ""
    whole, logits = plan.bytes_of(wanted), plan.bytes_of("logits")
    if whole is None or logits is None:
        # By the settings alone, each trial being held to its bytes as it starts.
        word: StoredWord = "logits" if teacher.stored == "auto" else teacher.stored
        return (word if any(part.values(word) for part in plan.parts) else "none"), ""
    if wanted == "features" and all(set(part.outputs) <= {LOGITS} for part in plan.parts):
        wanted = "logits"
    if whole <= plan.max_cache_bytes:
        return wanted, ""
    limit = f"more than max_cache_bytes allows ({bytes_in_words(plan.max_cache_bytes)})"
    of_all = "together " if sum(len(part.outputs) for part in plan.parts) > 1 else ""
    if wanted == "features" and 0 < logits <= plan.max_cache_bytes:
        some = f"only logits ({bytes_in_words(logits)}) are"
        return "logits", f"{of_all}{bytes_in_words(whole)}, {limit}: {some}"
    alone = f" (logits alone {bytes_in_words(logits)})" if 0 < logits < whole else ""
    return "none", f"{of_all}{bytes_in_words(whole)}{alone}, {limit}: nothing is"


def _named(trial: TrialSpec) -> str:
    each: tuple[Component, ...] = (trial.strategy, *catalog.extras(trial.strategy).values())
    return " + ".join(component.name for component in each)
