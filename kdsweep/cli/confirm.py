"""``kdsweep confirm``: the chosen front once more, with fresh seeds, on test data."""

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kdsweep.cli.confirming import chosen_students, made_ready, name_of_confirmation
from kdsweep.cli.early import check_cluster_option
from kdsweep.cli.reading import JsonOption, RunArgument, print_json, warn_all
from kdsweep.errors import ResultError, SpecError
from kdsweep.results.at_hand import beside_at_hand
from kdsweep.results.store import RunStore

if TYPE_CHECKING:
    from kdsweep.results.confirmation import Confirmation

_TOP, _SEEDS, _FEWEST_SEEDS, _MOST_SEEDS = 5, 5, 2, 1000


def confirm(
    run: RunArgument,
    top: Annotated[
        int | None, typer.Option("--top", help="So many of the front, the best first; 5.")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option("--seeds", help="Fresh seeds for each, two at least; 5.")
    ] = None,
    trials: Annotated[
        str | None, typer.Option("--trials", metavar="7,12", help="These, and not the front.")
    ] = None,
    with_validation: Annotated[
        bool, typer.Option("--with-validation", help="Train on the validation data as well.")
    ] = False,
    no_controls: Annotated[
        bool, typer.Option("--no-controls", help="Train no control of each student's own.")
    ] = False,
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the new run; RUN-confirm if not given.")
    ] = None,
    address: Annotated[
        str | None, typer.Option("--address", help="A running Ray cluster: auto, or HOST:PORT.")
    ] = None,
    show: Annotated[
        bool, typer.Option("--show", help="Print what was confirmed; train nothing.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Train the best students again, and open the test data.

    Each student, the sweep's controls and a control of each student's own are
    trained with the same fresh seeds, and measured once on the test data, at the
    end. It prints means, spreads, differences in pairs, how probably each is on
    the front, and by how much the sweep's own numbers were too high. It is a run
    of its own beside RUN: stop, resume and status work with it. Call it from the
    directory where the sweep was started.

    \b
    Examples:
      kdsweep confirm runs/digits
      kdsweep confirm runs/digits --top 3 --seeds 10 --with-validation
      kdsweep confirm runs/digits --trials 7,12
      kdsweep confirm runs/digits --show
    """
    check_cluster_option(address)
    store = RunStore.open(run if run.name not in ("", "..") else run.resolve())
    asks = top, seeds, trials, name, with_validation or None, no_controls or None
    asks_to_train = any(each is not None for each in asks)
    if show and asks_to_train:
        raise SpecError("--show trains nothing: give it alone, or with --json")
    if show or store.meta.confirms is not None:
        _show(store, show=show, asks_to_train=asks_to_train, as_json=as_json)
        return
    _check_numbers(top, seeds, trials)
    beside_at_hand(store.directory)
    chosen = chosen_students(store, top or _TOP, trials)
    run_name = name_of_confirmation(store, name)
    start = made_ready(
        store, chosen, run_name, seeds or _SEEDS,
        with_validation=with_validation, own_controls=not no_controls, address=address,
    )  # fmt: skip
    # Of what it prints for people nothing may be between what scripts read.
    aside = contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext()
    with aside:
        start()
    if as_json:
        from kdsweep.results.confirmation import confirmation

        print_json(_row(confirmation(RunStore.open(store.directory.parent / run_name))))


def _show(store: RunStore, *, show: bool, asks_to_train: bool, as_json: bool) -> None:
    """What was confirmed: of a sweep by every confirmation that lies beside it."""
    from kdsweep.results.confirmation import confirmation
    from kdsweep.results.confirmations import confirmations_of

    confirms = store.meta.confirms
    if confirms is not None:
        if asks_to_train:
            raise ResultError(
                f"is a confirmation itself, of {confirms.run}: confirm that once more, or look at "
                f"this one with `kdsweep confirm {store.place} --show`",
                source=store.place,
            )
        if store.meta.status != "complete" and not show:
            raise ResultError(
                f"is a confirmation that is {store.meta.status}: `kdsweep resume {store.place}` "
                f"goes on with it, `kdsweep confirm {store.place} --show` prints what there is",
                source=store.place,
            )
        _print(confirmation(store), store.directory.parent, as_json=as_json)
        return
    beside_at_hand(store.directory)
    found = confirmations_of(store)
    if not found:
        raise ResultError(
            f"was not confirmed yet: `kdsweep confirm {store.place}` does it", source=store.place
        )
    if as_json:
        print_json([_row(each) for each in found])
        return
    for each in found:
        _print(each, store.directory.parent, as_json=False)


def _print(found: "Confirmation", root: Path, *, as_json: bool) -> None:
    from kdsweep.cli.ended import print_confirmation

    if as_json:
        print_json(_row(found))
    else:
        print_confirmation(found, root)


def _row(found: "Confirmation") -> dict[str, Any]:
    from kdsweep.report.confirmed import confirmation_row

    warn_all(found.problems)
    return confirmation_row(found)


def _check_numbers(top: int | None, seeds: int | None, trials: str | None) -> None:
    """Check what was given before anything is read.

    Raises:
        SpecError: too few or too many, or what excludes each other.
    """
    problems = []
    if top is not None and trials is not None:
        problems.append("give --top or --trials, not both: --trials names all that are confirmed")
    if top is not None and top < 1:
        problems.append(f"--top: {top} is not allowed: must be 1 at least")
    if seeds is not None and not _FEWEST_SEEDS <= seeds <= _MOST_SEEDS:
        problems.append(
            f"--seeds: {seeds} is not allowed: must be {_FEWEST_SEEDS} to {_MOST_SEEDS}; of one "
            "seed there is no spread"
        )
    if problems:
        raise SpecError(problems)
