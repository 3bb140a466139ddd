"""The confirmations that lie beside a sweep, and who has opened its test data."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from kdsweep.results.confirmation import Confirmation, confirmation, opened
from kdsweep.results.confirms import Confirms, Opening
from kdsweep.results.runs import find_runs
from kdsweep.results.store import RunStore


def confirmations_of(store: RunStore, *, sweep_id: str | None = None) -> list[Confirmation]:
    """The confirmations of a sweep that lie beside it, the oldest first.

    ``sweep_id`` is for one of them, which knows whose it is. Of runs in an object store the copies
    at hand, see ``at_hand.runs_at_hand``.
    """
    return [confirmation(each) for each, _ in confirming(store, sweep_id=sweep_id)]


def best_first(confirmations: Sequence[Confirmation]) -> list[Confirmation]:
    """The whole ones before those that have not ended, then the least opened test data first.

    Of equals the newest is first; ``confirmations`` are the oldest first.
    """
    newest_first = confirmations[::-1]
    return sorted(
        newest_first, key=lambda each: (not each.is_whole, len(each.confirms.opened_before))
    )


def is_best(found: Confirmation, store: RunStore) -> bool:
    """Whether ``found``, of ``store``, is the first of all of its sweep by ``best_first``."""
    all_of_them = confirmations_of(store, sweep_id=found.confirms.sweep_id)
    return best_first(all_of_them)[0].place == found.place


def confirming(store: RunStore, *, sweep_id: str | None = None) -> list[tuple[RunStore, Confirms]]:
    """The runs beside a sweep that confirm it, the oldest first, and what; no record is read."""
    wanted = sweep_id or store.meta.sweep_id
    found = ((each, each.meta.confirms) for each in _beside(store.directory))
    return [
        (each, confirms) for each, confirms in found
        if confirms is not None and confirms.sweep_id == wanted
    ]  # fmt: skip


def openings(store: RunStore) -> tuple[Opening, ...]:
    """Who has opened the test data of a sweep before, the first one first.

    Confirmations of this sweep, and of others on the same data, as far as they lie beside it.
    """
    found = []
    for each in _beside(store.directory):
        confirms, data = each.meta.confirms, each.meta.data_fingerprint
        if confirms is None:
            continue
        same = confirms.sweep_id == store.meta.sweep_id
        if same or (data is not None and data == store.meta.data_fingerprint):
            when = opened(each.read())
            if when is not None:
                found.append(Opening(run=each.meta.name, when=when, same_sweep=same))
    return tuple(sorted(found, key=lambda opening: datetime.fromisoformat(opening.when)))


def _beside(directory: Path) -> list[RunStore]:
    """The runs in the same place, the oldest first."""
    named = directory.name not in ("", "..")
    stores, _ = find_runs(directory.parent if named else directory.resolve().parent)
    return stores[::-1]
