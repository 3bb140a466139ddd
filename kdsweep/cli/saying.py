"""What commands print that others may have written: records, names, logs."""

import sys

import typer

from kdsweep.cli.wrapped import as_shown
from kdsweep.errors import printable


def say(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print ``text`` without what a terminal would take for commands."""
    typer.echo(printable(text), err=err, nl=nl)


def tell(text: str, indent: int = 2, *, err: bool = False) -> None:
    """Print facts, a line for each; a terminal has them folded to its width."""
    say(as_shown(printable(text), indent, err=err), err=err)


def warn(problem: str) -> None:
    """Print what is wrong and stops nothing, to stderr."""
    tell(f"warning: {problem}", err=True)


def meanwhile(what: str) -> None:
    """Say on a terminal what takes some seconds, before it does; a log has no use for it."""
    if sys.stderr.isatty():
        say(what, err=True)
