"""The front as files in the run directory."""

from collections.abc import Sequence
from pathlib import Path

from kdsweep.report.axes import teacher_metrics
from kdsweep.report.picture import front_picture
from kdsweep.report.rows import completed, csv_text
from kdsweep.results.record import TrialResult
from kdsweep.results.store import RunStore
from kdsweep.storage.atomic import write_files


def front_files(store: RunStore) -> tuple[Path, Path]:
    """Where the front's table and picture go."""
    return store.directory / "front.csv", store.directory / "front.png"


def write_front(
    store: RunStore, results: Sequence[TrialResult], front: Sequence[TrialResult]
) -> tuple[Path, Path]:
    """Write ``front.csv`` and ``front.png`` into the run directory, each whole or not at all.

    Raises:
        OSError: the directory cannot be written to.
    """
    table, picture = front_files(store)
    meta = store.meta
    drawn = front_picture(
        results, front, meta.objectives,
        title=f"{meta.name}: {completed(results)}", teacher=teacher_metrics(meta, results),
    )  # fmt: skip
    write_files(store.directory, {table.name: csv_text(front).encode(), picture.name: drawn})
    store.sent(table.name, picture.name)
    return table, picture
