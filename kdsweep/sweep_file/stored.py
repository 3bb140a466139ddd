"""What is stored of each teacher in a sweep or by a trial, settled before anything runs."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from kdsweep import catalog
from kdsweep.data.base import Extent
from kdsweep.spec import Component, Space, TeacherSpec, TrialSpec
from kdsweep.spec.trial import MAIN_TEACHER, StoredWord
from kdsweep.sweep_file.asked import LOGITS, Asked, Room, bytes_in_words, storable, views_seen

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

    ``outputs`` has values for each example in one view, the logits first, then layers by module
    path; ``live`` says of strategies, by name, why they ask the teacher itself. Of several data
    sets, or teachers of that name, it is the one that takes most.
    """

    teacher: str
    stored: StoredWord
    max_cache_bytes: int
    num_views: int | None
    num_samples: int | None
    outputs: Mapping[str, int]
    live: Mapping[str, str] = field(default_factory=dict)
    refused: str = ""
    """The sentence on what is asked and has no room; empty where all has."""

    def room(self, values: int) -> Room | None:
        """What so many values take; ``None`` where the samples are not counted yet."""
        if self.num_views is None or self.num_samples is None:
            return None
        return Room(Extent(self.num_samples, self.num_views), values, self.max_cache_bytes)

    @property
    def num_bytes(self) -> int | None:
        """What is stored takes; ``None`` where the samples are not counted yet."""
        stored = {"none": 0, "logits": self.outputs[LOGITS]}
        room = self.room(stored.get(self.stored, sum(self.outputs.values())))
        return None if room is None else room.num_bytes


def plans(trial: TrialSpec, wanted: Iterable[Wanted], *, epochs: int) -> tuple[StoredPlan, ...]:
    """What is stored of each teacher that is read, if a training has up to ``epochs`` epochs."""
    each = list(wanted)
    found = []
    for name in trial.all_teachers:
        groups = list(_groups(name, each, epochs))
        if groups:
            most = max(groups, key=lambda plan: (bool(plan.refused), plan.num_bytes or 0))
            least = min((plan.stored for plan in groups), key=_BY_AMOUNT.index)
            found.append(replace(most, stored=least))
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


def _groups(name: str, wanted: Iterable[Wanted], epochs: int) -> Iterator[StoredPlan]:
    """A plan for each data set and teacher of that name."""
    by_group: dict[str, list[Wanted]] = {}
    for each in wanted:
        if name in each.asked:
            teacher = each.trial.all_teachers[name]
            key = f"{each.trial.data.model_dump_json()} {teacher.model_dump_json()}"
            by_group.setdefault(key, []).append(each)
    for group in by_group.values():
        yield _plan(name, group, epochs)


def _plan(name: str, group: list[Wanted], epochs: int) -> StoredPlan:
    teacher, extent = group[0].trial.all_teachers[name], group[0].extent
    outputs = {LOGITS: group[0].asked[name].logits}
    live: dict[str, str] = {}
    for each in group:
        asked = each.asked[name]
        if not storable("features", asked):
            live[_named(each.trial)] = asked.obstacle or _first_of(asked.unfit)
        elif teacher.stored in ("auto", "features"):
            outputs |= asked.layers
    views = None if extent is None else len(views_seen(extent.num_views, epochs))
    samples = None if extent is None else extent.num_samples
    plan = StoredPlan(name, "none", teacher.max_cache_bytes, views, samples, outputs, live)
    word, refused = _word(plan, teacher)
    if extent is not None:
        live |= _live_by_word(name, group, word, live)
    return replace(plan, stored=word, refused=refused)


def _first_of(unfit: Mapping[str, str]) -> str:
    (path, reason), *more = unfit.items()
    return f"{path}: {reason}" + (f", and {len(more)} more" if more else "")


def _word(plan: StoredPlan, teacher: TeacherSpec) -> tuple[StoredWord, str]:
    """The definite word, and the sentence on what has no room."""
    if teacher.stored == "none":
        return "none", ""
    whole = plan.room(sum(plan.outputs.values()))
    if whole is None:
        # By the settings alone, each trial being held to its bytes as it starts.
        return ("logits" if teacher.stored == "auto" else teacher.stored), ""
    wanted: StoredWord = "features" if len(plan.outputs) > 1 else "logits"
    if whole.fits:
        return wanted, ""
    limit = f"more than max_cache_bytes allows ({bytes_in_words(plan.max_cache_bytes)})"
    logits = plan.room(plan.outputs[LOGITS])
    if wanted == "features" and logits is not None and logits.fits:
        return "logits", f"together {bytes_in_words(whole.num_bytes)}, {limit}: only logits are"
    return "none", f"{bytes_in_words(whole.num_bytes)}, {limit}: nothing is"


def _live_by_word(
    name: str, group: list[Wanted], word: StoredWord, known: Mapping[str, str]
) -> dict[str, str]:
    """The strategies that could live on stored outputs, and by the word do not."""
    reasons = {"none": "nothing is stored", "logits": "features are not stored"}
    return {
        _named(each.trial): reasons[word]
        for each in group
        if _named(each.trial) not in known and not storable(word, each.asked[name])
    }


def _named(trial: TrialSpec) -> str:
    each: tuple[Component, ...] = (trial.strategy, *catalog.extras(trial.strategy).values())
    return " + ".join(component.name for component in each)
