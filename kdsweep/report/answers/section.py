"""A part of a report: what it says, the numbers that it says it from, and how it is shown."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kdsweep.report.table import interval_text


@dataclass(frozen=True)
class Cell:
    """Text of a table with the number that it is sorted by; a number stands to the right."""

    text: str
    value: float | None = None


@dataclass(frozen=True)
class Table:
    """Rows below a header; ``note`` says what the numbers are."""

    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""

    @property
    def numeric(self) -> tuple[bool, ...]:
        """For each column whether numbers are in it, which then stand to the right."""
        columns = range(len(self.header))
        return tuple(any(row[at].value is not None for row in self.rows) for at in columns)


@dataclass(frozen=True)
class Command:
    """What a person may want to do next, as a sentence and as the line to type."""

    purpose: str
    line: str


@dataclass(frozen=True)
class Section:
    """A question and its answer.

    ``numbers`` are for scripts: plain values, of which those that are not finite become none.
    """

    key: str
    title: str
    sentences: tuple[str, ...]
    tables: tuple[Table, ...] = ()
    pictures: tuple[str, ...] = ()
    commands: tuple[Command, ...] = ()
    numbers: Mapping[str, Any] = field(default_factory=dict)


def cells(*values: "str | Cell | float | int | None") -> tuple[Cell, ...]:
    """A row: text as it is, numbers with at most four digits, nothing as a dash."""
    return tuple(_cell(value) for value in values)


def _cell(value: "str | Cell | float | int | None") -> Cell:
    if isinstance(value, Cell):
        return value
    if value is None:
        return Cell("-")
    if isinstance(value, str):
        return Cell(value)
    return Cell(f"{value:,}" if isinstance(value, int) else f"{value:.4g}", float(value))


def percent(share: float | None) -> Cell:
    """A share as percent with two decimals."""
    if share is None or not math.isfinite(share):
        return Cell("-")
    return Cell(f"{100 * share:.2f}%", share)


def percent_with(share: float | None, interval: Sequence[float] | None) -> Cell:
    """A share as percent, and below it where it lies at 95 % confidence."""
    cell = percent(share)
    if interval is None or cell.value is None:
        return cell
    return Cell(f"{cell.text}\n{interval_text(interval)}", cell.value)


def points(share: float | None) -> Cell:
    """A difference of shares in percentage points, with its sign."""
    if share is None or not math.isfinite(share):
        return Cell("-")
    return Cell(f"{100 * share:+.2f}", share)


def spread(share: float | None) -> Cell:
    """A deviation of shares in percentage points, which has no sign."""
    if share is None or not math.isfinite(share):
        return Cell("-")
    return Cell(f"{100 * share:.2f}", share)


def between(interval: Sequence[float] | None) -> str:
    """An interval of shares in percentage points: ``-0.4 to +1.2``."""
    if interval is None or not all(map(math.isfinite, interval)):
        return "-"
    return f"{100 * interval[0]:+.2f} to {100 * interval[1]:+.2f}"


def counted(num: int, noun: str) -> str:
    """``1 trial``, ``2 trials``, ``no trial``."""
    return f"{num or 'no'} {noun}{'s' if num > 1 else ''}"


def plain(value: Any) -> Any:
    """Nested numbers for JSON: what is not finite becomes none."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
