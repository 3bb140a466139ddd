"""What ``kdsweep check`` says of the code that a file brings along."""

from collections.abc import Mapping
from typing import Any

from kdsweep.cli.wrapped import wrapped


def own_code_lines(file: Mapping[str, Any]) -> list[str]:
    """The classes that a file names by their import paths: to check it has run their modules."""
    from kdsweep.catalog import own_code

    return wrapped(", ".join(own_code(file)), "own code") if own_code(file) else []
