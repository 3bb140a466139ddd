"""What is written down of a trial: how it ended, and what cut it short."""

import time
from collections.abc import Mapping
from typing import Any

from kdsweep.results.latency import Latency
from kdsweep.results.record import WAITING, TrialResult


def with_cut(record: TrialResult, resumed_after: int = 0) -> tuple[str, ...]:
    """Its interruptions with the end of the sweep that had it on a lane.

    Its last checkpoint may be newer than its record, which then may not know of its lane.
    """
    known, lane = record.epochs[-1].epoch if record.epochs else 0, record.lane
    if lane in ("", WAITING):
        if resumed_after <= known or record.interruptions:
            return record.interruptions  # it waited: nobody trained it
        lane = "a lane"
    where = f"{lane}, after epoch {max(known, resumed_after)}"
    return (*record.interruptions, f"{where}: the sweep was cut short")


def ended_with(result: TrialResult, outcome: Mapping[str, Any], *, weights: str) -> TrialResult:
    """The record of a running trial after the outcome that its lane has told."""
    seconds = outcome.get("seconds") or sum(epoch.seconds for epoch in result.epochs)
    return result.model_copy(
        update={
            "started": time.time() - seconds,
            "status": outcome["status"],
            "lane": "" if result.lane == WAITING else result.lane,
            "metrics": outcome.get("metrics") or {},
            "latency": _latency(outcome),
            "weights_of_terms": outcome.get("raw_weights") or {},
            "error": outcome.get("error"),
            "traceback": outcome.get("traceback") or "",
            "device": outcome.get("device") or "",
            "computed": outcome.get("computed") or "",
            "seconds": seconds,
            "weights": weights if outcome["status"] == "complete" else None,
        }
    )


def _latency(outcome: Mapping[str, Any]) -> Latency | None:
    told = outcome.get("latency")
    return None if told is None else Latency.model_validate(told)
