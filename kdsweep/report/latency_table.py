"""What ``kdsweep latency`` prints: students and their teacher, and how long each takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from kdsweep.errors import printable
from kdsweep.report.table import cell, plain_table
from kdsweep.results.latency import BatchLatency, Latency

_SPREAD = "±  from the fastest block of runs to the slowest, relative to the middle one"
_UNSTABLE = (
    "~  blocks of runs did not agree before the budget was spent: the machine is not\n   quiet"
)


@dataclass(frozen=True)
class LatencyRow:
    """A student or the teacher."""

    name: str
    params: int
    latency: Latency
    trial: str = ""
    """The id of the trial; empty of the teacher."""
    shared_with: str | None = None
    """The trial that was timed in its place: theirs is one network."""


def latency_table(
    rows: Sequence[LatencyRow], teacher: LatencyRow | None, *, title: str
) -> RenderableType:
    """A line for each batch size of each student that was timed, the teacher last.

    Trials that share its numbers are named below, and have no line of their own.
    """
    table = plain_table()
    table.add_column("student", overflow="fold")
    compared = [] if teacher is None else ["x teacher"]
    for header in ("params", "batch", "p50 ms", "±", "p95 ms", "±", *compared, "per s"):
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("trial", overflow="fold", style="dim")
    timed = [row for row in rows if row.shared_with is None]
    for row in (*timed, *([teacher] if teacher is not None else [])):
        who = [row.name, f"{row.params:,}"]
        for each in row.latency.batches:
            faster = [] if teacher is None else [f"{_faster(each, teacher):.2g}"]
            said = [
                str(each.batch), _ms(each.p50_ms), _spread(each), _ms(each.p95_ms),
                _percent(each.p95_spread),
            ]  # fmt: skip
            table.add_row(*map(cell, [*who, *said, *faster, f"{each.per_second:,.0f}", row.trial]))
            who = ["", ""]
    every = [each for row in rows for each in row.latency.batches]
    notes = [_SPREAD, *([] if all(each.stable for each in every) else [_UNSTABLE]), *_same(rows)]
    return Group(Text(printable(title), style="bold"), table, Text(printable("\n".join(notes))))


def _same(rows: Sequence[LatencyRow]) -> list[str]:
    """A line for each network that several trials have: it was timed once for all of them."""
    others: dict[str, list[str]] = {}
    for row in rows:
        if row.shared_with is not None:
            others.setdefault(row.shared_with, []).append(row.trial)
    return [
        f"{', '.join(trials)}: the same network as {timed}, timed once for all of them"
        for timed, trials in others.items()
    ]


def latency_rows(rows: Sequence[LatencyRow], teacher: LatencyRow | None) -> list[dict[str, Any]]:
    """The same as plain data, the teacher last; what it has no number for is ``None``."""
    return [
        {
            "trial_id": row.trial or None,
            "name": row.name,
            "params": row.params,
            "shared_with": row.shared_with,
            "batches": [
                {
                    **each.model_dump(),
                    "per_second": each.per_second,
                    "times_faster_than_teacher": None
                    if teacher is None
                    else _faster(each, teacher),
                }
                for each in row.latency.batches
            ],
        }
        for row in (*rows, *([teacher] if teacher is not None else []))
    ]


def _faster(each: BatchLatency, teacher: LatencyRow) -> float:
    whole = teacher.latency.of(each.batch)
    assert whole is not None, "students and teacher are timed with the same batches"
    return whole.p50_ms / max(each.p50_ms, 1e-9)


def _ms(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:,.0f}"


def _spread(each: BatchLatency) -> str:
    share = _percent(each.spread)
    return share if each.stable else f"~{share}"


def _percent(spread: float | None) -> str:
    return "-" if spread is None else f"{100 * spread:.0f} %"
