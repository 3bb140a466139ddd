"""A trial in words and as one flat row, the same in every table, file and MLflow run."""

import csv
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from typing import Any

from kdsweep.results.record import TrialResult
from kdsweep.results.replicates import PointResult, by_point

VARYING = ("accuracy", "loss", "latency_ms")
"""The metrics that differ from one replicate to the next."""

METRICS = ("accuracy", "loss", "params", "macs", "size_bytes", "latency_ms")
_SIZES = ("width", "depth", "layers", "stages", "hidden", "filters")
_NOT_IN_A_NAME = ("data", "teacher", "teachers", "train", "seed")
_STRENGTHS = {"temperature": "T", "alpha": "a", "weight": "u"}


def strategy_label(result: TrialResult) -> str:
    """``kd``, or ``kd+fitnet`` with its extra terms; ``-`` where there is none.

    A teacher's record holds the trial that it was trained for, whose strategy is not its own.
    """
    return "-" if result.role == "teacher" else _strategy_words(result.trial)


def student_label(result: TrialResult) -> str:
    """``cnn``, with its sizes where it has them: ``cnn w8 d2``; a teacher's likewise."""
    if result.role == "teacher":
        student = _component(_component(result.trial.get("teacher")).get("model"))
    else:
        student = _component(result.trial.get("student"))
    name = str(student.get("name", "-")).rpartition(":")[2]
    return " ".join([str(student.get("model", name)), *_size_words(student)])


def trial_name(trial: Mapping[str, Any], drawn: Mapping[str, Any] | None = None) -> str:
    """A trial in a few words: ``kd w16 d1 T4.2 a0.31``.

    Of what the search has ``drawn``, by the name of the dimension, all is in it that is not said
    already and is of student or strategy: ``kd+transformer w32 l2 T4 a0.1 hidden_weight=0.3``.
    """
    strategy = _component(trial.get("strategy"))
    strengths = [
        f"{letter}{strategy[key]:.2g}"
        for key, letter in _STRENGTHS.items()
        if isinstance(strategy.get(key), int | float)
    ]
    sizes = _size_words(_component(trial.get("student")))
    return " ".join([_strategy_words(trial), *sizes, *strengths, *_drawn_words(drawn or {})])


def _drawn_words(drawn: Mapping[str, Any]) -> Iterable[str]:
    for name, value in drawn.items():
        path = re.sub(r"\[[^\]]*\]", "", name)
        above, _, key = path.rpartition(".")
        said = path in ("student", "strategy") or (
            key in _SIZES if above == "student" else above == "strategy" and key in _STRENGTHS
        )
        if said or value is None or path.partition(".")[0] in _NOT_IN_A_NAME:
            continue
        number = isinstance(value, int | float) and not isinstance(value, bool)
        yield f"{key}={value:.3g}" if number else f"{key}={value}"


def _strategy_words(trial: Mapping[str, Any]) -> str:
    strategy = _component(trial.get("strategy"))
    extra = strategy.get("extra") or {}
    added = [name for name, given in extra.items() if given is not None]
    names = [str(strategy.get("name", "-")), *added]
    return "+".join(name.rpartition(":")[2] for name in names)


def _size_words(student: Mapping[str, Any]) -> list[str]:
    """The sizes of a family, short; of a class of one's own all numbers, with their names."""
    if ":" in str(student.get("name")):
        numbers = {k: v for k, v in student.items() if isinstance(v, int | float)}
        return [f"{key}={value}" for key, value in numbers.items()]
    return [f"{key[0]}{student[key]}" for key in _SIZES if student.get(key) is not None]


def setting(result: TrialResult, name: str) -> Any:
    """A setting of the strategy, such as ``temperature``; none where it has no such setting."""
    return _component(result.trial.get("strategy")).get(name)


def row(result: TrialResult) -> dict[str, Any]:
    """One flat row: who it is, its metrics, its weights and what the search set.

    A metric without a finite value is none: neither JSON nor CSV has a number for it. A point of
    several replicates has their mean, and three further columns and deviations.
    """
    metrics = {name: finite_or_none(result.metrics.get(name)) for name in METRICS}
    for name in ("params", "macs", "size_bytes"):
        value = metrics[name]
        metrics[name] = None if value is None else int(value)
    return {
        "number": result.number,
        "trial_id": result.trial_id,
        "name": result.name,
        "role": result.role,
        "status": result.status,
        "student": student_label(result),
        "strategy": strategy_label(result),
        **metrics,
        "seconds": result.seconds,
        "device": result.device,
        "weights": result.weights,
        **(_of_point(result) if isinstance(result, PointResult) else {}),
        "changes": result.changes,
    }


def _of_point(result: PointResult) -> dict[str, Any]:
    spread = {f"{n}_std": finite_or_none(result.deviations.get(n)) for n in VARYING}
    of = {"point": result.point, "replicates": result.replicates, "trial_ids": result.trial_ids}
    return {**spread, **of}


def csv_text(results: Sequence[TrialResult]) -> str:
    """Rows as CSV, a column for each changed setting, empty where a trial has no value."""
    rows = []
    for result in results:
        flat = row(result)
        changes = flat.pop("changes")
        if "trial_ids" in flat:
            flat["trial_ids"] = " ".join(flat["trial_ids"])
        rows.append({**flat, **flatten(changes)})
    columns: dict[str, None] = dict.fromkeys(name for flat in rows for name in flat)
    text = StringIO()
    writer = csv.DictWriter(text, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def completed(results: Sequence[TrialResult], adjective: str = "") -> str:
    """How many results there are to choose from: ``12 trials``, ``3 points of 4 trials each``."""
    found = [r for r in by_point(results) if r.status == "complete" and r.role != "teacher"]
    words = f"{adjective} " if adjective else ""
    num = max((result.replicates for result in results), default=1)
    if num == 1:
        return f"{len(found)} {words}trials"
    return f"{len(found)} {words}point{'' if len(found) == 1 else 's'} of {num} trials each"


def flatten(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Nested settings under dotted keys; a list is one value, as JSON; nothing is ``null``."""
    return dict(_leaves("", settings))


def finite_or_none(value: float | None) -> float | None:
    """``value`` where it is a finite number."""
    return value if value is not None and math.isfinite(value) else None


def _leaves(path: str, value: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves(f"{path}.{key}" if path else str(key), inner)
    elif path:
        plain = isinstance(value, str | int | float)
        yield path, value if plain else json.dumps(value, default=str)


def _component(value: Any) -> Mapping[str, Any]:
    """A component of a trial, which may be a bare name."""
    if isinstance(value, Mapping):
        return value
    return {} if value is None else {"name": value}
