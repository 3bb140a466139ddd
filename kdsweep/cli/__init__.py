"""The command line. Torch and Ray are imported inside the commands: ``--help`` needs neither."""

import os
import sys
from typing import Annotated

import typer

from kdsweep import __version__
from kdsweep.cli import (
    check,
    compare,
    confirm,
    export,
    failing,
    front,
    going_on,
    jobs,
    latency,
    listing,
    report,
    run,
    select,
    sync,
    trial,
    ui,
)
from kdsweep.errors import KdsweepError, in_own_code
from kdsweep.storage.objects import StorageError

_HELP = """Sweep students and ways of distilling them; get the Pareto front.

You bring a teacher and data in one YAML file; kdsweep trains students of
different sizes in different ways and keeps, for every size, the best one.

\b
Examples:
  kdsweep check search_spaces/digits.yaml        what would run
  kdsweep run search_spaces/digits.yaml          train; writes runs/digits
  kdsweep status runs/digits                     how it is doing
  kdsweep front runs/digits                      the best one for every size
  kdsweep select runs/digits --max-params 20000  the best one that fits
  kdsweep export runs/digits --format onnx       as files that run elsewhere
  kdsweep compare runs/digits runs/digits-2      two sweeps side by side
  kdsweep report runs/digits                     answers and pictures, a page
  kdsweep confirm runs/digits                    test the best with new seeds
  kdsweep ui                                     browse all trials in MLflow
  kdsweep COMMAND --help                         what a command takes

\b
Exit codes:
  0    good
  1    select: no student fits the limits
  2    a mistake in the command, the file or the results, or a failed sweep
  130  ended by Ctrl-C
  141  its output was read no further, as by | head
"""

READ_NO_FURTHER = 141
"""The exit code of a command whose output was closed, as by ``| head``; as shells have it."""

app = typer.Typer(
    help=_HELP,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"kdsweep {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and stop."
        ),
    ] = False,
    traceback: Annotated[
        bool,
        typer.Option(
            "--traceback", help="Of an error in code of your own print the whole traceback."
        ),
    ] = False,
) -> None:
    if traceback:
        failing.want_tracebacks()


app.command()(check.check)
run.register(app)
trial.register(app)
going_on.register(app)
jobs.register(app)
app.command("front")(front.show_front)
app.command("latency")(latency.measure)
app.command()(confirm.confirm)
app.command("list")(listing.list_runs)
app.command()(report.report)
app.command("select")(select.select_student)
app.command("export")(export.export)
app.command("compare")(compare.compare_runs)
app.command("ui")(ui.serve_ui)
app.command()(sync.sync)


def main() -> None:
    """Run the command line; a problem that a person can mend is printed without a traceback."""
    # A component of one's own, package.module:Class, lies where one works; last, so that it hides
    # nothing that is installed.
    sys.path.append(os.getcwd())
    try:
        app()
    except SystemExit as ended:
        # Typer ends with 1 where nobody reads on, which says of `select` that no student fits.
        if ended.code == 1 and type(sys.stdout).__name__ == "PacifyFlushWrapper":
            sys.exit(READ_NO_FURTHER)
        raise
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        if "ray" in sys.modules:
            run.leave_at_once()
        sys.exit(run.INTERRUPTED)
    except Exception as error:
        if not isinstance(error, KdsweepError | StorageError) and not in_own_code(error):
            raise
        failing.show(error)
        sys.exit(2)
