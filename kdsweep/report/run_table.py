"""Runs as rows and as a table."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType

from kdsweep.report.table import cell, plain_table
from kdsweep.results.record import ENDED, TrialResult
from kdsweep.results.store import RunStore

_BETWEEN = 2


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
        "confirms": None if meta.confirms is None else meta.confirms.run,
        "objectives": dict(meta.objectives),
        "sampler": meta.sampler,
        "planned": meta.trials,
        **{s: sum(r.status == s for r in trials) for s in (*ENDED, "stopped")},
        "front_size": len(front),
        # That of a confirmation is on test data, and `kdsweep confirm --show` tells it.
        "best_accuracy": max(accuracies, default=None) if meta.confirms is None else None,
        "wall_seconds": meta.wall_seconds,
        "unreadable": len(store.problems),
    }


def run_table(rows: Sequence[Mapping[str, Any]], *, width: int = 80) -> RenderableType:
    """Rows of ``run_row`` for a terminal so wide; the place that all lie in is above them, once.

    What no run has gets no column, and the time of day goes where the names need its room.
    """
    table = plain_table()
    places = {row["run"].rpartition("/")[0] for row in rows}
    place = places.pop() if len(places) == 1 else ""
    names = [row["run"].rpartition("/")[2] if place else row["run"] for row in rows]
    columns = _columns(rows)
    begun = [row["created"][:16].replace("T", " ") for row in rows]
    needed = sum(_BETWEEN + max(map(len, column)) for column in (names, begun))
    needed += sum(_BETWEEN + max(map(len, (title, *texts))) for title, texts in columns.items())
    if needed > width:
        begun = [each[:10] for each in begun]
    table.add_column("run", overflow="fold")
    for title in columns:
        table.add_column(
            title, justify="left" if title in ("confirms", "status") else "right", no_wrap=True
        )
    table.add_column("begun", no_wrap=True)
    for number, name in enumerate(names):
        cells = (texts[number] for texts in columns.values())
        table.add_row(cell(name), *map(cell, cells), cell(begun[number]))
    # Not as the table's own title, which is folded where the table is narrow.
    return Group(cell(f"in {place}"), table) if place else table


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Titles and texts between the name of a run and its date."""
    bests = (row["best_accuracy"] for row in rows)
    columns = {
        "confirms": [row.get("confirms") or "" for row in rows],
        "status": [row["status"] for row in rows],
        "ended": [_of(sum(row[s] for s in ENDED), row["planned"]) for row in rows],
        "pruned": [str(row["pruned"] or "") for row in rows],
        "failed": [str(row["failed"] or "") for row in rows],
        "front": [str(row["front_size"]) for row in rows],
        "best": ["" if best is None else f"{100 * best:.2f}%" for best in bests],
    }
    return {title: texts for title, texts in columns.items() if any(texts)}


def _of(ended: int, planned: int | None) -> str:
    return str(ended) if planned is None else f"{ended}/{planned}"
