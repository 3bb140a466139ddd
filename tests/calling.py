"""The command line as a user calls it, in this process."""

import sys

import pytest

from kdsweep import cli


def run(*arguments: object) -> object:
    """The exit code of ``kdsweep`` with these arguments."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["kdsweep", *map(str, arguments)])
        try:
            cli.main()
        except SystemExit as end:
            return end.code or 0
    return 0
