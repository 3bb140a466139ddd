"""What ``kdsweep check`` says of students, and of settings one by one."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kdsweep.sweep_file import Measured


def lines(smallest: "Measured", largest: "Measured") -> list[str]:
    """The ends of the range of students; one line where all are of one size."""
    if smallest.sizes == largest.sizes:
        return [f"  students    {_described(smallest)}"]
    return [f"  students    {_described(smallest)}", f"              {_described(largest)}"]


def _described(student: "Measured") -> str:
    words = " ".join((student.component.name, *setting_words(student.component.settings)))
    return f"{student.params:>12,} params, {student.macs:>15,} multiply-adds  {words}"


def setting_words(settings: "Mapping[str, Any]") -> list[str]:
    """Each setting with its value, nested ones by dotted path; without those that are null."""
    from kdsweep.report.labels import flatten, value_words

    flat = flatten(settings).items()
    return [f"{path}={value_words(value)}" for path, value in flat if value != "null"]
