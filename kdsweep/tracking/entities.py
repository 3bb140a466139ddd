"""A trial's record in MLflow's terms: params, metrics with steps, tags, status.

Everything here is a pure function of the record, time stamps included, so that sending a record
twice gives the same rows, which MLflow's stores keep once.

The names of metrics are few and the same for every strategy: for each of them the UI draws a chart
and offers a column. So the loss terms and their weights, which every strategy has of its own, are
in a child's description and its tag ``term_weights``. What is the same in all trials, data and
teacher, is told once, in the params of the parent.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kdsweep.report.labels import flatten, strategy_label, student_label
from kdsweep.results.confirms import ConfirmedPoint, Confirms
from kdsweep.results.meta import RunMeta
from kdsweep.results.record import ENDED, EpochMetrics, Status, TrialResult

TRIAL_ID, SWEEP_ID, EPOCHS = "kdsweep.trial_id", "kdsweep.sweep_id", "kdsweep.epochs"
ON_FRONT, ON_FRONT_BEFORE = "on_front", "kdsweep.on_front"
"""Whether a trial is on the front; and how that tag was called in layout 1."""
LAYOUT, LAYOUT_NOW = "kdsweep.layout", "4"
"""Which names a run has, without it those of layout 1; one of an earlier layout is sent again."""
PARENT, NOTE = "mlflow.parentRunId", "mlflow.note.content"
RUN_STATUS: dict[Status, str] = {
    "running": "RUNNING", "complete": "FINISHED", "pruned": "FINISHED", "failed": "FAILED",
    "stopped": "KILLED",
}  # fmt: skip
# The limits of MLflow's stores, in characters.
_PARAM_LENGTH, TAG_LENGTH, _KEY_LENGTH = 6000, 5000, 250
_COMMON = ("data", "teacher", "teachers")
_NOT_IN_A_NAME = re.compile(r"[^\w. -]")

Point = tuple[str, float, int, int]
"""Metric, value, time in ms, step."""


def run_name(result: TrialResult, confirms: Confirms | None = None) -> str:
    """A trial's run among the others: ``kd w16 T4.2``, ``control: none w16``, ``teacher: cnn w64``.

    A further teacher of several has its own name: ``teacher large: cnn w64``. What ``confirms`` is
    told to do so: ``confirm: kd w16 (1/5)``, ``confirm own control: none w16 (1/5)``.
    """
    if result.role == "teacher":
        model = f" {_model_of_teacher(result).get('name', '')}"
        again = "" if confirms is None else "confirm "
        return f"{again}{result.name.removesuffix(model)}: {student_label(result)}"
    if confirms is not None:
        kind = _point_of(confirms, result)
        words = f"confirm {kind.kind.replace('_', ' ')}" if kind is not None else "confirm"
        return f"{words.removesuffix(' student')}: {result.label}"
    return f"control: {result.label}" if result.role == "control" else result.label


def names_before(result: TrialResult) -> set[str]:
    """What earlier versions have called a trial's run."""
    return {result.label, run_name(result)}


def params_of(result: TrialResult) -> dict[str, str]:
    """A trial's own settings, flat: ``student.width`` to ``8``; and who it is in words.

    Those of data and teacher are the parent's (``common_params``) but for what the search set.
    """
    flat = flatten(result.trial)
    if result.role == "teacher":
        own = {path: value for path, value in flat.items() if _is_below(path, ("teacher",))}
    else:
        own = {path: value for path, value in flat.items() if not _is_common(path, result)}
    in_words = {"student": student_label(result), "strategy": strategy_label(result)}
    return _params({**own, **in_words})


def common_params(result: TrialResult) -> dict[str, str]:
    """The settings that a trial has in common with all others of its sweep: data and teacher."""
    flat = flatten(result.trial)
    return _params({path: value for path, value in flat.items() if _is_common(path, result)})


def sweep_params(meta: RunMeta) -> dict[str, str]:
    """What was asked of the sweep as a whole."""
    asked = {
        "sampler": meta.sampler, "seed": meta.seed,
        "trials": "as the budget allows" if meta.trials is None else meta.trials,
        "objectives": dict(meta.objectives),
        "constraints": {name: {side: bound for side, bound in limits.items() if bound is not None}
                        for name, limits in meta.constraints.items()},
        **({"replicates": meta.replicates} if meta.replicates > 1 else {}),
    }  # fmt: skip
    return _params(flatten(asked))


def tags_of(result: TrialResult, meta: RunMeta) -> dict[str, str]:
    """Who a trial is, where it ran and how it ended."""
    weights = (f"{name}={value:.6g}" for name, value in result.weights_of_terms.items())
    own = {
        TRIAL_ID: result.trial_id,
        LAYOUT: LAYOUT_NOW,
        **(
            {"role": result.role}
            if meta.confirms is None
            else _in_confirmation(meta.confirms, result)
        ),
        "status": result.status,
        "student": student_label(result),
        "strategy": strategy_label(result),
        "number": str(result.number),
        "device": result.device,
        "computed": result.computed,
        "lane": result.lane,
        "term_weights": ", ".join(weights),
        **_reason(result),
        # Its end says where it was.
        "traceback": result.traceback[-TAG_LENGTH:],
    }
    if result.replicates > 1:
        own |= {"point": str(result.point), "replicate": str(result.replicate)}
    return _tags({**_shared_tags(meta), **own})


def sweep_tags(meta: RunMeta) -> dict[str, str]:
    """Who a sweep is, and with what it ran."""
    own = {
        LAYOUT: LAYOUT_NOW,
        "role": "sweep",
        "status": meta.status,
        "host": meta.host,
        "python": meta.python,
        "sweep_sha256": meta.sweep_sha256,
        "data_fingerprint": meta.data_fingerprint or "",
    }
    return _tags({**_shared_tags(meta), **own})


def epoch_points(result: TrialResult, *, after: int) -> list[Point]:
    """Every metric of the epochs after number ``after``, at ``step`` = epoch."""
    found: list[Point] = []
    clock = result.started
    for epoch in result.epochs:
        clock += epoch.seconds
        if epoch.epoch > after:
            at = round(clock * 1000)
            found += [(name_of(k), v, at, epoch.epoch) for k, v in _values(epoch).items()]
    return found


def end_points(result: TrialResult) -> list[Point]:
    """Sizes, latency and time, at the last step.

    Accuracy and loss have their values per epoch, unless nothing was trained.
    """
    step = max((epoch.epoch for epoch in result.epochs), default=0)
    series = set(_values(result.epochs[-1])) if result.epochs else set()
    values = {
        **{name: value for name, value in result.metrics.items() if name not in series},
        "seconds": result.seconds,
    }
    at = end_ms(result)
    return [(name_of(name), value, at, step) for name, value in values.items()]


def sweep_points(
    meta: RunMeta, results: Sequence[TrialResult], front: Sequence[TrialResult]
) -> list[Point]:
    """The sweep as a whole, in numbers; the step is how many trials have ended."""
    trials = [result for result in results if result.role != "teacher"]
    count = {s: sum(r.status == s for r in trials) for s in (*ENDED, "stopped")}
    values: dict[str, float] = {f"trials.{status}": number for status, number in count.items()}
    values |= {"front_size": len(front), "wall_seconds": meta.wall_seconds}
    for metric, direction in meta.objectives.items():
        reached = [result.metrics[metric] for result in front]
        if reached:
            # Its ends are of different students: the most accurate is not the smallest.
            end = max(reached) if direction == "max" else min(reached)
            values[f"front.{direction}.{metric}"] = end
    at = max((end_ms(result) for result in results), default=0)
    step = sum(count[status] for status in ENDED)
    return [(name, float(value), at, step) for name, value in values.items()]


def _in_confirmation(confirms: Confirms, result: TrialResult) -> dict[str, str]:
    """What all trials of a confirmation are, which kind, and which of the sweep's they confirm."""
    point = _point_of(confirms, result)
    kind = result.role if point is None else point.kind.replace("_", " ")
    ids = "" if point is None else " ".join(point.trial_ids) or kind
    return {"role": "confirm", "kind": kind, "confirms": ids}


def _point_of(confirms: Confirms, result: TrialResult) -> ConfirmedPoint | None:
    if result.role == "teacher" or result.point >= len(confirms.points):
        return None
    return confirms.points[result.point]


def _reason(result: TrialResult) -> dict[str, str]:
    """Why a trial ended early: an error is what it failed of alone, and a rung is an epoch."""
    if result.status == "failed":
        return {"error": result.error or ""}
    last = max((epoch.epoch for epoch in result.epochs), default=None)
    at = f"epoch {last}" if result.status == "pruned" and last is not None else ""
    return {"why": result.error or "", "pruned_at": at}


def start_ms(result: TrialResult) -> int:
    """When a trial began, in milliseconds since 1970."""
    return round(result.started * 1000)


def end_ms(result: TrialResult) -> int:
    """When a trial ended, in milliseconds since 1970."""
    return round((result.started + result.seconds) * 1000)


def name_of(text: str) -> str:
    """``text`` as MLflow allows a param or metric to be called."""
    return _NOT_IN_A_NAME.sub("_", text)[:_KEY_LENGTH]


def _model_of_teacher(result: TrialResult) -> Mapping[str, Any]:
    model = (result.trial.get("teacher") or {}).get("model")
    return model if isinstance(model, Mapping) else {}


def _is_common(path: str, result: TrialResult) -> bool:
    return _is_below(path, _COMMON) and not _is_below(path, result.changes)


def _is_below(path: str, above: Iterable[str]) -> bool:
    return any(path == each or path.startswith(f"{each}.") for each in above)


def _params(flat: Mapping[str, Any]) -> dict[str, str]:
    return {name_of(path): str(value)[:_PARAM_LENGTH] for path, value in flat.items()}


def _values(epoch: EpochMetrics) -> dict[str, float]:
    values = {"accuracy": epoch.accuracy, "loss": epoch.loss, "lr": epoch.lr}
    if "total" in epoch.train:
        values["train.total"] = epoch.train["total"]
    # MLflow has a column for NaN but turns an infinity into the largest number there is.
    return {name: math.nan if math.isinf(value) else value for name, value in values.items()}


def _tags(found: Mapping[str, str]) -> dict[str, str]:
    """Tags of an allowed length; an empty one says nothing."""
    return {key: value[:TAG_LENGTH] for key, value in found.items() if value}


def _shared_tags(meta: RunMeta) -> dict[str, str]:
    return {
        SWEEP_ID: meta.sweep_id,
        "sweep": meta.name,
        "git_commit": meta.git_commit or "",
        "mlflow.source.name": "kdsweep",
        "kdsweep.version": meta.version,
        **{f"version.{package}": version for package, version in meta.packages.items()},
    }
