"""Tables for the terminal; they fit 80 columns."""

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from kdsweep.report.axes import short
from kdsweep.report.rows import setting, strategy_label, student_label
from kdsweep.results.pareto import Objectives
from kdsweep.results.record import Metric, TrialResult
from kdsweep.results.replicates import PointResult, deviation

_TITLES: dict[Metric, str] = {
    "accuracy": "accuracy", "loss": "loss", "params": "params",
    "macs": "MACs", "size_bytes": "bytes", "latency_ms": "ms",
}  # fmt: skip
_OF_REPLICATES = (
    "mean ± standard deviation over n trials that differ in their seed; "
    "the trial that is named has the median accuracy of them"
)
_SETTINGS = {"temperature": "T", "alpha": "alpha"}


def front_table(front: Sequence[TrialResult], objectives: Objectives, *, title: str = "") -> Table:
    """The front, a student per line, in the order given."""
    return trial_table(front, metrics_shown(objectives), title=title)


def metrics_shown(objectives: Objectives) -> list[Metric]:
    """Parameters and accuracy always, other objectives, multiply-adds where there is room."""
    shown: list[Metric] = ["params", "accuracy"]
    if set(objectives) <= {*shown, "macs"}:
        shown.insert(1, "macs")
    return [*shown, *(metric for metric in objectives if metric not in shown)]


def trial_table(
    results: Sequence[TrialResult], metrics: Sequence[Metric], *, title: str = ""
) -> Table:
    """Trials (or points), one per line; settings that none of them has get no column."""
    several = any(isinstance(result, PointResult) for result in results)
    settings = [name for name in _SETTINGS if any(setting(r, name) is not None for r in results)]
    table = plain_table(title)
    table.add_column("student", overflow="fold")
    table.add_column("strategy", overflow="fold")
    for metric in metrics:
        table.add_column(_TITLES[metric], justify="right", no_wrap=True)
    if several:
        table.caption, table.caption_justify = Text(_OF_REPLICATES), "left"
        table.add_column("n", justify="right", no_wrap=True)
    for name in settings:
        table.add_column(_SETTINGS[name], justify="right", no_wrap=True)
    table.add_column("trial", overflow="fold", style="dim")
    for result in results:
        control = " (control)" if result.role == "control" else ""
        table.add_row(
            Text(student_label(result)),
            Text(strategy_label(result) + control),
            *(metric_text(result, metric) for metric in metrics),
            *([str(result.replicates)] if several else []),
            *(_setting_text(setting(result, name)) for name in settings),
            Text(result.trial_id),
        )
    return table


def plain_table(title: str = "") -> Table:
    """An empty table in the house's look."""
    return Table(
        title=Text(title) if title else None, title_justify="left", title_style="bold",
        box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0),
    )  # fmt: skip


def metric_text(result: TrialResult, metric: Metric) -> str:
    """A metric of a result, with its deviation over replicates where they differ in it."""
    text, spread = value_text(metric, result.metrics.get(metric)), deviation(result, metric)
    if not spread or spread != spread:
        return text
    return f"{text} ±{100 * spread:.2f}" if metric == "accuracy" else f"{text} ±{spread:.2g}"


def value_text(metric: Metric, value: float | None) -> str:
    """A metric for people: percent for accuracy, whole counts, short for multiply-adds."""
    if value is None:
        return "-"
    if value != value:
        return "nan"
    if metric == "accuracy":
        return f"{100 * value:.2f}%"
    if metric == "macs":
        return short(value)
    return f"{value:,.0f}" if metric in ("params", "size_bytes") else f"{value:.4g}"


def _setting_text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.3g}" if isinstance(value, int | float) else str(value)
