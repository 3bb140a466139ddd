"""Descriptions of runs for MLflow's UI, in Markdown: how a sweep stands, how a trial ended.

Names, errors and paths come from files that anybody may have written: in the text nothing of them
is Markdown or HTML. The UI shows the first lines and folds the rest, so the outcome comes first.
"""

import re
import shlex
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from kdsweep.errors import SpecError, printable, redacted
from kdsweep.report.labels import strategy_label, student_label
from kdsweep.report.table import interval_text, metric_text, value_text
from kdsweep.results.meta import RunMeta
from kdsweep.results.noise import accuracy_interval, validation_examples
from kdsweep.results.pareto import Objectives
from kdsweep.results.record import ENDED, Metric, TrialResult
from kdsweep.tracking.entities import TAG_LENGTH
from kdsweep.tracking.experiment import (
    CONFIRMED,
    FIRST_VIEW,
    FRONTS,
    TITLES,
    TRIALS,
    view_route,
)

_MARKDOWN = re.compile(r"[\\`*_{}\[\]()#+\-.!~$]")
# As characters they would begin HTML, a cell of a table or a link to elsewhere.
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;", "://": "&#58;//"}
_ENDS_OF_LINES = re.compile("[\n\u2028\u2029]")
_SPACE = "&nbsp;&nbsp;"
_LONGEST_NAME, _LONGEST_TEXT = 60, 400
_BESIDE = "latency\\_ms: one input, p50, measured while others trained. To measure alone:"
_ROLES = {
    "control": "A control: what students reach without the search, to compare with.",
    "teacher": "The teacher: what students learn from. It is on no front.",
}


def sweep_note(
    meta: RunMeta,
    results: Sequence[TrialResult],
    front: Sequence[TrialResult],
    *,
    place: str,
    asked: tuple[str, Sequence[str]],
    experiment: str = "",
    runs: Mapping[str, str] | None = None,
) -> str:
    """How a sweep stands: in a sentence, its front as a table, what was asked, how to go on.

    ``place`` is what commands call the run, ``asked`` is of its file, see ``asked_in``;
    ``experiment`` is the id of that whose views are linked to, ``runs`` the ids of MLflow's runs
    by those of trials.
    """
    above = [_standing(meta, results, front), "", *_links(experiment)]
    below = [
        *_latency_said(meta, results, place),
        "",
        *_compared(meta, results),
        "",
        *_asked(meta, asked),
        "",
        *_go_on(meta, front, place),
    ]
    room = TAG_LENGTH - len("\n".join([*above, *below])) - 1
    examples = validation_examples(meta, results)
    pages = {
        trial_id: f"#/experiments/{experiment}/runs/{run_id}"
        for trial_id, run_id in (runs or {}).items()
    }
    table = _table(front, meta.objectives, examples, pages, room=room)
    return "\n".join([*above, *table, *below])[:TAG_LENGTH]


def trial_note(result: TrialResult, *, place: str) -> str:
    """What a trial is, why it ended if not well, its loss terms, and how to train it again."""
    said = [plain(result.error, _LONGEST_TEXT)] if result.error else _reached(result)
    lines = [f"**{result.status}**: {', '.join(said)}" if said else f"**{result.status}**"]
    if result.role in _ROLES:
        lines += ["", _ROLES[result.role]]
    terms = dict(result.epochs[-1].train) if result.epochs else {}
    if result.status == "complete" and result.latency is not None and result.latency.busy:
        run = place.rstrip("/")
        lines += ["", _BESIDE, "", _command("latency", run, result.trial_id)
                  if result.role != "teacher" else _command("latency", run)]  # fmt: skip
    if result.weights_of_terms and result.role != "teacher":
        rows = [
            [plain(name), f"{weight:.4g}", f"{terms[name]:.4g}" if name in terms else "-"]
            for name, weight in result.weights_of_terms.items()
        ]
        header = ["loss term", "weight", "mean of the last epoch"]
        lines += ["", _row(header), "|---|---:|---:|", *map(_row, rows)]
    if result.role != "teacher":
        file = f"{place}/trials/{result.trial_id}/trial.yaml"
        lines += ["", "Train it again, alone:", "", _command("trial", file)]
    return "\n".join(lines)[:TAG_LENGTH]


def asked_in(sweep_text: str) -> tuple[str, list[str]]:
    """A sweep file's description, and the dotted paths that its search varies."""
    # It imports torch, which is here already where a sweep runs.
    from kdsweep.sweep_file.read import parse_yaml

    try:
        raw, _ = parse_yaml(sweep_text)
    except SpecError:
        return "", []  # a run whose file was damaged has its records all the same
    space = raw.get("space")
    paths = [str(path) for path in space] if isinstance(space, dict) else []
    return redacted(str(raw.get("description") or "")), paths


def plain(text: str, longest: int = _LONGEST_NAME) -> str:
    """``text`` on one line, as Markdown that shows it as it is."""
    shown = textwrap.shorten(printable(text), longest, placeholder=" ...")
    if len(shown) > longest or (shown == "..." and text.strip()):
        shown = f"{' '.join(printable(text).split())[: longest - 3]}..."
    escaped = _MARKDOWN.sub(r"\\\g<0>", shown)
    for special, entity in _HTML.items():
        escaped = escaped.replace(special, entity)
    return escaped


def _reached(result: TrialResult) -> list[str]:
    named: dict[Metric, str] = {"params": "parameters", "latency_ms": "ms"}
    values = [f"accuracy {metric_text(result, 'accuracy')}"] if result.metrics else []
    for metric, unit in named.items():
        if metric in result.metrics:
            values.append(f"{metric_text(result, metric)} {unit}")
    return values


def _row(cells: Sequence[str]) -> str:
    """A line of a table; the UI draws tables without any space between columns."""
    return f"| {f'{_SPACE} | '.join(cells)} |"


def _links(experiment: str) -> list[str]:
    if not experiment:
        return []
    keys = (FIRST_VIEW, TRIALS, FRONTS, CONFIRMED)
    views = [f"[{TITLES[key]}](#/{view_route(experiment, key)})" for key in keys]
    return [f"See {', '.join(views)}.", ""]


def _standing(meta: RunMeta, results: Sequence[TrialResult], front: Sequence[TrialResult]) -> str:
    trials = [result for result in results if result.role != "teacher"]
    count = Counter(result.status for result in trials)
    ended = sum(count[status] for status in ENDED)
    planned = "" if meta.trials is None else f" of {meta.trials:,}"
    parts = [f"{number:,} {status}" for status, number in sorted(count.items())]
    words = f"**{meta.status}**: {ended:,}{planned} trials have ended"
    words += f" ({', '.join(parts)})" if parts else ""
    words += f"; {plain(meta.ended_by, _LONGEST_TEXT)}" if meta.ended_by else ""
    if not front:
        return f"{words}. Nothing is on the front yet."
    best = max(front, key=lambda result: result.metrics.get("accuracy", 0.0))
    many = "student is" if len(front) == 1 else "students are"
    return (
        f"{words}. {len(front)} {many} on the front, the most accurate with "
        f"{metric_text(best, 'accuracy')}."
    )


def _table(
    front: Sequence[TrialResult],
    objectives: Objectives,
    examples: int | None,
    pages: Mapping[str, str],
    *,
    room: int,
) -> list[str]:
    """The front, smallest first, as many rows as there is room for; a trial links to its page."""
    if not front:
        return []
    metrics = list(dict.fromkeys(("params", "accuracy", *objectives)))
    intervals = [accuracy_interval(result, examples) for result in front]
    # Beside the accuracy, where it is known of any.
    at = metrics.index("accuracy") + 1 if any(intervals) else None
    numbers = metrics if at is None else [*metrics[:at], "95% interval", *metrics[at:]]
    header = ["student", "strategy", *(plain(each) for each in numbers), "trial"]
    lines = [_row(header), f"|---|---|{'---:|' * len(numbers)}---|"]
    more = "and {:,} more: `front.csv` among the artifacts"
    used = sum(len(line) + 1 for line in lines) + len(more) + 10
    for number, result in enumerate(front):
        who = (student_label(result), strategy_label(result), result.trial_id)
        student, strategy, trial = map(plain, who)
        if result.trial_id in pages:
            trial = f"[{trial}]({pages[result.trial_id]})"
        values = [metric_text(result, each) for each in metrics]
        if at is not None:
            values.insert(at, _percent(intervals[number]))
        line = _row([student, strategy, *values, trial])
        used += len(line) + 1
        if used > room:
            return [*lines, "", more.format(len(front) - number)]
        lines.append(line)
    return lines


def _latency_said(meta: RunMeta, results: Sequence[TrialResult], place: str) -> list[str]:
    """Where latency decides: what kind of number it is."""
    decides = "latency_ms" in meta.objectives or "latency_ms" in meta.constraints
    busy = any(result.latency is not None and result.latency.busy for result in results)
    return ["", _BESIDE, "", _command("latency", place)] if decides and busy else []


def _percent(interval: tuple[float, float] | None) -> str:
    return "-" if interval is None else f"{interval_text(interval, ' to ')}%"


def _compared(meta: RunMeta, results: Sequence[TrialResult]) -> list[str]:
    """The teacher and the controls: what the numbers of the front are to be compared with."""
    lines = []
    if (teacher := meta.teacher) is not None:
        params = value_text("params", None if teacher.params is None else float(teacher.params))
        accuracy = value_text("accuracy", teacher.accuracy)
        lines.append(f"- Teacher: {plain(teacher.name)}, {params} parameters, {accuracy}")
    for result in [each for each in results if each.role == "control"][:4]:
        how = metric_text(result, "accuracy") if result.status == "complete" else result.status
        params = value_text("params", result.metrics.get("params"))
        lines.append(f"- Control: {plain(result.label)}, {params} parameters, {how}")
    return lines


def _asked(meta: RunMeta, asked: tuple[str, Sequence[str]]) -> list[str]:
    description, paths = asked
    lines = [f"Asked: {plain(description, _LONGEST_TEXT)}" if description else "Asked:", ""]
    aims = ", ".join(f"{plain(metric)} {way}" for metric, way in meta.objectives.items())
    limits = [
        f"{plain(metric)} at {'most' if side == 'max' else 'least'} {value_text(metric, bound)}"
        for metric, bounds in meta.constraints.items()
        for side, bound in bounds.items()
        if bound is not None
    ]
    lines.append(f"- {aims}{''.join(f'; {limit}' for limit in limits)}")
    if paths:
        shown = ", ".join(plain(path) for path in paths[:20])
        lines.append(f"- varied: {shown}{' and more' if len(paths) > 20 else ''}")
    by = f"sampler {plain(meta.sampler)}, " if meta.sampler else ""
    lines.append(
        f"- {by}seed {meta.seed}" + (f", {meta.replicates} replicates" * (meta.replicates > 1))
    )
    return lines


def _go_on(meta: RunMeta, front: Sequence[TrialResult], place: str) -> list[str]:
    commands: list[Any] = []
    if meta.status == "running":
        commands += [("status",), ("stop",)]
    elif meta.status != "complete":
        commands.append(("resume",))
    commands += [("front",), ("report",)]
    if front:
        commands += [("select",), ("confirm",), ("export", "--format", "onnx")]
    lines = [_command(name, place, *rest) for name, *rest in commands]
    return ["Go on:", "", *lines]


def _command(name: str, *arguments: str) -> str:
    """A line of code in Markdown: by its indent, which nothing in the line can end."""
    quoted = (shlex.quote(_ENDS_OF_LINES.sub(_spelled_out, printable(each))) for each in arguments)
    return f"    kdsweep {name} {' '.join(quoted)}"


def _spelled_out(found: re.Match[str]) -> str:
    return "\\n" if found[0] == "\n" else f"\\u{ord(found[0]):04x}"
