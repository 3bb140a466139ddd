"""``kdsweep list``: all runs under a directory."""

from typing import Annotated

import typer
from rich.console import Console

from kdsweep.cli.reading import JsonOption, print_json, read, warn_all
from kdsweep.report.run_table import run_row, run_table
from kdsweep.results.at_hand import runs_at_hand
from kdsweep.results.pareto import front as front_of
from kdsweep.results.runs import find_runs


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
    warn_all(problems)
    runs = []
    for store in stores:
        results = read(store)
        meta = store.meta
        front = front_of(results, meta.objectives, constraints=meta.constraints)
        runs.append(run_row(store, results, front))
    if as_json:
        print_json(runs)
    elif not runs:
        typer.echo(f"no runs in {root}")
    else:
        Console(highlight=False).print(run_table(runs))
