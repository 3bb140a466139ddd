"""``kdsweep resume`` and ``extend``: go on with a sweep, to its end or beyond."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kdsweep.cli.run import at_address, drive
from kdsweep.results.at_hand import run_at_hand

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kdsweep.results.store import RunStore
    from kdsweep.sweep_file import Sweep

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

    store = RunStore.open(directory)
    if store.meta.status == "complete":
        spent_up = f" ({store.meta.ended_by})" if store.meta.ended_by else ""
        raise ResultError(
            f"is complete{spent_up}; look at it with `kdsweep front {store.place}`, or add to "
            f"it with `kdsweep extend {store.place} --trials N`",
            source=store.place,
        )
    _go_on(store, address, despite_changes, {})


def extend(
    directory: _Run,
    trials: Annotated[
        int | None, typer.Option("--trials", min=1, help="So many trials more.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option("--epochs", min=1, help="So many epochs more to spend.")
    ] = None,
    hours: Annotated[
        float | None, typer.Option("--hours", min=0, help="So many hours more to spend.")
    ] = None,
    cost: Annotated[
        float | None, typer.Option("--cost", min=0, help="So much more money to spend.")
    ] = None,
    address: _Address = None,
    despite_changes: _Despite = False,
) -> None:
    """Go on with a sweep beyond its end, with all that its search has learned.

    The sampler knows every trial of the run; controls are not trained again. What
    is added is kept in the run: a later resume knows of it.

    \b
    Examples:
      kdsweep extend runs/digits --trials 50
      kdsweep extend runs/digits --hours 2
    """
    from kdsweep.errors import SpecError
    from kdsweep.results.store import RunStore

    asked = {"trials": trials, "epochs": epochs, "hours": hours, "cost": cost}
    more = {name: float(value) for name, value in asked.items() if value is not None}
    if not more or not all(more.values()):
        raise SpecError("give how much more: --trials, --epochs, --hours or --cost, above zero")
    _go_on(RunStore.open(directory), address, despite_changes, more)


def _go_on(
    store: "RunStore", address: str | None, despite_changes: bool, more: dict[str, float]
) -> None:
    from kdsweep.results.holder import refuse_if_held
    from kdsweep.results.places import refuse_links
    from kdsweep.results.store import SWEEP_FILE
    from kdsweep.search.provenance import what_must_not_change
    from kdsweep.sweep_file import check_room, load, plan

    refuse_links(store.directory)
    refuse_if_held(store.directory)
    meta, path = store.meta, store.directory / SWEEP_FILE
    digest = hashlib.sha256(store.sweep_text.encode()).hexdigest()
    changed = digest != (meta.sweep_sha256 or digest)
    if changed and not despite_changes:
        raise _file_has_changed(path)
    total = {name: meta.extended.get(name, 0) + more.get(name, 0)
             for name in dict.fromkeys((*meta.extended, *more))}  # fmt: skip
    sweep = at_address(_extended(load(path), total), address)
    if meta.address is not None and sweep.spec.cluster.address is None:
        typer.echo(
            f"{store.place}: it ran on the Ray cluster at {meta.address} and goes on on this "
            f"machine; --address {meta.address} joins the cluster again",
            err=True,
        )
    check_room(sweep)
    expected = None if despite_changes else what_must_not_change(store)
    _refuse_another_teacher(sweep, expected or {}, store.place)
    done = store.read()
    for problem in store.problems:
        typer.echo(f"warning: {problem}", err=True)

    changes: dict[str, Any] = {"extended": total, "trials": plan(sweep).total}
    if address is not None:
        changes["address"] = address
    if despite_changes:
        changes |= {"teacher": None, "data_fingerprint": None, "sweep_sha256": digest}
    shown = meta.model_copy(update={"trials": changes["trials"]})
    drive(sweep, shown, lambda: store, done=done, expected=expected, changes=changes)


def _extended(sweep: "Sweep", more: dict[str, float]) -> "Sweep":
    """The sweep with higher limits.

    Raises:
        SpecError: it has no such limit.
    """
    from dataclasses import replace

    from kdsweep.errors import SpecError
    from kdsweep.spec.sweep import BudgetSpec

    search = sweep.spec.search
    limits = dict(search.budget.model_dump()) if search.budget is not None else {}
    for name, value in more.items():
        if name == "trials":
            if not search.has_most_trials:
                raise SpecError(
                    "--trials: the sweep has no limit of trials, its budget ends it; raise that "
                    "with --hours, --epochs or --cost",
                    source=sweep.path,
                )
            search = search.model_copy(update={"trials": search.trials + int(value)})
        elif limits.get(name) is None:
            raise SpecError(
                f"--{name}: the sweep has no budget of {name}; give what limits it: "
                f"{', '.join(_limits_of(sweep))}",
                source=sweep.path,
            )
        else:
            limits[name] += int(value) if name == "epochs" else value
    if limits:
        search = search.model_copy(update={"budget": BudgetSpec.model_validate(limits)})
    return replace(sweep, spec=sweep.spec.model_copy(update={"search": search}))


def _limits_of(sweep: "Sweep") -> list[str]:
    search = sweep.spec.search
    budget = {} if search.budget is None else search.budget.model_dump(exclude_none=True)
    return [f"--{name}" for name in (*(["trials"] if search.has_most_trials else []), *budget)]


def _refuse_another_teacher(sweep: "Sweep", expected: "Mapping[str, Any]", place: str) -> None:
    """Where this machine can tell, nothing needs to be started to find out.

    Raises:
        ResultError: of the data that the run began with, its teacher would be another.
    """
    from kdsweep.errors import ResultError
    from kdsweep.spec.trial import MAIN_TEACHER
    from kdsweep.train.changed import changed_since

    teacher = sweep.spec.trial.all_teachers.get(MAIN_TEACHER)
    if teacher is None or not {"data", "teacher"} <= set(expected):
        return
    if teacher.weights is not None and not Path(teacher.weights).expanduser().is_file():
        return  # it may lie on the machines of a cluster
    changed = changed_since(expected, expected["data"], teacher)
    if changed:
        raise ResultError(changed, source=place)


def _file_has_changed(path: Path) -> Exception:
    from kdsweep.errors import ResultError

    return ResultError(
        "the sweep file has changed since the sweep began: put it back, or run it under another "
        "name (`kdsweep run FILE --name NAME`); --despite-changes goes on with it as it is now",
        source=path,
    )


def register(app: typer.Typer) -> None:
    """Put the commands of this file into the application."""
    app.command()(resume)
    app.command()(extend)
