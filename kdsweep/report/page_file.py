"""The page of a report as a file."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from kdsweep.errors import ResultError
from kdsweep.report.answers.section import Section
from kdsweep.report.pictures import Drawn, SweepView
from kdsweep.report.whole_report import report_page
from kdsweep.storage.atomic import write_bytes


def check_page(page: Path) -> None:
    """Check that a page can be made there.

    Raises:
        ResultError: it is a directory, or in none that is there; or it is no ordinary file, as a
            device or a link is none.
    """
    if page.is_dir():
        raise ResultError("is a directory; give the name of a file", source=page)
    if page.is_symlink() or (page.exists() and not page.is_file()):
        raise ResultError("is no ordinary file, and would be replaced; give another", source=page)
    if not page.absolute().parent.is_dir():
        raise ResultError(
            f"there is no directory {page.parent}; make it, or give another place", source=page
        )


def write_page(
    page: Path, view: SweepView, place: str, found: Sequence[Section], drawn: Mapping[str, Drawn]
) -> None:
    """Write the page of ``whole_report.report_page`` in one step.

    Raises:
        ResultError: it cannot be written.
    """
    try:
        write_bytes(page, report_page(view, place, found, drawn))
    except OSError as error:
        raise ResultError(
            f"the report cannot be written: {error.strerror or error}; give another place",
            source=page,
        ) from error
