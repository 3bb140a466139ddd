"""How a sweep and a choice show themselves in Jupyter: plain HTML, without scripts or styles.

What records say is escaped: a name in them may come from anybody.
"""

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from kdsweep.errors import printable
from kdsweep.report.labels import strategy_label, student_label
from kdsweep.report.table import metric_text
from kdsweep.report.varied import varied
from kdsweep.results.pareto import Objectives
from kdsweep.results.record import Metric, TrialResult


def students_html(results: Sequence[TrialResult], objectives: Objectives) -> str:
    """A table of students, a row for each in the order given: sizes, quality, what varies."""
    metrics: list[Metric] = ["params", "accuracy"]
    metrics += [metric for metric in objectives if metric not in metrics]
    settings = varied(results)
    header = ["trial", "student", "strategy", *metrics, *(each.header for each in settings)]
    rows = [
        [
            str(result.number),
            student_label(result),
            strategy_label(result) + (" (control)" if result.role == "control" else ""),
            *(metric_text(result, metric) for metric in metrics),
            *(each.texts[row] for each in settings),
        ]
        for row, result in enumerate(results)
    ]
    return table_html(header, rows)


def table_html(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of texts, every one of them escaped."""
    head = "".join(f"<th>{_plain(text)}</th>" for text in header)
    body = "".join(
        f"<tr>{''.join(f'<td>{_plain(text)}</td>' for text in row)}</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def sweep_html(
    name: str,
    words: str,
    front: Sequence[TrialResult],
    objectives: Objectives,
    *,
    front_png: bytes | None,
    place: str,
) -> str:
    """A sweep: how it stands, its front as table and picture where there is one, its place."""
    parts = [title_html(name, words)]
    if front:
        parts.append(students_html(front, objectives))
    if front_png:
        parts.append(picture_html(front_png, f"the front of {name}"))
    return "".join([*parts, details_html({"run": place})])


def sweep_words(row: Mapping[str, Any], num_on_front: int) -> str:
    """How a sweep stands, from its row of ``kdsweep list``."""
    planned = f" of {row['planned']}" if row["planned"] else ""
    best = row["best_accuracy"]
    said = [
        row["status"],
        f"{row['complete']}{planned} trials complete",
        f"{num_on_front} on the front",
        *([] if best is None else [f"best accuracy {100 * best:.2f}%"]),
    ]
    return ", ".join(said)


def title_html(name: str, words: str) -> str:
    """A name, and a sentence on it."""
    return f"<p><b>{_plain(name)}</b>: {_plain(words)}</p>"


def lines_html(lines: Iterable[str]) -> str:
    """A list of sentences; nothing where there are none."""
    items = "".join(f"<li>{_plain(line)}</li>" for line in lines)
    return f"<ul>{items}</ul>" if items else ""


def details_html(facts: Mapping[str, str]) -> str:
    """Facts by their names, one a line."""
    lines = (f"{_plain(name)}: <code>{_plain(fact)}</code>" for name, fact in facts.items())
    return f"<p>{'<br>'.join(lines)}</p>"


def picture_html(png: bytes, words: str) -> str:
    """A picture within the page, so that it is there offline and in a saved notebook."""
    data = b64encode(png).decode()
    return f'<img alt="{_plain(words)}" width="640" src="data:image/png;base64,{data}">'


def _plain(text: str) -> str:
    return escape(printable(text))
