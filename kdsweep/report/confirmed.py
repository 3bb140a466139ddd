"""A confirmation as rows for scripts, as tables for the terminal, and in sentences."""

import math
from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from kdsweep.errors import printable
from kdsweep.report.labels import strategy_label, student_label
from kdsweep.report.rows import finite_or_none
from kdsweep.report.table import cell, plain_table
from kdsweep.results.confirmation import OWN, Confirmation, Confirmed
from kdsweep.results.confirms import Opening
from kdsweep.results.intervals import CONFIDENCE, Summary

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
    if any(each.minus for each in found.points):
        above = "Test accuracy minus that of the controls, seed by seed, with 95 % intervals"
        parts += [Text(above, style="bold"), _differences(found)]
    return Group(*parts, *(Text(printable(sentence)) for sentence in sentences(found)))


def _accuracies(found: Confirmation) -> RenderableType:
    table = plain_table()
    table.add_column("trial", overflow="fold", style="dim")
    table.add_column("student", overflow="fold")
    table.add_column("strategy", overflow="fold")
    shown = ["params", "sweep", "validation", "test", "front"]
    if found.confirms.with_validation:
        shown.remove("validation")
    for title in shown:
        table.add_column(title, justify="right", no_wrap=True)
    for each in found.points:
        cells = {
            "params": _params(each),
            "sweep": "" if each.swept is None else f"{100 * each.swept:.2f}",
            "validation": _percent(each.validation),
            "test": _percent(each.test),
            "front": "" if each.on_front is None else f"{each.on_front:.2f}",
        }
        first = [" ".join(each.point.trial_ids), *_labels(each)]
        table.add_row(*map(cell, [*first, *(cells[title] for title in shown)]))
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


def _labels(each: Confirmed) -> tuple[str, str]:
    if each.result is None:
        return each.point.name, ""
    return student_label(each.result), strategy_label(each.result) + _OF_WHAT[each.point.kind]


def _params(each: Confirmed) -> str:
    value = None if each.result is None else each.result.metrics.get("params")
    return "" if value is None else f"{value:,.0f}"


def _percent(summary: Summary | None) -> str:
    if summary is None:
        return ""
    return f"{100 * summary.mean:.2f} {_with_sign(summary.deviation)}".rstrip()


def _with_sign(deviation: float) -> str:
    return "" if math.isnan(deviation) else f"±{100 * deviation:.2f}"


def _difference(minus: Summary | None) -> str:
    if minus is None:
        return ""
    if math.isnan(minus.half):
        return f"{100 * minus.mean:+.2f}"
    low, high = minus.interval
    return f"{100 * minus.mean:+.2f} [{100 * low:+.2f} {100 * high:+.2f}]"


def sentences(found: Confirmation) -> list[str]:
    """What follows from the numbers, in words, each with its spread."""
    said = []
    confirms = found.confirms
    if found.num_ended < confirms.num_trials:
        said.append(
            f"{found.num_ended} of {confirms.num_trials} trainings have ended: these are the "
            "numbers so far."
        )
    failed = sum(each.num_failed for each in found.points)
    if failed:
        said.append(f"{failed} training{'s' * (failed != 1)} failed: see kdsweep logs.")
    said += _on_optimism(found)
    said += on_distillation(found)
    said += opened_before_words(found.confirms.opened_before)
    return said


def _on_optimism(found: Confirmation) -> list[str]:
    said = []
    if found.optimism is not None:
        said.append(
            f"The sweep's accuracies were {_above(found.optimism)} those of fresh seeds on the "
            f"same validation data{_how_surely_optimistic(found.optimism)}."
        )
    if found.optimism_on_test is not None:
        learned = ", the students having learned from the validation data as well"
        also = learned if found.confirms.with_validation else ""
        said.append(
            f"The sweep's accuracies were {_above(found.optimism_on_test)} those on test data{also}"
            "."
        )
        if found.of_controls_on_test is not None:
            said.append(
                "So far apart are the two sets of data: those of the controls, which nobody chose, "
                f"were {_above(found.of_controls_on_test, 'control')} those on test data."
            )
    return said


def _above(summary: Summary, what: str = "student") -> str:
    """``1.20 ±0.40 points (mean and deviation of 5 students) above``, or below."""
    num, mean = len(summary.values), 100 * summary.mean
    of = f"mean and deviation of {num} {what}s" if num > 1 else f"of one {what}"
    number = f"{abs(mean):.2f} {_with_sign(summary.deviation)}".rstrip()
    return f"{number} points ({of}) {'below' if mean < 0 else 'above'}"


def _how_surely_optimistic(optimism: Summary) -> str:
    if math.isnan(optimism.half):
        return ": of one student nobody can say whether that is chance"
    low, high = optimism.interval
    ends = f" [{100 * low:+.2f} {100 * high:+.2f}]"
    if low > 0:
        return f"{ends}: so much too high did choosing the best make them"
    return f"{ends}: that cannot be told from chance" if high >= 0 else ends


def on_distillation(found: Confirmation) -> list[str]:
    """Whether distillation helped: each student against itself without a teacher."""
    against = {
        " ".join(each.point.trial_ids): each.minus[OWN]
        for each in found.students if OWN in each.minus
    }  # fmt: skip
    known = {name: minus for name, minus in against.items() if not math.isnan(minus.half)}
    if not known:
        return []
    groups: dict[str, list[str]] = {"helped": [], "harmed": [], "cannot be told from none": []}
    for name, minus in known.items():
        low, high = minus.interval
        words = "helped" if low > 0 else "harmed" if high < 0 else "cannot be told from none"
        groups[words].append(name)
    told = "; ".join(f"{words}: {', '.join(names)}" for words, names in groups.items() if names)
    num = sum(len(each.minus) for each in found.points)
    return [
        f"Distillation, against the same student without it: {told}.",
        f"Of {num} intervals {(1 - CONFIDENCE) * num:.1f} would exclude zero by chance alone.",
    ]


def opened_before_words(before: Sequence[Opening]) -> list[str]:
    """The warning that the test data are no longer untouched, if they are not."""
    if not before:
        return []
    runs = ", ".join(
        f"{each.run} ({each.when}{'' if each.same_sweep else ', another sweep on the same data'})"
        for each in before
    )
    return [
        f"The test data have been opened before, by {runs}: what was chosen since then may have "
        "been chosen by them, and these numbers are no longer those of untouched data."
    ]
