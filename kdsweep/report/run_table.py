"""Runs as rows and as a table."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType

from kdsweep.report.table import cell, plain_table
from kdsweep.results.record import ENDED, TrialResult
from kdsweep.results.store import RunStore
from kdsweep.storage.address import is_address


def run_row(
    store: RunStore, results: Sequence[TrialResult], front: Sequence[TrialResult]
) -> dict[str, Any]:
    """A run in one flat row; one whose driver is gone has ``died``."""
    meta = store.meta
    trials = [result for result in results if result.role != "teacher"]
    accuracies = [r.metrics["accuracy"] for r in front if "accuracy" in r.metrics]
    gone = meta.status == "running" and not store.is_held()
    return {
        "run": store.place,
        "name": meta.name,
        "status": "died" if gone else meta.status,
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


def run_table(rows: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Rows of ``run_row`` for the terminal; the address of their store is above them, once."""
    table = plain_table()
    addresses = {row["run"].rpartition("/")[0] for row in rows if is_address(row["run"])}
    address = addresses.pop() if len(addresses) == 1 else None
    table.add_column("run", overflow="fold")
    table.add_column("status")
    for title in ("trials", "pruned", "failed", "front", "best"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("begun", no_wrap=True)
    for row in rows:
        best = row["best_accuracy"]
        table.add_row(
            cell(row["run"] if address is None else row["run"].rpartition("/")[2]),
            row["status"],
            _of(row["complete"], row["planned"]),
            str(row["pruned"] or ""),
            str(row["failed"] or ""),
            str(row["front_size"]),
            "" if best is None else f"{100 * best:.2f}%",
            cell(row["created"][:16].replace("T", " ")),
        )
    # Not as the table's own title, which is folded where the table is narrow.
    return table if address is None else Group(cell(f"in {address}"), table)


def _of(ended: int, planned: int | None) -> str:
    return str(ended) if planned is None else f"{ended}/{planned}"
