"""A run as it stands: its state, who drives it, how far it is, what it trains now."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from kdsweep.report.labels import num_words, spent_words
from kdsweep.report.rows import finite_or_none
from kdsweep.report.run_table import run_row
from kdsweep.results.holder import living_holder, numbers_are_old_s, read_job, silent_s
from kdsweep.results.record import WAITING, TrialResult, epochs_in
from kdsweep.results.stopping import is_asked_to_stop
from kdsweep.results.store import RunStore


def run_status(
    store: RunStore,
    results: Sequence[TrialResult],
    front: Sequence[TrialResult],
    *,
    budget: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A run in one row: what ``run_row`` has, its driver, and the trials that are running.

    ``status`` is ``died`` where the records say that it runs and nobody drives it.
    """
    row = run_row(store, results, front)
    holder = living_holder(store.directory)
    running = [result for result in results if result.status == "running"]
    # What ended a moment ago is not in `run.json` yet; what was set aside is there alone.
    epochs = max(store.meta.student_epochs, epochs_in(results))
    return {
        **row,
        "stopping": holder is not None and is_asked_to_stop(store.directory),
        "driver": None if holder is None else {
            "host": holder.host,
            "pid": holder.pid,
            "since": holder.since,
            "silent_s": _seconds(silent_s, store),
            "words": holder.words,
        },
        "job": {"id": job} if (job := read_job(store.directory)) else None,
        "running": len(running),
        "waiting": sum(result.lane == WAITING for result in running) if holder else 0,
        "trials_running": [_running(result) for result in running] if holder else [],
        "spent": spent_words(store.meta, epochs=epochs),
        "student_epochs": epochs,
        "cost": store.meta.cost,
        "budget": dict(budget or {}) or None,
        "as_of_s": None if holder is None else _seconds(numbers_are_old_s, store),
        "ended_by": store.meta.ended_by,
    }  # fmt: skip


def status_lines(row: Mapping[str, Any]) -> list[str]:
    """A row of ``run_status`` for people, a line for each thing."""
    best = row["best_accuracy"]
    lines = [
        f"{row['run']}: {_state(row)}",
        f"  driver    {row['driver']['words'] if row['driver'] else 'nobody'}",
    ]
    if row.get("confirms"):
        lines.insert(1, f"  confirms  {row['confirms']}; `kdsweep confirm {row['run']} --show`")
    if row["job"]:
        told = row["job"].get("status") or "its state is asked for with --address"
        lines.append(f"  Ray job   {row['job']['id']}: {told}")
    lines += [
        f"  trials    {_trials(row)}",
        f"  front     {num_words(row['front_size'], 'student')}"
        + ("" if best is None else f", best accuracy {100 * best:.2f}%"),
        f"  spent     {row['spent']}",
    ]
    if row["budget"]:
        limits = ", ".join(f"{what} {limit:g}" for what, limit in row["budget"].items())
        lines.append(f"  budget    {limits}")
    if row["ended_by"]:
        lines.append(f"  ended     {row['ended_by']}")
    if row["as_of_s"] is not None:
        epochs = ", and the epochs of trials that run" if row["trials_running"] else ""
        lines.append(f"  as of     {row['as_of_s']:.0f} s ago: what was spent{epochs}")
    return [*lines, *(f"  running   {_in_words(trial)}" for trial in row["trials_running"])]


def _seconds(since: Callable[[Path], float], store: RunStore) -> float | None:
    with suppress(OSError):
        return round(since(store.directory), 1)
    return None


def _running(result: TrialResult) -> dict[str, Any]:
    last = result.epochs[-1] if result.epochs else None
    return {
        "trial_id": result.trial_id,
        "name": result.label,
        "epoch": 0 if last is None else last.epoch,
        "epochs": (result.trial.get("train") or {}).get("epochs"),
        "accuracy": None if last is None else finite_or_none(last.accuracy),
        "lane": result.lane or None,
        "started": result.started,
    }


def _state(row: Mapping[str, Any]) -> str:
    if row["stopping"]:
        return "running, asked to stop"
    if row["status"] == "died":
        return (
            "died: its records say that it runs, but nobody drives it; "
            f"`kdsweep resume {row['run']}` goes on"
        )
    if row["driver"] and row["status"] != "running":
        return f"{row['status']}; its driver is starting, or sends the last of its records"
    return str(row["status"])


def _trials(row: Mapping[str, Any]) -> str:
    planned = f" of {row['planned']}" if row["planned"] else ""
    others = {status: row[status] for status in ("pruned", "failed", "stopped")}
    # Nobody is left to write down how they ended.
    others["running" if row["driver"] else "cut short"] = row["running"] - row["waiting"]
    others["waiting for a lane"] = row["waiting"]
    counted = [f"{num} {status}" for status, num in others.items() if num]
    return ", ".join([f"{row['complete']}{planned} complete", *counted])


def _in_words(trial: Mapping[str, Any]) -> str:
    said = [f"{trial['trial_id']} {trial['name']}"]
    if trial["epoch"]:
        said.append(f"epoch {trial['epoch']} of {trial['epochs']}")
    if trial["accuracy"] is not None:
        said.append(f"accuracy {100 * trial['accuracy']:.2f}%")
    if trial["lane"]:
        said.append("waiting for a lane" if trial["lane"] == WAITING else trial["lane"])
    return ", ".join(said)
