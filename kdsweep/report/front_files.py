"""The front as files in the run directory."""

from collections.abc import Sequence
from pathlib import Path

from kdsweep.report.axes import teacher_metrics
from kdsweep.report.picture import draw_front
from kdsweep.report.rows import completed, csv_text
from kdsweep.results.record import TrialResult
from kdsweep.results.store import RunStore
from kdsweep.storage.atomic import write_bytes


def front_files(store: RunStore) -> tuple[Path, Path]:
    """Where the front's table and picture go."""
    return store.directory / "front.csv", store.directory / "front.png"


def write_front(
    store: RunStore, results: Sequence[TrialResult], front: Sequence[TrialResult]
) -> tuple[Path, Path]:
    """Write ``front.csv`` and ``front.png`` into the run directory and name them.

    Raises:
        OSError: the directory cannot be written to.
    """
    table, picture = front_files(store)
    write_bytes(table, csv_text(front).encode())
    meta = store.meta
    draw_front(
        picture, results, front, meta.objectives,
        title=f"{meta.name}: {completed(results)}", teacher=teacher_metrics(meta, results),
    )  # fmt: skip
    store.sent(table.name, picture.name)
    return table, picture
