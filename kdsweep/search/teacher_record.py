"""What is written down of a teacher: in ``run.json``, and as a record of its own."""

import time
from collections.abc import Mapping
from typing import Any

from kdsweep.results.latency import Latency
from kdsweep.results.meta import TeacherMeta
from kdsweep.results.record import EpochMetrics, TrialResult
from kdsweep.spec import TrialSpec
from kdsweep.spec.trial import called
from kdsweep.sweep_file import resolved


def teacher_meta(card: Mapping[str, Any]) -> TeacherMeta:
    """A teacher in the meta data of its sweep, from the card that a lane has told."""
    told = ("accuracy", "loss", "params", "macs", "size_bytes", "seconds", "reused")
    return TeacherMeta(
        hash=card["digest"],
        name=card["model"]["name"],
        weights=f"../teachers/{card['digest']}/teacher.safetensors",
        **{key: card[key] for key in told},
    )


def teacher_result(card: Mapping[str, Any], trial: TrialSpec) -> TrialResult:
    """The record of a teacher that ``trial`` learns from."""
    whole = resolved(trial)
    # The record holds the teacher that it is of, also where the trial has several.
    whole["teacher"] = {**(whole["teacher"] or {}), "model": card["model"]}
    # A lane that has not prepared it has not timed it.
    latency = Latency.model_validate(card["latency"]) if card.get("latency") else None
    return TrialResult(
        trial_id=f"teacher-{card['digest'][:8]}",
        number=0,
        role="teacher",
        status="complete",
        name=f"{called(card['teacher'])} {card['model']['name']}",
        trial=whole,
        metrics={
            "accuracy": card["accuracy"],
            "loss": card["loss"],
            **{size: float(card[size]) for size in ("params", "macs", "size_bytes")},
            **{each: card[each] for each in ("test_accuracy", "test_loss") if each in card},
            **({} if latency is None else {"latency_ms": latency.batches[0].p50_ms}),
        },
        latency=latency,
        epochs=tuple(EpochMetrics.model_validate(epoch) for epoch in card["epochs"]),
        started=time.time() - card["seconds"],
        seconds=card["seconds"],
        device=card["device"],
    )
