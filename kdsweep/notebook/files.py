"""What is taken out of a notebook as files: a student, and the report of a sweep."""

import os
from collections.abc import Sequence
from pathlib import Path

from kdsweep.errors import ResultError
from kdsweep.report.pictures import Importance
from kdsweep.results.called import point_of
from kdsweep.results.record import TrialResult
from kdsweep.results.store import RunStore
from kdsweep.storage.atomic import write_bytes


def export_to_folder(
    store: RunStore,
    results: Sequence[TrialResult],
    trial: TrialResult,
    formats: str | Sequence[str],
    *,
    int8: bool,
    out: str | os.PathLike[str] | None,
    licence: str,
    force: bool,
) -> Path:
    """The folder of an export, as ``kdsweep export`` makes it.

    Raises:
        ResultError: a format is unknown, the student cannot be exported, a file disagrees with it,
            or the folder is there already. Nothing is left then.
    """
    # Of torch, which takes seconds.
    from kdsweep.export.files import chosen_formats
    from kdsweep.export.folder import Asked, export_student

    names = (formats,) if isinstance(formats, str) else tuple(formats)
    asked = Asked(
        chosen_formats(names, int8=int8), int8=int8, out=None if out is None else Path(out),
        licence=licence, force=force, point=point_of(results, trial),
    )  # fmt: skip
    return export_student(store, trial, asked).folder


def write_report(
    store: RunStore,
    results: Sequence[TrialResult],
    front: Sequence[TrialResult],
    importance: Importance | None,
    path: str | os.PathLike[str],
) -> Path:
    """The page of ``kdsweep report`` at ``path``.

    Raises:
        ResultError: it cannot be written there.
    """
    from kdsweep.report.picture_files import view_of
    from kdsweep.report.whole_report import report_page, sections

    page = Path(path)
    if page.is_dir():
        raise ResultError("is a directory; give the name of a file", source=page)
    if not page.absolute().parent.is_dir():
        raise ResultError(f"there is no directory {page.parent}; make it first", source=page)
    view = view_of(store, results, front, importance)
    found = sections(view, store.place)
    try:
        write_bytes(page, report_page(view, store.place, found))
    except OSError as error:
        raise ResultError(
            f"the report cannot be written: {error.strerror or error}", source=page
        ) from error
    return page
