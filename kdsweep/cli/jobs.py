"""The commands for sweeps that run elsewhere, or in another terminal."""

import typer

from kdsweep.cli.logs import logs
from kdsweep.cli.status import status
from kdsweep.cli.stop import stop
from kdsweep.cli.submit import submit


def register(app: typer.Typer) -> None:
    """Put the commands of this file into the application."""
    for command in (submit, status, logs, stop):
        app.command()(command)
