"""``kdsweep select``: the best student within limits, or which limit to relax."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from kdsweep.cli.reading import JsonOption, RunArgument, print_json, read
from kdsweep.cli.saying import say, warn
from kdsweep.errors import ResultError
from kdsweep.report.rows import rows
from kdsweep.report.table import trial_table
from kdsweep.results.record import TrialResult
from kdsweep.results.select import Choice, Prefer, select
from kdsweep.results.store import RunStore
from kdsweep.storage.address import is_address


def select_student(
    run: RunArgument,
    max_params: Annotated[
        float | None, typer.Option(min=0, help="Most parameters it may have.")
    ] = None,
    max_macs: Annotated[
        float | None, typer.Option(min=0, help="Most multiply-adds per sample.")
    ] = None,
    max_size_kb: Annotated[
        float | None, typer.Option(min=0, help="Largest weights, in kB of 1000 bytes.")
    ] = None,
    max_latency_ms: Annotated[
        float | None, typer.Option(min=0, help="Slowest answer, where it was measured.")
    ] = None,
    min_accuracy: Annotated[
        float | None, typer.Option(min=0, max=1, help="Least validation accuracy, 0 to 1.")
    ] = None,
    prefer: Annotated[
        str, typer.Option(metavar="accuracy|params|latency", help="What to be best at.")
    ] = "accuracy",
    as_json: JsonOption = False,
) -> None:
    """Choose the best student that fits the limits.

    Every complete trial takes part, those off the front as well. Exit code 1
    where none fits; it then says which limit to relax, and by how much.

    \b
    Example:
      kdsweep select runs/digits --max-params 20000 --min-accuracy 0.9
    """
    store = RunStore.open(run)
    choice = select(
        read(store), store.meta.objectives,
        max_params=max_params, max_macs=max_macs,
        max_size_bytes=None if max_size_kb is None else 1000 * max_size_kb,
        max_latency_ms=max_latency_ms, min_accuracy=min_accuracy, prefer=_preference(prefer),
    )  # fmt: skip
    if choice.chosen is not None:
        chosen = _with_weights_that_are_there(store, choice.chosen, tell=warn)
        others = (_with_weights_that_are_there(store, each) for each in choice.runners_up)
        choice = replace(choice, chosen=chosen, runners_up=tuple(others))
    if as_json:
        print_json(_choice_row(choice))
    elif choice.chosen is not None:
        _print_choice(store, choice, choice.chosen)
    else:
        say(f"no student of {store.meta.name} fits", err=True)
        for sentence in choice.advice:
            say(f"  {sentence}", err=True)
    if choice.chosen is None:
        raise typer.Exit(1)


def _preference(given: str) -> Prefer:
    for known in ("accuracy", "params", "latency"):
        if given == known:
            return known
    raise ResultError(f"--prefer {given!r} is not allowed (allowed: accuracy, params, latency)")


def _print_choice(store: RunStore, choice: Choice, chosen: TrialResult) -> None:
    console = Console(highlight=False)
    objectives, width = store.meta.objectives, console.width
    console.print(trial_table([chosen], objectives, title="Chosen", width=width))
    if choice.runners_up:
        console.print(
            trial_table(choice.runners_up, objectives, title="Next best that fit", width=width)
        )
    if len(chosen.trial_ids) > 1:
        say(f"trials      {' '.join(chosen.trial_ids)}")
    say(f"trial file  {store.trial_file(chosen.trial_id)}")
    if chosen.weights is not None:
        say(f"weights     {store.place}/{chosen.weights}")
    else:
        typer.echo("weights     none are kept; the trial file trains it again")


def _with_weights_that_are_there(
    store: RunStore, result: TrialResult, tell: Callable[[str], object] = lambda _: None
) -> TrialResult:
    """Those that are gone, or a link to who knows what, are not named; ``tell`` hears of them."""
    place = store.weights_of(result.trial_id)
    if result.weights is None or is_address(place):
        return result
    path = Path(place)
    if path.is_file() and not path.is_symlink():
        return result
    what = "is a link, which could lead anywhere" if path.is_symlink() else "is not there"
    tell(f"{path}: {what}")
    return result.model_copy(update={"weights": None})


def _choice_row(choice: Choice) -> dict[str, Any]:
    chosen = [] if choice.chosen is None else [choice.chosen]
    described = rows([*chosen, *choice.runners_up])
    return {
        "chosen": described[0] if chosen else None,
        "runners_up": described[len(chosen) :],
        "rejected": [
            {"number": result.number, "trial_id": result.trial_id, "reasons": list(reasons)}
            for result, reasons in choice.rejected
        ],
        "advice": list(choice.advice),
    }
