"""Trials as tables of a page: the front, and all of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from kdsweep.report.answers.section import Cell, Table, cells
from kdsweep.report.axes import short
from kdsweep.report.labels import strategy_label, student_label
from kdsweep.report.pictures.view import SweepView
from kdsweep.report.table import interval_note, interval_text, metric_text
from kdsweep.report.varied import varied
from kdsweep.results.noise import accuracy_interval, validation_examples
from kdsweep.results.record import Metric, TrialResult
from kdsweep.results.replicates import PointResult

_METRICS: tuple[Metric, ...] = (
    "params", "accuracy", "loss", "macs", "size_bytes", "latency_ms"
)  # fmt: skip
_TITLES = {"macs": "MACs", "size_bytes": "bytes", "latency_ms": "latency [ms]"}
MOST_SETTINGS = 12
_INTERVAL = "95% interval"
_LONGEST, _LONGEST_SETTINGS = 90, 400


@dataclass(frozen=True)
class Sheet(Table):
    """A table of trials; ``marked`` says for each row whether it is on the front."""

    marked: tuple[bool, ...] = ()


def front_table(view: SweepView) -> Table:
    """The front in as few columns as say it: the settings that varied are words in one of them."""
    results, examples = view.front, validation_examples(view.meta, view.results)
    metrics, settings = _shown(view, results), varied(results)
    header = ["trial", "student", "strategy", *_headers(metrics), *_n(results)]
    rows = []
    for number, result in enumerate(results):
        named = (f"{each.header}={each.texts[number]}" for each in settings if each.texts[number])
        words = [_cut(" ".join(named), _LONGEST_SETTINGS)] if settings else []
        values = [cell for metric in metrics for cell in _cells_of(result, metric, examples)]
        rows.append(cells(*_who(result), *values, *_n_of(result, results), *words))
    if settings:
        header.append("settings")
    return Table(tuple(header), tuple(rows), _sentence(interval_note(results, examples)))


def trial_sheet(view: SweepView, results: Sequence[TrialResult]) -> Sheet:
    """Each of the results in a row: who it is, its metrics, and the settings that varied.

    What is looked for less often comes last, where a narrow page has to be scrolled.
    """
    examples = validation_examples(view.meta, view.results)
    metrics = _shown(view, results)
    others = [m for m in _METRICS if m not in metrics and any(m in r.metrics for r in results)]
    settings = varied(results)[:MOST_SETTINGS]
    header = [
        "trial", "student", "strategy", "status", *_headers(metrics), *_n(results),
        *(setting.header for setting in settings), *_headers(others), "epochs", "seconds",
    ]  # fmt: skip
    rows = []
    for number, result in enumerate(results):
        rows.append(
            cells(
                *_who(result), result.status,
                *(cell for metric in metrics for cell in _cells_of(result, metric, examples)),
                *_n_of(result, results),
                *(_setting(each.values[number], each.texts[number]) for each in settings),
                *(cell for metric in others for cell in _cells_of(result, metric, examples)),
                len(result.epochs) or None, Cell(f"{result.seconds:.1f}", result.seconds),
            )
        )  # fmt: skip
    left = len(varied(results)) - len(settings)
    note = "A click on a header sorts; a bar to the left marks the front."
    if left > 0:
        note += f" {left} more settings are in the trial files."
    note = f"{note} {_sentence(interval_note(results, examples))}".rstrip()
    marked = tuple(result.trial_id in view.on_front for result in results)
    return Sheet(tuple(header), tuple(rows), note, marked)


def _shown(view: SweepView, results: Sequence[TrialResult]) -> list[Metric]:
    """Parameters and accuracy, and what else the sweep was for."""
    wanted = {"params", "accuracy", *view.meta.objectives}
    return [m for m in _METRICS if m in wanted and any(m in result.metrics for result in results)]


def _headers(metrics: Sequence[Metric]) -> list[str]:
    titles = ([_TITLES.get(each, each), *([_INTERVAL] * (each == "accuracy"))] for each in metrics)
    return [title for each in titles for title in each]


def _cells_of(result: TrialResult, metric: Metric, examples: int | None) -> list[Cell]:
    """The metric, and of accuracy its interval, which is sorted by its lower end."""
    found = [_metric(result, metric)]
    if metric == "accuracy":
        ends = accuracy_interval(result, examples)
        found.append(Cell(interval_text(ends), None if ends is None else ends[0]))
    return found


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}." if words else ""


def _who(result: TrialResult) -> tuple[str, str, str]:
    control = " (control)" if result.role == "control" else ""
    names = (result.trial_id, student_label(result), strategy_label(result) + control)
    trial, student, strategy = map(_cut, names)
    return trial, student, strategy


def _n(results: Sequence[TrialResult]) -> list[str]:
    """The column of how many replicates a point has, where there are points."""
    return ["n"] if any(isinstance(result, PointResult) for result in results) else []


def _n_of(result: TrialResult, results: Sequence[TrialResult]) -> list[int]:
    return [result.replicates for _ in _n(results)]


def _metric(result: TrialResult, metric: Metric) -> Cell:
    value = result.metrics.get(metric)
    if value is None or value != value:
        return Cell("-")
    text = short(value) if metric in ("macs", "size_bytes") else metric_text(result, metric)
    return Cell(text, value)


def _setting(value: object, text: str) -> Cell:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return Cell(_cut(text), float(value) if is_number else None)  # type: ignore[arg-type]


def _cut(text: str, longest: int = _LONGEST) -> str:
    return text if len(text) <= longest else text[: longest - 3] + "..."
