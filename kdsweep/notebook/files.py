"""What is taken out of a notebook as files: a student, and the report of a sweep."""

import os
from collections.abc import Sequence
from pathlib import Path

from kdsweep.notebook.given import names_given, path_given
from kdsweep.report.pictures import Importance
from kdsweep.results.called import point_of
from kdsweep.results.record import TrialResult
from kdsweep.results.store import RunStore


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

    names = names_given(formats, what="format", example="onnx")
    folder = None if out is None else Path(path_given(out, what="folder", example="student"))
    asked = Asked(
        chosen_formats(names, int8=int8), int8=int8, out=folder,
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
    from kdsweep.report.answers.confirmed import told
    from kdsweep.report.page_file import check_page, write_page
    from kdsweep.report.picture_files import view_of
    from kdsweep.report.pictures import draw
    from kdsweep.report.whole_report import sections
    from kdsweep.results.confirmations import confirmations_of

    page = Path(path_given(path, what="file", example="report.html"))
    check_page(page)
    view = view_of(store, results, front, importance)
    found = sections(view, store.place, confirmation=told(confirmations_of(store)))
    write_page(page, view, store.place, found, draw(view))
    return page
