"""Confirmations of a sweep as a table: what the sweep said, and what fresh seeds say."""

from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from kdsweep.notebook.tables import warn_of
from kdsweep.report.confirmed import confirmation_row
from kdsweep.results.at_hand import beside_at_hand
from kdsweep.results.confirmations import confirmations_of
from kdsweep.results.store import RunStore

_FIRST: Final = (
    "run", "name", "kind", "student", "strategy", "params", "seeds", "failed", "swept_accuracy",
    "accuracy", "accuracy_std", "test_accuracy", "test_accuracy_std", "test_accuracy_low",
    "test_accuracy_high", "optimism", "optimism_on_test", "on_front",
)  # fmt: skip


def confirmation_table(store: RunStore) -> pd.DataFrame:
    """A row for each student and control of each confirmation that lies beside the sweep.

    Accuracies are means over fresh seeds, ``_std`` their deviations, ``_low`` and ``_high`` the
    ends of their intervals. ``minus.NAME`` is the difference in test accuracy to a control, in
    pairs of seeds, with its interval.
    """
    beside_at_hand(store.directory)
    rows = []
    for found in confirmations_of(store):
        warn_of(found.problems)
        told = confirmation_row(found)
        rows += [_row(told["run"], point) for point in (*told["students"], *told["controls"])]
    more = dict.fromkeys(name for row in rows for name in row)
    table = pd.DataFrame(rows, columns=[*_FIRST, *(name for name in more if name not in _FIRST)])
    return table.astype({"params": "Int64", "seeds": "Int64", "failed": "Int64"})


def _row(run: str, point: Mapping[str, Any]) -> dict[str, Any]:
    row = {
        "run": run,
        "seeds": len(point["trial_ids"]) - point["failed"],
        **{name: point[name] for name in _FIRST if name in point},
    }
    for name in ("accuracy", "test_accuracy"):
        row |= _summary(name, point[name])
    for control, difference in point["minus"].items():
        row |= _summary(f"minus.{control}", difference)
    return row


def _summary(name: str, summary: Mapping[str, Any] | None) -> dict[str, Any]:
    """A summary as flat columns; of one that is not there yet, its mean is missing."""
    if summary is None:
        return {name: None}
    of = {f"{name}_{part}": summary[part] for part in ("std", "low", "high")}
    return {name: summary["mean"], **of}
