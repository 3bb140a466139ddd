"""Lines of at most 80 columns: beside a label, or under the line that they go on from."""

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


def wrapped_under(text: str, indent: int = 2) -> list[str]:
    """Lines of at most 80 columns, long names apart; what is folded stands ``indent`` further in
    than the first line.
    """
    margin = " " * (len(text) - len(text.lstrip()) + indent)
    return textwrap.wrap(
        text, _WIDTH, subsequent_indent=margin, break_long_words=False, break_on_hyphens=False
    )
