"""``kdsweep front``: for every size the best student."""

from typing import Annotated

import typer
from rich.console import Console

from kdsweep.cli.reading import JsonOption, RunArgument, print_json, read
from kdsweep.cli.saying import say
from kdsweep.errors import ResultError
from kdsweep.report.axes import teacher_metrics
from kdsweep.report.rows import completed, csv_text, rows
from kdsweep.report.run_table import run_row
from kdsweep.report.table import trial_table
from kdsweep.report.text_plot import text_plot
from kdsweep.results.pareto import front as front_of
from kdsweep.results.record import TrialResult
from kdsweep.results.store import RunStore


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
    results = read(store)
    meta = store.meta
    front = front_of(results, meta.objectives, constraints=meta.constraints)
    if as_json:
        print_json({**run_row(store, results, front), "front": rows(front)})
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


def _unit(results: list[TrialResult]) -> str:
    num = max((result.replicates for result in results), default=1)
    return "complete trial" if num == 1 else f"point with all of its {num} trials"
