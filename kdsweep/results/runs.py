"""The runs under a directory."""

import os
from pathlib import Path

from kdsweep.errors import ResultError
from kdsweep.results.names import META_FILE
from kdsweep.results.store import RunStore


def find_runs(root: Path) -> tuple[list[RunStore], list[str]]:
    """The runs directly under ``root`` (or ``root`` itself), newest first, and what is damaged.

    Raises:
        ResultError: ``root`` is not a directory.
    """
    if not root.is_dir():
        raise ResultError(
            "is not a directory; give the one that holds the runs (`kdsweep run` makes runs/)",
            source=root,
        )
    stores: list[RunStore] = []
    problems: list[str] = []
    for directory in _candidates(root):
        try:
            stores.append(RunStore.open(directory))
        except ResultError as error:
            problems.append(str(error))
    return sorted(stores, key=lambda store: store.meta.created, reverse=True), problems


def _candidates(root: Path) -> list[Path]:
    if (root / META_FILE).exists():
        return [root]
    with os.scandir(root) as entries:
        # A name with a leading dot is a run that is still being made.
        names = sorted(entry.name for entry in entries if not entry.name.startswith("."))
    return [root / name for name in names if (root / name / META_FILE).is_file()]
