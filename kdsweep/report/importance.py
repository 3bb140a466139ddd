"""What a sweep knows of which settings mattered: one form for its picture, its words and tables."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LEAST_STUDENTS = 12
"""With fewer the best of them are too few for a density; so many must have a setting as well."""


@dataclass(frozen=True)
class SettingShare:
    """A setting's part in who is among the best, beside what it comes to by chance.

    ``setting`` is the name of its dimension; branches of one name are one, ``strategy[kd].alpha``.
    """

    setting: str
    share: float | None
    """Of the importance of all settings, which adds to one; none where too few students have it."""
    chance: float | None
    """What shuffled outcomes reach in one of twenty, in the same unit, so that it may exceed 1."""
    students: int
    """How many complete students have the setting."""

    @property
    def above_chance(self) -> bool:
        """Whether it is told from chance."""
        return self.share is not None and self.chance is not None and self.share > self.chance


@dataclass(frozen=True)
class ObjectiveImportance:
    """All settings of the space for one objective, the greatest share first."""

    settings: tuple[SettingShare, ...]
    students: int
    """How many complete students it is computed from."""
    why_missing: str = ""
    """Why there are no shares, as the end of a sentence; empty where there are."""

    @property
    def above_chance(self) -> tuple[SettingShare, ...]:
        """The settings that are told from chance."""
        return tuple(each for each in self.settings if each.above_chance)


Importance = Mapping[str, ObjectiveImportance]
"""By objective; sizes are no question, since they follow from the settings."""


def importance_rows(importance: Importance) -> list[dict[str, Any]]:
    """A flat row for each objective and setting, for tables and scripts."""
    return [
        {
            "objective": objective, "setting": each.setting, "share": each.share,
            "chance": each.chance, "above_chance": each.above_chance, "students": each.students,
        }
        for objective, found in importance.items() if not found.why_missing
        for each in found.settings
    ]  # fmt: skip


def missing_words(importance: Importance) -> dict[str, str]:
    """For each objective without shares a sentence that says why."""
    return {
        objective: f"No importance for {objective}: {found.why_missing}."
        for objective, found in importance.items() if found.why_missing
    }  # fmt: skip


def summary_words(objective: str, found: ObjectiveImportance) -> str:
    """What there is to see of an objective, in a sentence."""
    if found.why_missing:
        return missing_words({objective: found})[objective]
    above, num = found.above_chance, len(found.settings)
    of = f"of {num} settings" if num > 1 else "of 1 setting"
    told = f"{len(above)} {of} told from chance" if above else "no setting is told from chance"
    return f"{objective[:1].upper()}{objective[1:]}: {told}, {found.students} complete students."


def setting_labels(names: Sequence[str]) -> dict[str, str]:
    """Dimensions by their shortest clear names: ``train.lr``, ``kd.temperature``.

    What every student has keeps its path. Of what is in a branch the last two parts are left, or
    as many more as it takes to tell it from the others.
    """
    parts = {name: _parts(name) for name in names}
    found: dict[str, str] = {}
    for name in names:
        length = 2 if "[" in name else len(parts[name])
        others = [parts[other] for other in names if other != name]
        while length < len(parts[name]) and any(
            other[-length:] == parts[name][-length:] for other in others
        ):
            length += 1
        found[name] = ".".join(parts[name][-length:])
    taken = list(found.values())
    return {name: said if taken.count(said) == 1 else name for name, said in found.items()}


def _parts(name: str) -> list[str]:
    """The words of a dimension's name; that a member has no name of its own is none of them."""
    return [part for part in re.split(r"[\[\].]+", name) if part and "option " not in part]
