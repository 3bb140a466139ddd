"""What commands print that others may have written: records, names, logs."""

import typer

from kdsweep.errors import printable


def say(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print ``text`` without what a terminal would take for commands."""
    typer.echo(printable(text), err=err, nl=nl)


def warn(problem: str) -> None:
    """Print what is wrong and stops nothing, to stderr."""
    say(f"warning: {problem}", err=True)
