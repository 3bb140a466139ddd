"""Lines that are folded at spaces: beside a label, or under the line that they go on from."""

import shutil
import sys

from kdsweep.report.folding import folded

LABEL = 14
"""Columns of a label."""

_WIDTH = 80


def wrapped(text: str, label: str = "") -> list[str]:
    """Lines of at most 80 columns, long names apart; without a label those of the line above."""
    return wrapped_beside(f"{f'  {label}' if label else '':<{LABEL}}{text}")


def wrapped_beside(line: str) -> list[str]:
    """The same for a line that has its label already, or stands below one."""
    return folded(line, LABEL, _at_most())


def wrapped_under(text: str, indent: int = 2) -> list[str]:
    """Lines of at most 80 columns, long names apart; what is folded stands ``indent`` further in
    than the first line.
    """
    return folded(text, _margin(text) + indent, _at_most())


def as_shown(text: str, indent: int = 2, *, err: bool = False) -> str:
    """Lines as whoever reads the stream wants them.

    A pipe or a file has each as it is, a line for each fact; a terminal, which breaks what is too
    wide in the middle of a word, has them folded to its width: see ``wrapped_under``.
    """
    if not (sys.stderr if err else sys.stdout).isatty():
        return text
    width = shutil.get_terminal_size().columns
    lines = (folded(line, _margin(line) + indent, width) or [""] for line in text.split("\n"))
    return "\n".join(line for each in lines for line in each)


def _at_most() -> int:
    return min(_WIDTH, shutil.get_terminal_size().columns) if sys.stdout.isatty() else _WIDTH


def _margin(line: str) -> int:
    return len(line) - len(line.lstrip())
