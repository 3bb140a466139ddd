"""Trials as flat rows, the same in every file and for scripts."""

import csv
import math
from collections.abc import Sequence
from io import StringIO
from typing import Any

from kdsweep.report.labels import strategy_label, student_label
from kdsweep.report.varied import settings_of
from kdsweep.results.noise import accuracy_interval
from kdsweep.results.record import TrialResult
from kdsweep.results.replicates import PointResult, by_point

VARYING = ("accuracy", "loss", "latency_ms")
"""The metrics that differ from one replicate to the next."""

METRICS = ("accuracy", "loss", "params", "macs", "size_bytes", "latency_ms")

_COLUMNS = (
    "number", "trial_id", "name", "role", "status", "student", "strategy",
    "accuracy", "accuracy_low", "accuracy_high", *METRICS[1:], "seconds", "device", "weights",
)  # fmt: skip
"""Of every table of trials, in their order."""


def rows(results: Sequence[TrialResult]) -> list[dict[str, Any]]:
    """A flat row for each: who it is, its metrics, its weights, and its settings.

    A metric without a finite value is none: neither JSON nor CSV has a number for it. A point of
    several replicates has their mean, and three further columns and deviations. ``settings`` has
    the value of everything that the search set in any of them; ``changes`` is what it set here.
    """
    settings = settings_of(results)
    return [_row(result, own) for result, own in zip(results, settings, strict=True)]


def rows_with_intervals(
    results: Sequence[TrialResult], examples: int | None
) -> list[dict[str, Any]]:
    """The same with ``accuracy_low`` and ``accuracy_high``, see ``noise.accuracy_interval``.

    ``examples`` is how many validation examples there are, if that is known.
    """
    found = []
    for result, flat in zip(results, rows(results), strict=True):
        low, high = accuracy_interval(result, examples) or (None, None)
        ends = {"accuracy_low": low, "accuracy_high": high}
        at = list(flat).index("accuracy") + 1
        items = list(flat.items())
        found.append(dict([*items[:at], *ends.items(), *items[at:]]))
    return found


def _row(result: TrialResult, settings: dict[str, Any]) -> dict[str, Any]:
    metrics = {name: finite_or_none(result.metrics.get(name)) for name in METRICS}
    for name in ("params", "macs", "size_bytes"):
        value = metrics[name]
        metrics[name] = None if value is None else int(value)
    return {
        "number": result.number,
        "trial_id": result.trial_id,
        "name": result.name,
        "role": result.role,
        "status": result.status,
        "student": student_label(result),
        "strategy": strategy_label(result),
        **metrics,
        "seconds": result.seconds,
        "device": result.device,
        "weights": result.weights,
        **(_of_point(result) if isinstance(result, PointResult) else {}),
        "settings": settings,
        "changes": result.changes,
    }


def _of_point(result: PointResult) -> dict[str, Any]:
    spread = {f"{n}_std": finite_or_none(result.deviations.get(n)) for n in VARYING}
    of = {"point": result.point, "replicates": result.replicates, "trial_ids": result.trial_ids}
    return {**spread, **of}


def csv_text(results: Sequence[TrialResult], examples: int | None = None) -> str:
    """Rows as CSV, a column for each setting that varied, empty where a trial has no such one.

    Of no results it is the header alone, of the columns that every table has.
    """
    flat_rows = []
    for flat in rows_with_intervals(results, examples):
        settings = flat.pop("settings")
        del flat["changes"]
        if "trial_ids" in flat:
            flat["trial_ids"] = " ".join(flat["trial_ids"])
        flat_rows.append({**flat, **settings})
    names = (name for flat in flat_rows for name in flat)
    columns: dict[str, None] = dict.fromkeys((*_COLUMNS, *names))
    text = StringIO()
    writer = csv.DictWriter(text, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat_rows)
    return text.getvalue()


def completed(results: Sequence[TrialResult], adjective: str = "") -> str:
    """How many results there are to choose from: ``12 trials``, ``3 points of 4 trials each``."""
    found = [r for r in by_point(results) if r.status == "complete" and r.role != "teacher"]
    words = f"{adjective} " if adjective else ""
    num = max((result.replicates for result in results), default=1)
    if num == 1:
        return f"{len(found)} {words}trials"
    return f"{len(found)} {words}point{'' if len(found) == 1 else 's'} of {num} trials each"


def finite_or_none(value: float | None) -> float | None:
    """``value`` where it is a finite number."""
    return value if value is not None and math.isfinite(value) else None
