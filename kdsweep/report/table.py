"""Tables for the terminal; they fit its width, 80 columns at least."""

from collections.abc import Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from kdsweep.errors import printable
from kdsweep.report.axes import short
from kdsweep.report.labels import strategy_label, student_label
from kdsweep.report.varied import Varied, varied
from kdsweep.results.pareto import Objectives
from kdsweep.results.record import Metric, TrialResult
from kdsweep.results.replicates import PointResult, deviation

_TITLES: dict[Metric, str] = {
    "accuracy": "accuracy", "loss": "loss", "params": "params",
    "macs": "MACs", "size_bytes": "bytes", "latency_ms": "p50 ms",
}  # fmt: skip
_OF_REPLICATES = (
    "mean ± standard deviation over n trials that differ in their seed; "
    "the trial that is named has the median accuracy of them"
)
_LEAST_FOR_SETTINGS = 24
"""Columns of the terminal in which several settings can be read, below one another."""
_BETWEEN = 2
"""Columns of the terminal between those of a table."""
_FOLDED = ("student", "strategy", "trial")
_WIDEST_LABEL = 20
"""Of those: what is longer is folded."""


def trial_table(
    results: Sequence[TrialResult], objectives: Objectives, *, title: str = "", width: int = 80
) -> RenderableType:
    """Trials (or points), one per line in the order given, with what varies among them.

    A setting has a column of its own where most trials have it and the ``width`` of the terminal
    allows; the others are in one column, by their names.
    """
    settings, metrics = varied(results), _metrics_shown(objectives)
    columns = _columns_before(results, metrics)
    names = [result.trial_id for result in results]
    own = _with_a_column(settings, columns, names, width=width)
    if own is None and "macs" not in objectives:
        columns.pop(_TITLES["macs"], None)
        own = _with_a_column(settings, columns, names, width=width)
    rest = [setting for setting in settings if setting not in (own or ())]
    table = plain_table()
    if "n" in columns:
        table.caption, table.caption_justify = Text(_OF_REPLICATES), "left"
    for header in columns:
        if header in _FOLDED:
            table.add_column(header, overflow="fold")
        else:
            table.add_column(header, justify="right", no_wrap=True)
    for setting in own or ():
        table.add_column(cell(setting.header), justify="right", no_wrap=True)
    if rest:
        table.add_column("settings", overflow="fold")
    table.add_column("trial", overflow="fold", style="dim")
    for number, name in enumerate(names):
        cells = [column[number] for column in (*columns.values(), *(s.texts for s in own or ()))]
        table.add_row(*map(cell, [*cells, *([_named(rest, number)] if rest else []), name]))
    # Not as the table's own title, which is folded where the table is narrow.
    return Group(Text(printable(title), style="bold"), table) if title else table


def _metrics_shown(objectives: Objectives) -> list[Metric]:
    """Parameters and accuracy always, other objectives, multiply-adds where there is room."""
    shown: list[Metric] = ["params", "accuracy"]
    if set(objectives) <= {*shown, "macs"}:
        shown.insert(1, "macs")
    return [*shown, *(metric for metric in objectives if metric not in shown)]


def _columns_before(
    results: Sequence[TrialResult], metrics: Sequence[Metric]
) -> dict[str, list[str]]:
    """Header and texts of the columns before those of the settings."""
    control = [" (control)" if result.role == "control" else "" for result in results]
    strategies = [strategy_label(r) + words for r, words in zip(results, control, strict=True)]
    columns = {"student": [student_label(result) for result in results], "strategy": strategies}
    columns |= {_TITLES[metric]: [metric_text(r, metric) for r in results] for metric in metrics}
    if any(isinstance(result, PointResult) for result in results):
        columns["n"] = [str(result.replicates) for result in results]
    return columns


def _with_a_column(
    settings: Sequence[Varied], columns: dict[str, list[str]], names: list[str], *, width: int
) -> list[Varied] | None:
    """Settings with a column of their own, as many as fit; ``None`` if not even the rest does."""
    room = width - sum(_needed(*column) for column in (*columns.items(), ("trial", names)))
    common = [s for s in settings if 2 * sum(map(bool, s.texts)) > len(names)]
    for count in range(len(common), -1, -1):
        own = common[:count]
        rest = [setting for setting in settings if setting not in own]
        longest = max((len(_named(rest, number)) for number in range(len(names))), default=0)
        for_rest = min(longest, _LEAST_FOR_SETTINGS) + _BETWEEN if rest else 0
        if sum(_needed(each.header, each.texts) for each in own) + for_rest <= room:
            return own
    return None


def _named(settings: Sequence[Varied], number: int) -> str:
    """The settings of a trial in one line."""
    pairs = ((setting.header, setting.texts[number]) for setting in settings)
    return " ".join(f"{header}={text}" for header, text in pairs if text)


def _needed(header: str, texts: Sequence[str]) -> int:
    """The width of a column with what is around it; labels may be folded."""
    widest = max(map(cell_len, (header, *texts)))
    return (min(widest, _WIDEST_LABEL) if header in _FOLDED else widest) + _BETWEEN


def cell(text: str) -> Text:
    """Text of a record for a table: no markup in it, and nothing for the terminal."""
    return Text(printable(text))


def plain_table() -> Table:
    """An empty table in the house's look."""
    return Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))


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
