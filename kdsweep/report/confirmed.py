"""A confirmation as rows for scripts, and as tables with sentences for the terminal."""

import math
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from kdsweep.errors import printable
from kdsweep.report.confirmed_sentences import sentences, with_sign
from kdsweep.report.labels import strategy_label, student_label
from kdsweep.report.rows import finite_or_none
from kdsweep.report.table import cell, cell_of_lines, folded, plain_table
from kdsweep.results.confirmation import OWN, Confirmation, Confirmed
from kdsweep.results.intervals import Summary

_ON_FRONT = "P(front)"
_OF_FRONT = (
    "P(front): how probably it is on the front of all these on test data, from 0 to 1, by the "
    "bootstrap over seeds"
)
_WIDEST_LABEL = 14
"""Columns of the terminal: what is longer is folded at spaces and after ``+``."""
_OF_WHAT = {"student": "", "control": " (control)", "own_control": " (own control)"}


def confirmation_row(found: Confirmation) -> dict[str, Any]:
    """All of it in plain values; accuracies are 0..1, ``on_front`` is a probability."""
    confirms = found.confirms
    return {
        "run": found.place,
        "status": found.meta.status,
        "confirms": confirms.run,
        "sweep_id": confirms.sweep_id,
        "seeds": list(confirms.seeds),
        "with_validation": confirms.with_validation,
        "ended": found.num_ended,
        "planned": confirms.num_trials,
        "opened": found.opened,
        "opened_before": [each.model_dump() for each in confirms.opened_before],
        "teacher": dict(found.teacher),
        "optimism": _summary_row(found.optimism),
        "optimism_on_test": _summary_row(found.optimism_on_test),
        "students": [_point_row(each) for each in found.students],
        "controls": [_point_row(each) for each in found.controls],
    }


def _point_row(each: Confirmed) -> dict[str, Any]:
    result = each.result
    metrics = {} if result is None else result.metrics
    return {
        "name": each.point.name,
        "kind": each.point.kind,
        "sweep_trial_ids": list(each.point.trial_ids),
        "trial_ids": [record.trial_id for record in each.records],
        "student": None if result is None else student_label(result),
        "strategy": None if result is None else strategy_label(result),
        "params": None if "params" not in metrics else int(metrics["params"]),
        "failed": each.num_failed,
        "swept_accuracy": each.swept,
        "accuracy": _share_row(each.validation),
        "test_accuracy": _share_row(each.test),
        "optimism": each.optimism,
        "optimism_on_test": each.optimism_on_test,
        "minus": {name: _summary_row(minus) for name, minus in each.minus.items()},
        "on_front": each.on_front,
        "changes": each.point.changes,
    }


def _summary_row(summary: Summary | None) -> dict[str, Any] | None:
    if summary is None:
        return None
    low, high = (finite_or_none(end) for end in summary.interval)
    return {
        "mean": summary.mean,
        "std": finite_or_none(summary.deviation),
        "low": low,
        "high": high,
        "values": list(summary.values),
    }


def _share_row(summary: Summary | None) -> dict[str, Any] | None:
    """Of accuracies, whose interval ends at 0 and at 1."""
    if summary is None:
        return None
    low, high = (finite_or_none(end) for end in summary.share_interval)
    return {**(_summary_row(summary) or {}), "low": low, "high": high}


def confirmation_view(found: Confirmation) -> RenderableType:
    """Tables and sentences for the terminal, 80 columns at least."""
    confirms = found.confirms
    num = len(confirms.seeds)
    also = ", trained on validation data as well" if confirms.with_validation else ""
    title = f"{found.meta.name}: {confirms.run} with {num} fresh seeds{also}; accuracy in percent"
    parts: list[RenderableType] = [Text(printable(title), style="bold"), _accuracies(found)]
    if any(each.on_front is not None for each in found.points):
        parts.append(Text(_OF_FRONT, style="dim"))
    if any(each.minus for each in found.points):
        above = "Test accuracy minus that of the controls, seed by seed, with 95 % intervals"
        parts += [Text(above, style="bold"), _differences(found)]
    return Group(*parts, *(Text(printable(sentence)) for sentence in sentences(found)))


def _accuracies(found: Confirmation) -> RenderableType:
    table = plain_table()
    table.add_column("of trial", overflow="fold", style="dim")
    table.add_column("student", overflow="fold")
    table.add_column("strategy", overflow="fold")
    shown = ["params", "sweep", "validation", "test"]
    if any(each.on_front is not None for each in found.points):
        shown.append(_ON_FRONT)
    if found.confirms.with_validation:
        shown.remove("validation")
    for title in shown:
        table.add_column(title, justify="right", no_wrap=True)
    for position, each in enumerate(found.points):
        cells = {
            "params": _params(each),
            "sweep": "" if each.swept is None else f"{100 * each.swept:.2f}",
            "validation": _percent(each.validation),
            "test": _percent(each.test),
            _ON_FRONT: "" if each.on_front is None else f"{each.on_front:.2f}",
        }
        ids, names = " ".join(each.point.trial_ids), labels(found, position)
        who = [cell_of_lines(folded(name, _WIDEST_LABEL)) for name in names]
        table.add_row(cell(ids), *who, *map(cell, (cells[title] for title in shown)))
    if found.teacher:
        now = found.teacher.get("test_accuracy")
        cells = {
            "sweep": f"{100 * found.teacher['accuracy']:.2f}",
            "test": "" if now is None else f"{100 * now:.2f}",
        }
        table.add_row("", "teacher", "", *(cells.get(title, "") for title in shown))
    return table


def _differences(found: Confirmation) -> RenderableType:
    known = (OWN, *found.confirms.controls)
    names = [name for name in known if any(name in each.minus for each in found.points)]
    table = plain_table()
    table.add_column("trial", overflow="fold")
    for name in names:
        title = name if name == OWN else f"control {name}"
        table.add_column(title, justify="right", no_wrap=True)
    for each in found.points:
        if each.minus:
            against = (_difference(each.minus.get(name)) for name in names)
            table.add_row(*map(cell, [_trial_words(each), *against]))
    return table


def _trial_words(each: Confirmed) -> str:
    ids = " ".join(each.point.trial_ids)
    if each.point.kind == "student" or each.result is None:
        return ids
    return f"{ids} ({strategy_label(each.result)})"


def labels(found: Confirmation, position: int) -> tuple[str, str]:
    """Student and strategy of a point; of what no seed has trained yet, what the plan calls it."""
    each = found.points[position]
    if each.result is not None:
        return student_label(each.result), strategy_label(each.result) + _OF_WHAT[each.point.kind]
    if each.point.kind != "own_control":
        return each.point.name, _OF_WHAT[each.point.kind].strip()
    of = (s.point.trial_ids for s in found.students if s.point.own_control == position)
    return "the same, not distilled", f"own control of {' '.join(' '.join(ids) for ids in of)}"


def _params(each: Confirmed) -> str:
    known = each.point.metrics if each.result is None else each.result.metrics
    value = known.get("params")
    return "" if value is None else f"{value:,.0f}"


def _percent(summary: Summary | None) -> str:
    if summary is None:
        return ""
    return f"{100 * summary.mean:.2f} {with_sign(summary.deviation)}".rstrip()


def _difference(minus: Summary | None) -> str:
    if minus is None:
        return ""
    if math.isnan(minus.half):
        return f"{100 * minus.mean:+.2f}"
    low, high = minus.interval
    return f"{100 * minus.mean:+.2f} [{100 * low:+.2f} {100 * high:+.2f}]"
