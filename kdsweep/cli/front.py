"""``kdsweep front``: for every size the best student."""

from typing import Annotated

import typer
from rich.console import Console

from kdsweep.cli.reading import JsonOption, RunArgument, print_json, read
from kdsweep.cli.saying import say
from kdsweep.cli.wrapped import wrapped_under
from kdsweep.errors import ResultError
from kdsweep.report.axes import teacher_metrics
from kdsweep.report.front_plot import key_lines, large_plot
from kdsweep.report.rows import completed, csv_text, rows_with_intervals
from kdsweep.report.run_table import run_row
from kdsweep.report.table import trial_table
from kdsweep.report.text_plot import text_plot
from kdsweep.results.latencies import of_which_latency
from kdsweep.results.noise import validation_examples
from kdsweep.results.pareto import front as front_of
from kdsweep.results.record import TrialResult
from kdsweep.results.store import RunStore


def show_front(
    run: RunArgument,
    as_json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, for spreadsheets.")] = False,
    as_plot: Annotated[
        bool, typer.Option("--plot", help="Draw it alone, large, a letter for each student.")
    ] = False,
) -> None:
    """Show the Pareto front of a run: for every size the best student.

    Only complete trials count, on validation data, within the sweep's
    constraints; of replicates their mean. It works while the sweep runs.
    A small plot stands under the table; --plot fills the terminal.

    \b
    Examples:
      kdsweep front runs/digits
      kdsweep front runs/digits --plot
    """
    if as_json + as_csv + as_plot > 1:
        raise ResultError("give one of --json, --csv and --plot")
    store = RunStore.open(run)
    results = read(store)
    meta = store.meta
    front = front_of(results, meta.objectives, constraints=meta.constraints)
    examples = validation_examples(meta, results)
    if as_json:
        print_json(
            {**run_row(store, results, front), "front": rows_with_intervals(front, examples)}
        )
    elif as_csv:
        say(csv_text(front, examples), nl=False)
    elif not front:
        some = front_of(results, meta.objectives)
        missing = "that meets the constraints" if some else "yet"
        say(f"{meta.name}: no {_unit(results)} {missing} ({len(results)} recorded)")
        if meta.confirms is not None:
            say(f"it is a confirmation: `kdsweep confirm {store.place} --show` has what it found")
    elif as_plot:
        _draw(store, results, front, examples)
    else:
        console = Console(highlight=False)
        title = f"{meta.name}: {len(front)} on the front of {completed(results, 'complete')}"
        console.print(trial_table(
            front, meta.objectives, title=title, width=console.width, examples=examples
        ))  # fmt: skip
        if "latency_ms" in meta.objectives:
            say("\n".join(wrapped_under(of_which_latency(store.directory, results))))
        plot = text_plot(
            results, front, meta.objectives,
            teacher=teacher_metrics(meta, results), width=min(console.width, 100) - 1, height=14,
        )  # fmt: skip
        typer.echo(plot)


def _draw(
    store: RunStore, results: list[TrialResult], front: list[TrialResult], examples: int | None
) -> None:
    """As large as the terminal; where there is none, as large as one of 80 by 24."""
    console, meta = Console(highlight=False), store.meta
    lines = key_lines(front, meta.objectives, examples)
    key = [line for each in lines for line in wrapped_under(each, 5)]
    height = max(16, min(console.height - len(key) - 4, 40)) if console.is_terminal else 24
    say(f"{meta.name}: {len(front)} on the front of {completed(results, 'complete')}\n")
    say(large_plot(
        results, front, meta.objectives, teacher=teacher_metrics(meta, results),
        width=console.width - 1, height=height,
    ))  # fmt: skip
    say("\n" + "\n".join(key))


def _unit(results: list[TrialResult]) -> str:
    num = max((result.replicates for result in results), default=1)
    return "complete trial" if num == 1 else f"point with all of its {num} trials"
