"""Runs as rows and as a table."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from kdsweep.report.table import plain_table
from kdsweep.results.record import ENDED, TrialResult
from kdsweep.results.store import RunStore


def run_row(
    store: RunStore, results: Sequence[TrialResult], front: Sequence[TrialResult]
) -> dict[str, Any]:
    """A run in one flat row; a run whose driver is gone is ``interrupted``, not running."""
    meta = store.meta
    trials = [result for result in results if result.role != "teacher"]
    accuracies = [r.metrics["accuracy"] for r in front if "accuracy" in r.metrics]
    gone = meta.status == "running" and not store.is_held()
    return {
        "run": store.place,
        "name": meta.name,
        "status": "interrupted" if gone else meta.status,
        "created": meta.created,
        "objectives": dict(meta.objectives),
        "sampler": meta.sampler,
        "planned": meta.trials,
        **{s: sum(r.status == s for r in trials) for s in (*ENDED, "stopped")},
        "front_size": len(front),
        "best_accuracy": max(accuracies, default=None),
        "wall_seconds": meta.wall_seconds,
        "unreadable": len(store.problems),
    }


def run_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Rows of ``run_row`` for the terminal."""
    table = plain_table()
    table.add_column("run", overflow="fold")
    table.add_column("status")
    for title in ("trials", "pruned", "failed", "front", "best"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("begun", no_wrap=True)
    for row in rows:
        best = row["best_accuracy"]
        table.add_row(
            Text(row["run"]),
            row["status"],
            _of(row["complete"], row["planned"]),
            str(row["pruned"] or ""),
            str(row["failed"] or ""),
            str(row["front_size"]),
            "" if best is None else f"{100 * best:.2f}%",
            row["created"][:16].replace("T", " "),
        )
    return table


def _of(ended: int, planned: int | None) -> str:
    return str(ended) if planned is None else f"{ended}/{planned}"
