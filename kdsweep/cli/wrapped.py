"""Lines of ``kdsweep check``: a label, and text beside it in a column of its own."""

import textwrap

LABEL = 14
"""Columns of a label."""

_WIDTH = 80


def wrapped(text: str, label: str = "") -> list[str]:
    """Lines of at most 80 columns, long names apart; without a label those of the line above."""
    return textwrap.wrap(
        f"{f'  {label}' if label else '':<{LABEL}}{text}", _WIDTH, subsequent_indent=" " * LABEL,
        break_long_words=False, break_on_hyphens=False, replace_whitespace=False,
    )  # fmt: skip
