"""``kdsweep list``: all runs under a directory."""

from typing import Annotated

import typer
from rich.console import Console

from kdsweep.cli.reading import JsonOption, print_json, warn_all
from kdsweep.errors import ResultError
from kdsweep.report.run_table import run_row, run_table
from kdsweep.results.at_hand import runs_at_hand
from kdsweep.results.pareto import front as front_of
from kdsweep.results.runs import find_runs


def list_runs(
    root: Annotated[
        str | None,
        typer.Argument(metavar="ROOT", help="The directory or address that holds the runs; runs."),
    ] = None,
    runs_dir: Annotated[
        str | None, typer.Option("--runs-dir", help="The same, as other commands have it.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List all runs, newest first.

    For each: how far it is, how many students are on its front, and the best
    accuracy on validation data.

    \b
    Examples:
      kdsweep list
      kdsweep list s3://bucket/sweeps
    """
    if root is not None and runs_dir is not None:
        raise ResultError("give ROOT or --runs-dir, not both: they are the same")
    place = root or runs_dir or "runs"
    stores, problems = find_runs(runs_at_hand(place))
    warn_all(problems)
    runs = []
    for store in stores:
        results = store.read()
        warn_all(store.problems)
        meta = store.meta
        front = front_of(results, meta.objectives, constraints=meta.constraints)
        runs.append(run_row(store, results, front))
    if as_json:
        print_json(runs)
    elif not runs:
        typer.echo(f"no runs in {place}")
    else:
        console = Console(highlight=False)
        console.print(run_table(runs, width=console.width))
