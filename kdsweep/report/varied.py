"""What varied among trials: every setting that the search set, by its dotted path."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kdsweep.report.labels import SIZES, flatten, setting_name, value_words
from kdsweep.results.record import TrialResult

_LONGEST = 40
_SAID = ("student.name", "student.model", "strategy.name")
"""By the labels of student and strategy."""


@dataclass(frozen=True)
class Varied:
    """A setting and what each of the trials has there; ``None`` where one has no such setting."""

    path: str
    header: str
    values: tuple[Any, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        """The values for people; empty where there is none."""
        return tuple(map(_text, self.values))


def settings_of(results: Sequence[TrialResult]) -> list[dict[str, Any]]:
    """For each trial its value of every setting that the search set in any of them.

    By dotted path; also in trials where the search left the setting as it was. What sets several
    paths together is there under its own name as well.
    """
    trials = [_Flat(result) for result in results]
    paths = dict.fromkeys(path for trial in trials for path in (*trial.set_by, *trial.drawn))
    return [{path: trial.values.get(path) for path in paths} for trial in trials]


def varied(results: Sequence[TrialResult]) -> list[Varied]:
    """What differs among the trials and is not said by the labels of student and strategy.

    What the search drew, unless all trials have the same; and what the members of a choice set,
    where trials that have such a setting differ in it. Of one trial alone all that was drawn.
    """
    trials = [_Flat(result) for result in results]
    settings = settings_of(results)
    drawn = {path for trial in trials for path in trial.drawn}
    # What is set together has a name of its own, which says it.
    entries = {name.partition("[")[0] for result in results for name in result.params}
    chosen = {p for trial in trials for p, entry in trial.set_by.items() if entry in entries}
    found = []
    for path in settings[0] if settings else ():
        values = tuple(each[path] for each in settings)
        had = values if path in drawn else tuple(value for value in values if value is not None)
        differs = any(value != had[0] for value in had)
        alone = len(trials) == 1 and path in drawn
        wanted = alone or (differs and (path in drawn or path in chosen))
        if wanted and not _said(path, trials):
            found.append((path, values))
    headers = _headers([path for path, _ in found])
    return [Varied(path, headers[path], values) for path, values in found]


def with_owners(settings: Sequence[Varied], results: Sequence[TrialResult]) -> list[Varied]:
    """The same of these ``results``, with a weight called after what it is the weight of.

    In a table the strategy stands beside it; alone it is ``fitnet.weight``, or ``strategy.weight``
    where several strategies have one.
    """
    taken = {each.header for each in settings}
    found = []
    for each in settings:
        name = each.header
        if each.header == "weight" and each.path == "strategy.weight":
            owners = {
                str(flatten(result.trial).get("strategy.name", "strategy")).rpartition(":")[2]
                for result, value in zip(results, each.values, strict=True) if value is not None
            }  # fmt: skip
            name = f"{owners.pop()}.weight" if len(owners) == 1 else each.path
            name = each.path if name in taken else name
        found.append(replace(each, header=name))
    return found


class _Flat:
    """A trial's settings as leaves: their values, which were drawn, and which entry set them."""

    def __init__(self, result: TrialResult) -> None:
        whole = flatten(result.trial)
        self.set_by: dict[str, str] = {}
        self.drawn: dict[str, None] = {}
        self.values: dict[str, Any] = dict(whole)
        for entry, changed in result.changes.items():
            for path, value in flatten({entry: changed}).items():
                leaf = _leaf(path, whole) or path
                self.set_by[leaf] = entry
                self.values.setdefault(leaf, value)
        for name, label in result.params.items():
            drawn = _drawn_path(name, whole)
            if drawn != "":
                self.drawn[drawn or name] = None
            if drawn is None:
                self.values.setdefault(name, label)


def _leaf(path: str, whole: Mapping[str, Any]) -> str | None:
    """The leaf at a path: of a component that is given by its name alone, the name."""
    return next((each for each in (path, f"{path}.name") if each in whole), None)


def _drawn_path(name: str, whole: Mapping[str, Any]) -> str | None:
    """The leaf that a dimension sets.

    Empty for a mapping, whose leaves differ; ``None`` for what has no place in the trial, as a
    choice that sets several paths, under a name of its own.
    """
    for given in (name, name.partition("].")[2]):
        path = re.sub(r"\[[^\]]*\]", "", given)
        found = _leaf(path, whole)
        if found is not None:
            return found
        if path and any(each.startswith(f"{path}.") for each in whole):
            return ""
    return None


def _said(path: str, trials: Iterable[_Flat]) -> bool:
    """Whether the labels of student and strategy say it."""
    above, _, key = path.rpartition(".")
    if path in _SAID or (above == "student" and key in SIZES):
        return True
    if path == "strategy.extra" or above == "strategy.extra":
        return True
    having = [trial for trial in trials if path in trial.values]
    # Of a class of one's own the label has every number.
    return above == "student" and all(
        ":" in str(trial.values.get("student.name"))
        and isinstance(trial.values[path], int | float) for trial in having
    )  # fmt: skip


def _headers(paths: Sequence[str]) -> dict[str, str]:
    """Short where that is clear, else the whole path."""
    names = {path: setting_name(path) for path in paths}
    taken = list(names.values())
    return {path: name if taken.count(name) == 1 else path for path, name in names.items()}


def _text(value: Any) -> str:
    text = "" if value is None else value_words(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
