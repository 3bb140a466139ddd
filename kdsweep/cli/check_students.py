"""What ``kdsweep check`` says of students, and of settings one by one."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kdsweep.sweep_file import Measured

_ROOM = 66
"""Columns beside the label."""


def lines(smallest: "Measured", largest: "Measured") -> list[str]:
    """The ends of the range of students; one line where all are of one size."""
    shown = [smallest] if smallest.sizes == largest.sizes else [smallest, largest]
    sizes = [f"{each.params:>12,} params, {each.macs:>15,} multiply-adds" for each in shown]
    words = [" ".join((e.component.name, *setting_words(e.component.settings))) for e in shown]
    beside = [f"{size}  {said}" for size, said in zip(sizes, words, strict=True)]
    if max(map(len, beside)) > _ROOM:
        beside = [part for pair in zip(sizes, words, strict=True) for part in pair]
    return [f"{'' if number else '  students':14}{line}" for number, line in enumerate(beside)]


def setting_words(settings: "Mapping[str, Any]") -> list[str]:
    """Each setting with its value, nested ones by dotted path; without those that are null."""
    from kdsweep.report.labels import flatten, value_words

    flat = flatten(settings).items()
    return [f"{path}={value_words(value)}" for path, value in flat if value != "null"]
