"""A sweep as one page: its answers in words, its pictures, all of its trials; and as numbers."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from kdsweep.errors import printable
from kdsweep.report.answers.confirmed import Told, confirmed
from kdsweep.report.answers.cost import cost
from kdsweep.report.answers.failures import failures
from kdsweep.report.answers.going_on import go_on
from kdsweep.report.answers.helped_in_words import helped
from kdsweep.report.answers.made import controls, made
from kdsweep.report.answers.mattered import mattered
from kdsweep.report.answers.section import Section, Table, plain
from kdsweep.report.answers.strategies import strategies
from kdsweep.report.axes import teacher_metrics
from kdsweep.report.far_below import far_below_teacher
from kdsweep.report.html import figures_json, render
from kdsweep.report.pictures import Drawn, SweepView
from kdsweep.report.rows import completed, rows_with_intervals
from kdsweep.report.trial_sheet import front_table, trial_sheet
from kdsweep.results.noise import validation_examples


def sections(view: SweepView, place: str, *, confirmation: Told | None = None) -> list[Section]:
    """What a report says, in order; ``confirmation`` is what those of the sweep have found.

    ``place`` is what people call the run: its directory or its address.
    """
    found = [
        _front(view, confirmation), confirmed(confirmation), helped(view, confirmation),
        strategies(view), mattered(view), controls(view), failures(view), cost(view),
        _learned(view), _trials(view), made(view, place),
        go_on(view, place, is_confirmed=confirmation is not None),
    ]  # fmt: skip
    return [section for section in found if section is not None]


def report_page(
    view: SweepView, place: str, found: Sequence[Section], drawn: Mapping[str, Drawn]
) -> bytes:
    """One page that needs no other file and no network; all strings of records are escaped."""
    meta = view.meta
    names = [name for section in found for name in section.pictures if name in drawn]
    shown = {
        name: {"title": drawn[name].title, "caption": drawn[name].caption,
               "png": base64.b64encode(drawn[name].png).decode()}
        for name in names
    }  # fmt: skip
    status = f"{meta.status} ({meta.ended_by})" if meta.ended_by else meta.status
    return render(
        "report.html", title=printable(f"{meta.name}: report of the sweep"),
        subtitle=printable(
            f"{completed(view.results, 'complete')}, {len(view.front)} on the front; {status}, "
            f"begun {meta.created[:16].replace('T', ' ')}; {place}"
        ),
        sections=found, pictures=shown,
        figures=figures_json({name: drawn[name].figure for name in names}),
        trials=trial_sheet(view, view.points), scripts=("draw.js", "table.js", "scroll.js"),
        footer=printable(f"kdsweep {meta.version}. {_of_which_data(found)}"),
    )  # fmt: skip


def report_numbers(view: SweepView, place: str, found: Sequence[Section]) -> dict[str, Any]:
    """The same for scripts: of every section its sentences and the numbers behind them."""
    answers = {s.key: {"sentences": list(s.sentences), **s.numbers} for s in found}
    return plain(  # type: ignore[no-any-return]
        {"run": place, "name": view.meta.name, "status": view.meta.status, "answers": answers}
    )


def _of_which_data(found: Sequence[Section]) -> str:
    if any(section.key == "confirmed" for section in found):
        return (
            "Accuracies are on validation data, but for those of a confirmation that are said to "
            "be on test data."
        )
    return "All accuracies are on validation data."


def _front(view: SweepView, confirmation: Told | None) -> Section:
    if view.front:
        said = (
            f"{len(view.front)} of {completed(view.results, 'complete')} are on the front: no "
            "other is as good in every objective and better in one."
        )
        tables: tuple[Table, ...] = (front_table(view),)
    else:
        said, tables = "No trial is on the front yet.", ()
    optimism = (
        "The accuracies are those by which they were chosen, on validation data: the best of many "
        "is in part the luckiest"
    )
    # Where it was measured nobody has to guess; it may have come out the other way.
    optimism += (
        ", so that expect a little less on new data."
        if confirmation is None
        else ". Below is what a confirmation has found, with fresh seeds and on test data."
    )
    known = (teacher_metrics(view.meta, view.results) or {}).get("accuracy")
    far = far_below_teacher(view.results, known)
    more = (optimism, *([f"{far[0].upper()}{far[1:]}."] if far else ())) if view.front else ()
    return Section(
        "front", "The front", (said, *more), tables, ("front",),
        numbers={"front": rows_with_intervals(
            view.front, validation_examples(view.meta, view.results)
        )},
    )  # fmt: skip


def _learned(view: SweepView) -> Section:
    return Section("curves", "How the front learned", (), pictures=("curves",))


def _trials(view: SweepView) -> Section:
    return Section("trials", "All trials", ())
