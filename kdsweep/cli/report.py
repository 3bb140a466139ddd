"""``kdsweep report``: a sweep as one page that can be read anywhere."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kdsweep.cli.reading import JsonOption, RunArgument, print_json, read, warn_all
from kdsweep.cli.saying import say, warn
from kdsweep.errors import ResultError

if TYPE_CHECKING:
    from kdsweep.report.answers.confirmed import Told
    from kdsweep.report.pictures import Importance
    from kdsweep.results.record import TrialResult
    from kdsweep.results.store import RunStore


def report(
    run: RunArgument,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="The page; RUN/report.html if not given."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write one page of what a sweep has found, with pictures.

    It needs no network to be read. It has the pictures, every trial, and answers
    in words with their numbers and their spread: did distillation help against
    the control, which strategy at which size, what mattered, what failed and why,
    what it cost. The pictures are written into RUN/pictures as well. It works
    while the sweep runs. With --json the answers are printed, and nothing is
    written without --out.

    \b
    Examples:
      kdsweep report runs/digits
      kdsweep report runs/digits --out digits.html
    """
    from kdsweep.report.page_file import write_page
    from kdsweep.report.picture_files import view_of, write_drawn
    from kdsweep.report.pictures import draw
    from kdsweep.report.whole_report import report_numbers, sections
    from kdsweep.results.pareto import front as front_of
    from kdsweep.results.store import RunStore

    store = RunStore.open(run)
    page = _page_of(store, out)
    results = read(store)
    meta = store.meta
    front = front_of(results, meta.objectives, constraints=meta.constraints)
    importance = _importance(store, results)
    view = view_of(store, results, front, importance)
    found = sections(view, store.place, confirmation=_confirmed(store))
    if as_json:
        print_json(report_numbers(view, store.place, found))
    if as_json and out is None:
        return
    # Imports and pictures take seconds.
    say(f"drawing {store.place}", err=True)
    drawn = draw(view)
    write_page(page, view, store.place, found, drawn)
    if as_json:
        return
    try:
        write_drawn(store, front, drawn)
    except (OSError, ResultError) as error:
        warn(f"{store.place}: the pictures are not written: {error}")
    for section in found:
        if section.key == "helped":
            say(section.sentences[0])
    say(f"report  {page}")


def _page_of(store: "RunStore", out: Path | None) -> Path:
    """Where the page goes; beside the records, or for a run in an object store where one works."""
    from kdsweep.report.page_file import check_page
    from kdsweep.results.places import refuse_link
    from kdsweep.storage.copies import address_of

    if out is None:
        is_copy = address_of(store.directory) is not None
        page = Path(f"{store.directory.name}-report.html") if is_copy else (
            store.directory / "report.html"
        )  # fmt: skip
        refuse_link(page)
    else:
        page = out
    check_page(page)
    return page


def _confirmed(store: "RunStore") -> "Told | None":
    """What the confirmations beside the run have found; what is damaged is warned of."""
    from kdsweep.report.answers.confirmed import told
    from kdsweep.results.confirmations import confirmations_of

    try:
        found = confirmations_of(store)
    except ResultError as error:
        warn(f"{store.place}: its confirmations are left out: {error}")
        return None
    warn_all(problem for each in found for problem in each.problems)
    return told(found)


def _importance(store: "RunStore", results: "list[TrialResult]") -> "Importance | None":
    """What mattered, as the sweep file's space tells; a file that cannot be read is warned of."""
    from kdsweep.errors import SpecError
    from kdsweep.search.importance import importance_of
    from kdsweep.sweep_file.space import space_of

    try:
        space = space_of(store.sweep_text)
    except (SpecError, ResultError) as error:
        warn(f"{store.place}: importance is left out: {error}")
        return None
    return importance_of(results, space, store.meta.objectives)
