"""A line for people that is folded at spaces."""

import textwrap


def folded(line: str, margin: int, width: int) -> list[str]:
    """Lines of at most ``width`` columns; all but the first stand ``margin`` columns in.

    Paths and other long words are left whole, also where they are wider than a line: they are
    copied from there.
    """
    return textwrap.wrap(
        line, width, subsequent_indent=" " * margin, break_long_words=False,
        break_on_hyphens=False, replace_whitespace=False,
    )  # fmt: skip
