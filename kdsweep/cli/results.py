"""``front``, ``list``, ``select`` and ``ui``: what there is, from the run directory alone."""

import json
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from kdsweep.cli.saying import say, warn
from kdsweep.errors import ResultError
from kdsweep.report.axes import teacher_metrics
from kdsweep.report.rows import completed, csv_text, rows
from kdsweep.report.run_table import run_row, run_table
from kdsweep.report.table import trial_table
from kdsweep.report.text_plot import text_plot
from kdsweep.results.at_hand import run_at_hand, runs_at_hand
from kdsweep.results.pareto import front as front_of
from kdsweep.results.record import TrialResult
from kdsweep.results.runs import find_runs
from kdsweep.results.select import Choice, Prefer, select
from kdsweep.results.store import RunStore
from kdsweep.storage.address import is_address
from kdsweep.storage.copies import root_at_hand

RunArgument = Annotated[
    Path,
    typer.Argument(metavar="RUN", parser=run_at_hand, help="A run's directory or address."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file to the command line."""
    app.command("front")(show_front)
    app.command("list")(list_runs)
    app.command("select")(select_student)
    app.command("ui")(serve_ui)


def show_front(
    run: RunArgument,
    as_json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, for spreadsheets.")] = False,
) -> None:
    """Show the Pareto front of a run: for every size the best student.

    Only complete trials count, on validation data, within the sweep's
    constraints; of replicates their mean. It works while the sweep runs.

    \b
    Example:
      kdsweep front runs/digits
    """
    if as_json and as_csv:
        raise ResultError("give --json or --csv, not both")
    store = RunStore.open(run)
    results = _read(store)
    meta = store.meta
    front = front_of(results, meta.objectives, constraints=meta.constraints)
    if as_json:
        _print_json({**run_row(store, results, front), "front": rows(front)})
    elif as_csv:
        say(csv_text(front), nl=False)
    elif not front:
        some = front_of(results, meta.objectives)
        missing = "that meets the constraints" if some else "yet"
        say(f"{meta.name}: no {_unit(results)} {missing} ({len(results)} recorded)")
    else:
        console = Console(highlight=False)
        title = f"{meta.name}: {len(front)} on the front of {completed(results, 'complete')}"
        console.print(trial_table(front, meta.objectives, title=title, width=console.width))
        plot = text_plot(
            results, front, meta.objectives,
            teacher=teacher_metrics(meta, results), width=min(console.width, 100) - 1, height=14,
        )  # fmt: skip
        typer.echo(plot)


def list_runs(
    root: Annotated[
        str, typer.Argument(metavar="ROOT", help="The directory or address that holds the runs.")
    ] = "runs",
    as_json: JsonOption = False,
) -> None:
    """List the runs, newest first.

    For each: how far it is, how many students are on its front, and the best
    accuracy on validation data.

    \b
    Example:
      kdsweep list runs
    """
    stores, problems = find_runs(runs_at_hand(root))
    _warn(problems)
    runs = []
    for store in stores:
        results = _read(store)
        meta = store.meta
        front = front_of(results, meta.objectives, constraints=meta.constraints)
        runs.append(run_row(store, results, front))
    if as_json:
        _print_json(runs)
    elif not runs:
        typer.echo(f"no runs in {root}")
    else:
        Console(highlight=False).print(run_table(runs))


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
        _read(store), store.meta.objectives,
        max_params=max_params, max_macs=max_macs,
        max_size_bytes=None if max_size_kb is None else 1000 * max_size_kb,
        max_latency_ms=max_latency_ms, min_accuracy=min_accuracy, prefer=_preference(prefer),
    )  # fmt: skip
    if choice.chosen is not None:
        chosen = _with_weights_that_are_there(store, choice.chosen, tell=warn)
        others = (_with_weights_that_are_there(store, each) for each in choice.runners_up)
        choice = replace(choice, chosen=chosen, runners_up=tuple(others))
    if as_json:
        _print_json(_choice_row(choice))
    elif choice.chosen is not None:
        _print_choice(store, choice, choice.chosen)
    else:
        say(f"no student of {store.meta.name} fits", err=True)
        for sentence in choice.advice:
            say(f"  {sentence}", err=True)
    if choice.chosen is None:
        raise typer.Exit(1)


def serve_ui(
    runs_dir: Annotated[
        str, typer.Option(help="The directory or address that holds the runs.")
    ] = "runs",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")] = 5000,
    host: Annotated[
        str, typer.Option(help="The address to listen on; the default is this machine alone.")
    ] = "127.0.0.1",
) -> None:
    """Browse all sweeps in the MLflow UI; Ctrl-C ends it.

    It reads the mlflow.db that lies beside the runs. Sweeps that were sent to a
    server of their own (tracking.uri) are seen there.

    \b
    Example:
      kdsweep ui --port 5001
    """
    from kdsweep.tracking.server import Server, is_reached_by_others, runs_page, store_under

    uri = store_under(root_at_hand(runs_dir))
    # A polite kill must not leave the server behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    server = Server(uri, host=host, port=port)
    try:
        typer.echo(f"starting the MLflow UI (its log: {server.log})")
        if is_reached_by_others(host):
            typer.echo(
                f"warning: other machines can reach it at {host}:{port}, and it asks nobody for a "
                "password: they can read, change and delete all that is tracked here",
                err=True,
            )
        page = runs_page(uri, server.address)
        server.wait_until_up()
        typer.echo(f"open {page}   (Ctrl-C ends it)")
        code = server.process.wait()
        raise ResultError(f"the MLflow server ended with code {code}; see {server.log}")
    except KeyboardInterrupt:
        typer.echo("ended")
    finally:
        server.stop()


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


def _read(store: RunStore) -> list[TrialResult]:
    results = store.read()
    _warn(store.problems)
    return results


def _warn(problems: tuple[str, ...] | list[str]) -> None:
    for problem in problems:
        warn(problem)


def _unit(results: list[TrialResult]) -> str:
    num = max((result.replicates for result in results), default=1)
    return "complete trial" if num == 1 else f"point with all of its {num} trials"


def _print_json(value: object) -> None:
    typer.echo(json.dumps(value, indent=1, allow_nan=False))
