"""How a command that fails says so: a sentence for each problem, and the traceback on request."""

import logging
import sys

from kdsweep.cli.wrapped import as_shown
from kdsweep.errors import KdsweepError, in_one_line, printable, whole_traceback
from kdsweep.storage.objects import StorageError

HINT = "`kdsweep --traceback COMMAND ...` prints the whole traceback"
_wanted = False


def want_tracebacks() -> None:
    """Print tracebacks from now on, those of problems that are put in words among them."""
    global _wanted
    _wanted = True
    log = logging.getLogger("kdsweep")
    log.setLevel(logging.DEBUG)
    log.addHandler(logging.StreamHandler())


def show(error: Exception) -> None:
    """Print the problems of an error, and its traceback or how to see it.

    The traceback of an error that another process or a trial ended with is its note.
    """
    known = isinstance(error, KdsweepError | StorageError)
    traceback = "\n".join(getattr(error, "__notes__", ())) if known else whole_traceback(error)
    if traceback and _wanted:
        print(printable(traceback), file=sys.stderr)
    for problem in str(error).splitlines() if known else [in_one_line(error)]:
        print(as_shown(f"error: {printable(problem)}", err=True), file=sys.stderr)
    if traceback and not _wanted:
        print(HINT, file=sys.stderr)
