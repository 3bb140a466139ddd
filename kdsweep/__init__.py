"""kdsweep: sweep students and ways of distilling; get the front of size against accuracy."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os

    import pandas as pd

    from kdsweep.notebook.sweep import Sweep

__version__ = "0.1.0"
__all__ = ["__version__", "load", "sweeps"]


def load(run: "str | os.PathLike[str]") -> "Sweep":
    """A sweep for notebooks and scripts, finished or running, by its directory or address.

    It is the sweep as it is now; ``reload`` reads it again. Records that cannot be read are left
    out, with a warning for each.

    Raises:
        ResultError: there is no run (or it is no path), it cannot be read, or its store does not
            answer.
        SpecError: it is an address of another kind than runs have.
    """
    # Whoever uses the command line or a class of the package alone does not wait for pandas.
    from kdsweep.notebook.sweep import Sweep

    return Sweep(run)


def sweeps(root: "str | os.PathLike[str]" = "runs") -> "pd.DataFrame":
    """All sweeps under a directory or an address, newest first, a row for each.

    The index is what ``load`` takes. The columns are those of ``kdsweep list --json``: name, state,
    how many trials have ended and how, size of the front, best accuracy, seconds.

    Raises:
        ResultError: it is no path or no directory, or the store does not answer.
        SpecError: it is an address of another kind than runs have.
    """
    from kdsweep.notebook.tables import sweeps_under

    return sweeps_under(root)
