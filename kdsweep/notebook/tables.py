"""Records as tables of pandas: a row for each trial, epoch or sweep, a type for each column."""

import os
import sys
import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

import pandas as pd

from kdsweep.errors import printable
from kdsweep.notebook.given import path_given
from kdsweep.report.importance import Importance, importance_rows, missing_words
from kdsweep.report.labels import strategy_label
from kdsweep.report.rows import METRICS, rows
from kdsweep.report.run_table import run_row
from kdsweep.results.at_hand import runs_at_hand
from kdsweep.results.pareto import front as front_of
from kdsweep.results.record import TrialResult
from kdsweep.results.runs import find_runs

_WHO: Final = (
    "number", "trial_id", "name", "role", "status", "on_front", "student", "strategy",
)  # fmt: skip
_HOW: Final = ("started", "seconds", "device", "computed", "error", "weights")
_WHOLE: Final = (
    "epochs", "params", "macs", "size_bytes", "point", "replicate", "replicates",
    "planned", "complete", "failed", "pruned", "stopped", "front_size", "unreadable",
)  # fmt: skip
_NO_SETTING: Final = "null"
"""What a record's flat view has for a setting that is left open."""


def trial_table(results: Sequence[TrialResult], *, on_front: Collection[str]) -> pd.DataFrame:
    """A row for each trial (or point, with mean and deviation), under its number.

    Who it is, its metrics, what the search set (by dotted path, missing where a trial has no such
    setting), and how it went. ``on_front`` has the ids of the trials that are on the front.
    """
    flat_rows = []
    for result, flat in zip(results, rows(results), strict=True):
        settings = flat.pop("settings")
        del flat["changes"]
        several = result.replicates > 1
        flat_rows.append({
            **flat,
            "on_front": result.trial_id in on_front,
            "epochs": len(result.epochs),
            **({"point": result.point, "replicate": result.replicate} if several else {}),
            **{_setting(path, flat): value for path, value in settings.items()},
            "started": result.started or None,
            "computed": result.computed,
            "error": result.error,
        })  # fmt: skip
    first = [*_WHO, *METRICS, "epochs"]
    between = dict.fromkeys(name for flat in flat_rows for name in flat)
    columns = [*first, *(name for name in between if name not in (*first, *_HOW)), *_HOW]
    frame = _typed(pd.DataFrame(flat_rows, columns=columns))
    return frame.set_index("number")


def epoch_table(results: Iterable[TrialResult]) -> pd.DataFrame:
    """A row for each epoch of each trial: its validation numbers, and its training losses.

    These are ``train.total`` and ``train.TERM``, missing where a trial has no such term.
    """
    found: list[dict[str, Any]] = []
    for result in results:
        who = {
            "number": result.number, "trial_id": result.trial_id, "name": result.name,
            "strategy": strategy_label(result), "status": result.status,
        }  # fmt: skip
        for epoch in result.epochs:
            numbers = epoch.model_dump()
            losses = numbers.pop("train")
            found.append(
                {**who, **numbers, **{f"train.{term}": value for term, value in losses.items()}}
            )
    if found:
        return pd.DataFrame(found)
    columns = ["number", "trial_id", "name", "strategy", "status"]
    return pd.DataFrame(columns=[*columns, "epoch", "accuracy", "loss", "lr", "seconds"])


def importance_table(importance: Importance) -> pd.DataFrame:
    """A row for each objective and setting; objectives without any are warned of."""
    columns = ["objective", "setting", "share", "chance", "above_chance", "students"]
    frame = pd.DataFrame(importance_rows(importance), columns=columns)
    kinds = {"share": float, "chance": float, "above_chance": bool, "students": "Int64"}
    frame = frame.astype(kinds)
    missing = missing_words(importance)
    frame.attrs["missing"] = missing
    warn_of(missing.values())
    return frame


def sweeps_under(root: str | os.PathLike[str]) -> pd.DataFrame:
    """The sweeps under a directory or address, newest first; see ``kdsweep.sweeps``."""
    stores, problems = find_runs(
        runs_at_hand(path_given(root, what="directory of runs", example="runs"))
    )
    found = []
    for store in stores:
        results = store.read()
        problems += store.problems
        meta = store.meta
        front = front_of(results, meta.objectives, constraints=meta.constraints)
        row = run_row(store, results, front)
        found.append({**row, "objectives": _objectives(row["objectives"])})
    warn_of(problems)
    if not found:
        return pd.DataFrame(columns=["run", "name", "status", "created"]).set_index("run")
    table = _typed(pd.DataFrame(found)).set_index("run")
    table["created"] = pd.to_datetime(table["created"], utc=True, format="ISO8601")
    return table


def warn_of(problems: Iterable[str]) -> None:
    """A warning for each record that is left out, shown at the line that asked for the sweep."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and _is_ours(frame.f_globals):
        level, frame = level + 1, frame.f_back
    for problem in problems:
        warnings.warn(printable(problem), stacklevel=level)


def _is_ours(names: Mapping[str, Any]) -> bool:
    return str(names.get("__name__")).partition(".")[0] == __name__.partition(".")[0]


def _objectives(objectives: Mapping[str, str]) -> str:
    return ", ".join(f"{metric}: {direction}" for metric, direction in objectives.items())


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    """Whole numbers that may be missing, floats, truth values, times; all else is text."""
    for name in frame.columns:
        column = frame[name]
        if name == "started":
            frame[name] = pd.to_datetime(column, unit="s", utc=True)
        elif name == "on_front":
            frame[name] = column.astype(bool)
        elif name in _WHOLE:
            frame[name] = column.astype("Int64")
        elif name in METRICS or name == "seconds" or str(name).endswith("_std"):
            frame[name] = column.astype(float)
        elif name not in (*_WHO, *_HOW):
            frame[name] = _typed_setting(column)
    return frame


def _setting(path: str, taken: Collection[str]) -> str:
    """The column of a setting: its dotted path, unless that would hide another column."""
    return f"settings.{path}" if path in (*taken, *_WHO, *_HOW, *_WHOLE) else path


def _typed_setting(column: pd.Series) -> pd.Series:
    kind: str | None
    values = [None if _is_open(value) else value for value in column]
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        kind = "boolean"
    elif kinds == {int}:
        kind = "Int64"
    elif kinds and kinds <= {int, float}:
        kind = "float64"
    else:
        kind = None  # pandas has its own type of texts
    return pd.Series(values, index=column.index, dtype=kind)


def _is_open(value: object) -> bool:
    return value is None or value != value or value == _NO_SETTING
