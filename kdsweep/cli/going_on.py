"""``kdsweep resume`` and ``extend``: go on with a sweep, to its end or beyond."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kdsweep.cli.as_begun import from_where_it_was_started, refuse_another_teacher
from kdsweep.cli.early import check_cluster_option, checking
from kdsweep.cli.limits import extended, refuse_early
from kdsweep.cli.run import at_address, drive
from kdsweep.cli.saying import tell, warn
from kdsweep.results.at_hand import run_at_hand
from kdsweep.results.names import RESULT_FILE
from kdsweep.storage.copies import name_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kdsweep.results.record import TrialResult
    from kdsweep.results.store import RunStore

_Run = Annotated[
    Path,
    typer.Argument(metavar="RUN", parser=run_at_hand, help="A run's directory or address."),
]
_Address = Annotated[
    str | None, typer.Option("--address", help="A running Ray cluster: auto, or HOST:PORT.")
]
_Despite = Annotated[
    bool,
    typer.Option(
        "--despite-changes", help="Go on where the sweep file, the teacher or the data are others."
    ),
]

_ONLY_WHAT_IT_WAS_MADE_FOR = (
    "is a confirmation, which trains what was swept and nothing else: confirm the sweep once more"
)


def resume(directory: _Run, address: _Address = None, despite_changes: _Despite = False) -> None:
    """Go on with a sweep that was cut short.

    Trials that have ended are kept; the others go on from their last checkpoint,
    under their own numbers. Call it from the directory where the sweep was
    started: relative paths in its file are meant from there. It refuses where the
    sweep file in the run directory, the teacher or the data have changed.

    \b
    Example:
      kdsweep resume runs/digits
    """
    from kdsweep.errors import ResultError
    from kdsweep.results.store import RunStore

    check_cluster_option(address)
    store = RunStore.open(directory)
    # What a damaged record was of is trained again, also after the end.
    if store.meta.status == "complete" and not _damaged(store):
        raise ResultError(_complete_words(store), source=store.place)
    _go_on(store, address, despite_changes, {})


def extend(
    directory: _Run,
    trials: Annotated[int | None, typer.Option("--trials", help="So many trials more.")] = None,
    epochs: Annotated[
        int | None, typer.Option("--epochs", help="So many epochs more to spend.")
    ] = None,
    hours: Annotated[
        float | None, typer.Option("--hours", help="So many hours more to spend.")
    ] = None,
    cost: Annotated[
        float | None, typer.Option("--cost", help="So much more money to spend.")
    ] = None,
    address: _Address = None,
    despite_changes: _Despite = False,
) -> None:
    """Go on with a sweep beyond its end.

    The sampler knows every trial of the run, and all that it has learned;
    controls are not trained again. What is added is kept in the run: a later
    resume knows of it.

    \b
    Examples:
      kdsweep extend runs/digits --trials 50
      kdsweep extend runs/digits --hours 2
    """
    from kdsweep.errors import ResultError, SpecError
    from kdsweep.results.store import RunStore

    asked = {"trials": trials, "epochs": epochs, "hours": hours, "cost": cost}
    more = {name: float(value) for name, value in asked.items() if value is not None}
    if not more or not all(value > 0 for value in more.values()):
        raise SpecError("give how much more: --trials, --epochs, --hours or --cost, above zero")
    check_cluster_option(address)
    store = RunStore.open(directory)
    if store.meta.confirms is not None:
        raise ResultError(_ONLY_WHAT_IT_WAS_MADE_FOR, source=store.place)
    _go_on(store, address, despite_changes, more)


def _go_on(
    store: "RunStore", address: str | None, despite_changes: bool, more: dict[str, float]
) -> None:
    from kdsweep.errors import ResultError
    from kdsweep.results.holder import refuse_if_held
    from kdsweep.results.names import SWEEP_FILE
    from kdsweep.results.places import refuse_links

    refuse_links(store.directory)
    refuse_if_held(store.directory)
    if despite_changes and store.meta.confirms is not None:
        raise ResultError(_ONLY_WHAT_IT_WAS_MADE_FOR, source=store.place)
    meta, path = store.meta, store.directory / SWEEP_FILE
    digest = hashlib.sha256(store.sweep_text.encode()).hexdigest()
    changed = digest != (meta.sweep_sha256 or digest)
    if changed and not despite_changes:
        raise _file_has_changed(path)
    total = {name: meta.extended.get(name, 0) + more.get(name, 0)
             for name in dict.fromkeys((*meta.extended, *more))}  # fmt: skip
    refuse_early(store, total)
    checking(name_of(path))
    # Of torch, which takes seconds.
    from kdsweep.search.provenance import what_must_not_change
    from kdsweep.search.warm_start import expected_of, warm_start_again
    from kdsweep.sweep_file import check_room, load, plan

    with from_where_it_was_started(store):
        sweep = at_address(extended(load(path), total), address)
    if meta.address is not None and sweep.spec.cluster.address is None:
        warn(
            f"{store.place}: it ran on the Ray cluster at {meta.address} and goes on on this "
            f"machine; --address {meta.address} joins the cluster again"
        )
    check_room(sweep)
    warm = warm_start_again(sweep, store, changed=changed)
    expected = None if despite_changes else what_must_not_change(store) or expected_of(warm)
    refuse_another_teacher(sweep, expected or {}, store.place)
    done = store.read()
    for problem in store.problems:
        warn(problem)
    planned = plan(sweep).total if meta.confirms is None else meta.trials
    tell(f"{store.place}: {_going_on_words(done, planned)}")
    changes: dict[str, Any] = {"extended": total, "trials": planned}
    if address is not None:
        changes["address"] = address
    if despite_changes:
        changes |= {"teacher": None, "data_fingerprint": None, "sweep_sha256": digest}
    shown = meta.model_copy(update={"trials": planned})
    drive(sweep, shown, lambda: store, done=done, expected=expected, changes=changes, warm=warm)


def _complete_words(store: "RunStore") -> str:
    """Why a run is not gone on with, and what to do instead."""
    meta, place = store.meta, store.place
    if meta.confirms is not None:
        return f"is complete; look at it with `kdsweep confirm {place} --show`"
    complete = f"is complete ({meta.ended_by})" if meta.ended_by else "is complete"
    add = f"add to it with `kdsweep extend {place} --trials N`"
    return f"{complete}; look at it with `kdsweep front {place}`, or {add}"


def _damaged(store: "RunStore") -> bool:
    """Whether a trial of the run has a record that cannot be read."""
    store.read()
    return any(RESULT_FILE in problem for problem in store.problems)


def _going_on_words(done: "Sequence[TrialResult]", planned: int | None) -> str:
    """``12 trials kept, 3 go on, 40 to come``."""
    from kdsweep.results.record import ENDED

    trials = [result for result in done if result.role != "teacher"]
    kept = sum(result.status in ENDED for result in trials)
    rest = len(trials) - kept
    words = f"{kept} trial{'s' * (kept != 1)} kept, {rest} go{'es' * (rest == 1)} on"
    if planned is None:
        return f"{words}, then as many as the budget allows"
    return f"{words}, {max(0, planned - len(trials))} to come"


def _file_has_changed(path: Path) -> Exception:
    from kdsweep.errors import ResultError

    return ResultError(
        "the sweep file has changed since the sweep began: put it back, or run it under another "
        "name (`kdsweep run FILE --name NAME`); --despite-changes goes on with it as it is now",
        source=name_of(path),
    )


def register(app: typer.Typer) -> None:
    """Put the commands of this file into the application."""
    app.command()(resume)
    app.command()(extend)
