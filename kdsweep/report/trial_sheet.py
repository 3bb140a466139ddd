"""Trials as tables of a page: the front, and all of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from kdsweep.report.answers.section import Cell, Table, cells
from kdsweep.report.axes import short
from kdsweep.report.labels import strategy_label, student_label
from kdsweep.report.pictures.view import SweepView
from kdsweep.report.table import metric_text
from kdsweep.report.varied import varied
from kdsweep.results.record import Metric, TrialResult
from kdsweep.results.replicates import PointResult

_METRICS: tuple[Metric, ...] = (
    "params", "accuracy", "loss", "macs", "size_bytes", "latency_ms"
)  # fmt: skip
_TITLES = {"macs": "MACs", "size_bytes": "bytes", "latency_ms": "latency [ms]"}
MOST_SETTINGS = 12
_LONGEST = 90


@dataclass(frozen=True)
class Sheet(Table):
    """A table of trials; ``marked`` says for each row whether it is on the front."""

    marked: tuple[bool, ...] = ()


def trial_sheet(view: SweepView, results: Sequence[TrialResult]) -> Sheet:
    """Each of the results in a row: who it is, its metrics, and the settings that varied."""
    metrics = [m for m in _METRICS if any(m in result.metrics for result in results)]
    settings = varied(results)[:MOST_SETTINGS]
    has_points = any(isinstance(result, PointResult) for result in results)
    header = [
        "trial", "name", "status", "student", "strategy",
        *(_TITLES.get(metric, metric) for metric in metrics), *(["n"] if has_points else []),
        *(setting.header for setting in settings), "epochs", "seconds",
    ]  # fmt: skip
    rows = []
    for number, result in enumerate(results):
        role = f"{result.status}, control" if result.role == "control" else result.status
        rows.append(
            cells(
                _cut(result.trial_id), _cut(result.name), role, _cut(student_label(result)),
                _cut(strategy_label(result)), *(_metric(result, metric) for metric in metrics),
                *([result.replicates] if has_points else []),
                *(_setting(each.values[number], each.texts[number]) for each in settings),
                len(result.epochs) or None, Cell(f"{result.seconds:.1f}", result.seconds),
            )
        )  # fmt: skip
    left = len(varied(results)) - len(settings)
    note = "A click on a header sorts; a bar to the left marks the front."
    if has_points:
        note += " Accuracies are means over n seeds with their standard deviation."
    if left > 0:
        note += f" {left} more settings are in the trial files."
    marked = tuple(result.trial_id in view.on_front for result in results)
    return Sheet(tuple(header), tuple(rows), note, marked)


def _metric(result: TrialResult, metric: Metric) -> Cell:
    value = result.metrics.get(metric)
    if value is None or value != value:
        return Cell("-")
    text = short(value) if metric in ("macs", "size_bytes") else metric_text(result, metric)
    return Cell(text, value)


def _setting(value: object, text: str) -> Cell:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return Cell(_cut(text), float(value) if is_number else None)  # type: ignore[arg-type]


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
