"""What the strategies were measured with, in sentences; and the page that holds the tables."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from strategy_runs import Line, Log, Task, teacher_task
from strategy_tables import Compared, as_markdown, summary
from strategy_trials import Job, Setup

from kdsweep.spec import Component, TeacherSpec

Tables = Mapping[str, Mapping[str, Sequence[Compared]]]
"""By the name of the setup and the labels."""


def described(setup: Setup, own: Iterable[Job], log: Log) -> str:
    """Networks and budget of a setup, with the sizes and accuracies that were found."""
    trial = next(job.trial for job in own if job.row != "none")
    done = (log.by_key.get(_key(job), {}) for job in own)
    student = next((line for line in done if line.get("status") == "complete"), {})
    said = [f"Student: {_network(setup.student, student)}."]
    for title, teacher in (("Teacher", setup.teacher), ("Second teacher", setup.second)):
        spec = TeacherSpec.model_validate(teacher) if teacher else None
        line = log.by_key.get(teacher_task(trial.data, spec).key) if spec else None
        if line is not None and line["status"] == "complete":
            accuracy = f"{100 * line['accuracy']:.1f} %"
            said.append(f"{title}: {_network(teacher['model'], line)}, {accuracy}.")
    train = trial.train
    said.append(
        f"{train.epochs} epochs, batches of {train.batch_size}, {train.optimizer.name}, "
        f"learning rate {train.lr:g}."
    )
    return " ".join(said)


def page(
    command: str, chosen: Sequence[Setup], asked: Sequence[Job], tables: Tables, log: Log
) -> str:
    """The tables of the chosen setups in Markdown, under how and where they were made."""
    lines = [
        *_provenance(command, {_key(job): log.by_key[_key(job)] for job in asked}.values()),
        "",
        summary(compared for by_labels in tables.values() for compared in by_labels.values()),
    ]
    for setup in chosen:
        if setup.name in tables:
            own = [job for job in asked if job.setup.name == setup.name]
            lines += ["", f"## {setup.title[0].upper()}{setup.title[1:]}", ""]
            lines += [described(setup, own, log), "", *as_markdown(tables[setup.name])]
    return "\n".join(lines)


def marks(data: str) -> tuple[str, str]:
    """The lines of a page between which the tables of a data set stand."""
    of_it = f"benchmarks/strategies.py, {data}"
    return f"<!-- {of_it}: begin -->", f"<!-- {of_it}: end -->"


def fill(path: Path, data: str, text: str) -> None:
    """Put ``text`` between the two marks that a page has for a data set.

    Raises:
        SystemExit: there is no such file, or it has not both marks.
    """
    old, (first, last) = path.read_text() if path.is_file() else "", marks(data)
    before, begin, rest = old.partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end:
        raise SystemExit(f"{path} must have the lines {first} and {last}: tables go in between")
    path.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}")


def _provenance(command: str, trials: Iterable[Line]) -> list[str]:
    done = list(trials)
    by = {tuple(line["by"].items()): line["by"] for line in done}
    days = sorted({line["at"][:10] for line in done})
    minutes = sum(line["cpu_s"] for line in done) / 60
    middle = statistics.median(line["cpu_s"] for line in done)
    lines = [
        f"`{command}`",
        "",
        f"{len(done)} trials, {minutes:.0f} minutes of one processor (median {middle:.1f} s), "
        f"{' to '.join(days[:: len(days) - 1] if len(days) > 1 else days)}:",
        "",
    ]
    for each in by.values():
        own = sum(line["by"] == each for line in done)
        lines.append(
            f"- {own} on {each['cpus']} CPUs ({each['cpu']}), Python {each['python']}, "
            f"torch {each['torch']}, code {each['code']}"
        )
    return lines


def _key(job: Job) -> str:
    return Task("", "trial", job.trial).key


def _network(model: Mapping[str, Any], line: Mapping[str, Any]) -> str:
    component = Component(**model)
    settings = ", ".join(f"{key}: {_yaml(value)}" for key, value in component.settings.items())
    size = f", {line['params']:,.0f} parameters" if line.get("params") else ""
    return f"`{{name: {component.name}, {settings}}}`{size}"


def _yaml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
