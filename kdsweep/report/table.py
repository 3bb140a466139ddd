"""Tables for the terminal; they fit its width, 80 columns at least."""

import re
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
from kdsweep.results.noise import accuracy_interval
from kdsweep.results.pareto import Objectives
from kdsweep.results.record import Metric, TrialResult
from kdsweep.results.replicates import PointResult, deviation

_TITLES: dict[Metric, str] = {
    "accuracy": "accuracy", "loss": "loss", "params": "params",
    "macs": "MACs", "size_bytes": "bytes", "latency_ms": "p50 ms",
}  # fmt: skip
_OF_REPLICATES = (
    "mean ± standard deviation over n trials that differ in their seed; "
    "the trial that is named has the median accuracy of them; "
    "interval: where the mean over seeds lies, at 95 % (Student's t)"
)
_OF_EXAMPLES = (
    "interval: where the accuracy in percent lies at 95 %, of {:,} validation examples; "
    "the luck of a trial's seed is not in it"
)
_LEAST_FOR_SETTINGS = 24
"""Columns of the terminal in which several settings can be read, below one another."""
_INTERVAL = "interval"
_BETWEEN = 2
"""Columns of the terminal between those of a table."""
_FOLDED = ("student", "strategy", "trial")
_WIDEST_LABEL = 20
"""Of those: what is longer is folded where the terminal is narrow."""


def trial_table(
    results: Sequence[TrialResult],
    objectives: Objectives,
    *,
    title: str = "",
    width: int = 80,
    examples: int | None = None,
) -> RenderableType:
    """Trials (or points), one per line in the order given, with what varies among them.

    A setting has a column of its own where most trials have it and the ``width`` of the terminal
    allows; the others are in one column by their names, or below the table where there is no room
    for that. Accuracies have their interval, see ``noise.accuracy_interval``; ``examples`` is how
    many validation examples there are, if that is known.
    """
    settings, metrics = varied(results), _metrics_shown(objectives)
    columns = _columns_before(results, metrics, examples)
    names = [result.trial_id for result in results]
    own = _with_a_column(settings, columns, names, width=width)
    if own is None and "macs" not in objectives:
        columns.pop(_TITLES["macs"], None)
        own = _with_a_column(settings, columns, names, width=width)
    rest = [setting for setting in settings if setting not in (own or ())]
    parts: list[RenderableType] = []
    if title:  # not as the table's own, which is folded where the table is narrow
        parts.append(Text(printable(title), style="bold"))
    beside = rest if own is not None else []
    parts.append(_table(columns, own or [], beside, names, width=width))
    if rest and own is None:
        parts.append(_settings_below(rest, names))
    if note := interval_note(results, examples):
        parts.append(Text(note, style="dim"))
    return Group(*parts) if len(parts) > 1 else parts[0]


def _table(
    columns: dict[str, list[str]],
    own: Sequence[Varied],
    rest: Sequence[Varied],
    names: Sequence[str],
    *,
    width: int,
) -> Table:
    """``own`` are the settings with a column, ``rest`` those that share one."""
    table = plain_table()
    whole = [*columns.items(), *((each.header, each.texts) for each in own), ("trial", names)]
    longest = max((cell_len(_named(rest, number)) for number in range(len(names))), default=0)
    natural = sum(_widest(header, texts) + _BETWEEN for header, texts in whole)
    is_narrow = natural + (longest + _BETWEEN if rest else 0) > width
    for header in columns:
        if header in _FOLDED:
            table.add_column(header, overflow="fold")
        else:
            table.add_column(header, justify="right", no_wrap=True)
    for setting in own:
        table.add_column(cell(setting.header), justify="right", no_wrap=True)
    if rest:
        table.add_column("settings", overflow="fold")
    table.add_column("trial", overflow="fold", style="dim")
    for number, name in enumerate(names):
        labels = [
            folded(texts[number], _WIDEST_LABEL) if is_narrow and header in _FOLDED
            else texts[number] for header, texts in columns.items()
        ]  # fmt: skip
        cells = [*map(cell_of_lines, labels), *(cell(each.texts[number]) for each in own)]
        table.add_row(*cells, *([cell(_named(rest, number))] if rest else []), cell(name))
    return table


def interval_note(results: Sequence[TrialResult], examples: int | None) -> str:
    """What the intervals of these results are; empty where they have none."""
    if any(isinstance(result, PointResult) for result in results):
        return _OF_REPLICATES
    known = any(accuracy_interval(result, examples) for result in results)
    return _OF_EXAMPLES.format(examples) if known else ""


def _settings_below(settings: Sequence[Varied], names: Sequence[str]) -> Table:
    """A line for each trial, for a terminal in which the table has no room for them."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column("", style="dim", overflow="fold")
    table.add_column("", overflow="fold")
    for number, name in enumerate(names):
        if words := _named(settings, number):
            table.add_row(cell(name), cell(words))
    return table


def _metrics_shown(objectives: Objectives) -> list[Metric]:
    """Parameters and accuracy always, other objectives, multiply-adds where there is room."""
    shown: list[Metric] = ["params", "accuracy"]
    if set(objectives) <= {*shown, "macs"}:
        shown.insert(1, "macs")
    return [*shown, *(metric for metric in objectives if metric not in shown)]


def _columns_before(
    results: Sequence[TrialResult], metrics: Sequence[Metric], examples: int | None
) -> dict[str, list[str]]:
    """Header and texts of the columns before those of the settings."""
    control = [" (control)" if result.role == "control" else "" for result in results]
    strategies = [strategy_label(r) + words for r, words in zip(results, control, strict=True)]
    columns = {"student": [student_label(result) for result in results], "strategy": strategies}
    for metric in metrics:
        columns[_TITLES[metric]] = [metric_text(result, metric) for result in results]
        intervals = [accuracy_interval(result, examples) for result in results]
        if metric == "accuracy" and any(intervals):
            columns[_INTERVAL] = [interval_text(each) for each in intervals]
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
        words = max((len(word) for number in range(len(names))
                     for word in _named(rest, number).split()), default=0)  # fmt: skip
        for_rest = max(min(longest, _LEAST_FOR_SETTINGS), words) + _BETWEEN if rest else 0
        if sum(_needed(each.header, each.texts) for each in own) + for_rest <= room:
            return own
    return None


def _named(settings: Sequence[Varied], number: int) -> str:
    """The settings of a trial in one line."""
    pairs = ((setting.header, setting.texts[number]) for setting in settings)
    return " ".join(f"{header}={text}" for header, text in pairs if text)


def _needed(header: str, texts: Sequence[str]) -> int:
    """The width of a column with what is around it; labels may be folded."""
    if header in _FOLDED:
        texts = [line for text in texts for line in folded(text, _WIDEST_LABEL).split("\n")]
    return _widest(header, texts) + _BETWEEN


def _widest(header: str, texts: Sequence[str]) -> int:
    return max(map(cell_len, (header, *texts)))


def folded(text: str, width: int) -> str:
    """Text in lines of at most ``width``, broken at spaces and after ``+``, as labels have them.

    A part that is longer is broken after ``_``, ``.``, ``=`` and ``-``; a longer word stays whole.
    """
    return "\n".join(line.rstrip() for line in _lines(text, width, (r"(?<=[\s+])", r"(?<=[_.=-])")))


def _lines(text: str, width: int, breaks: tuple[str, ...]) -> list[str]:
    if cell_len(text.rstrip()) <= width or not breaks:
        return [text]
    lines = [""]
    for part in re.split(breaks[0], text):
        if cell_len((lines[-1] + part).rstrip()) <= width:
            lines[-1] += part
        else:
            lines += _lines(part, width, breaks[1:])
    return [line for line in lines if line]


def cell_of_lines(text: str) -> Text:
    """Lines of a record for a table: the breaks between them stand."""
    return Text("\n".join(printable(line) for line in text.split("\n")))


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


def interval_text(interval: Sequence[float] | None, between: str = "-") -> str:
    """An interval of accuracies in percent: ``95.9-98.8``; a dash where there is none."""
    return "-" if interval is None else f"{100 * interval[0]:.1f}{between}{100 * interval[1]:.1f}"


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
