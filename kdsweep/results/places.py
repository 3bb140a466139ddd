"""Where a run directory may be made, and what to say where there is none."""

import errno
import os
import stat
import tempfile
from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path

from kdsweep.errors import ResultError
from kdsweep.results.holder import drives_here, refuse_if_held
from kdsweep.results.mirror import refresh
from kdsweep.results.names import CHECKPOINTS, DAMAGED, LOG_FILE, META_FILE, SWEEP_FILE, TRIALS
from kdsweep.storage.copies import name_of
from kdsweep.storage.sizes import folders_in

_LARGEST_BYTES = 64 * 2**20
"""Of a record: thousands of epochs are some megabytes."""


def refuse_what_is_there(directory: Path, name: str) -> None:
    """Check that a new run called ``name`` may be made at ``directory``.

    Raises:
        ResultError: a run, which may be driven by somebody, a file or somebody's files are there.
    """
    refresh(directory, still_driven=lambda: drives_here(directory))
    if (directory / META_FILE).exists():
        refuse_if_held(directory)
        raise ResultError(
            f"already holds a run; `kdsweep resume {name_of(directory)}` goes on with it, "
            f"`--name NAME` starts another beside it (for example `--name {name}-2`)",
            source=name_of(directory),
        )
    above = next(parent for parent in directory.absolute().parents if parent.exists())
    if not above.is_dir() or not _takes_a_directory(above):
        raise ResultError(
            f"no run can be made here: {above} is not a directory that can be written to; "
            "give another with --runs-dir",
            source=name_of(directory),
        )
    if not os.path.lexists(directory):
        return
    if not directory.is_dir():
        raise ResultError(
            "is a file, where the run directory would go; move it, or give `--name NAME`",
            source=name_of(directory),
        )
    if any(directory.iterdir()):
        raise ResultError(
            f"is not empty and holds no run (no {META_FILE}); move its files away, "
            "or give `--name NAME`",
            source=name_of(directory),
        )


def _takes_a_directory(above: Path) -> bool:
    """Found by making one: rights say nothing of what cannot be written to at all, as ``/proc``."""
    try:
        os.rmdir(tempfile.mkdtemp(prefix=".kdsweep-", dir=above))
    except OSError:
        return False
    return True


def no_run_here(directory: Path, there: Collection[str] = ()) -> str:
    """The sentence for what is not a run, with the runs that are near, or ``there`` in a store."""
    if there:
        close = get_close_matches(directory.name, there, n=1, cutoff=0.5)
        hint = f"; did you mean {close[0]}?" if close else ""
        return f"there is no run of this name{hint} (there are: {', '.join(there)})"
    what = f"has no {META_FILE}, so it is no run" if directory.exists() else "does not exist"
    meant = Path("runs") / directory
    if not directory.is_absolute() and (meant / META_FILE).exists():
        return f"{what}; did you mean {meant}?"
    parent = directory if directory.is_dir() else directory.parent
    runs = sorted(
        name for name in folders_in(parent)
        if not name.startswith(".") and (parent / name / META_FILE).exists()
    )  # fmt: skip
    if not runs:
        return f"{what}; a run directory is what `kdsweep run FILE` makes (runs/NAME)"
    close = get_close_matches(directory.name, runs, n=1, cutoff=0.5)
    hint = f"; did you mean {parent / close[0]}?" if close else ""
    return f"{what}{hint} (runs in {parent}: {', '.join(runs)})"


def read_own(path: Path, *, most_bytes: int = _LARGEST_BYTES) -> bytes:
    """A file of a run directory: no link out of it, nothing endless, nothing that keeps waiting.

    Raises:
        OSError: it is missing, cannot be read, or is another kind of thing.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "is no ordinary file")
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise OSError(errno.EFBIG, f"is larger than {most_bytes // 2**20} MiB")
    return content


def refuse_links(directory: Path) -> None:
    """Check that what a driver reads and writes of a run directory lies there.

    Raises:
        ResultError: one of its directories, of its trials' or its sweep file is a link.
    """
    trials, log = directory / TRIALS, directory / LOG_FILE
    for path in (trials, log.parent, log, directory / SWEEP_FILE, directory / DAMAGED):
        refuse_link(path)
    for path in sorted(trials.iterdir()) if trials.is_dir() else ():
        refuse_link(path)
        refuse_link(path / CHECKPOINTS)


def refuse_link(path: Path) -> None:
    """Check that a path inside of a run directory leads nowhere else.

    Raises:
        ResultError: it is a link.
    """
    if path.is_symlink():
        raise ResultError(
            "is a link, which could lead out of the run directory; put there what it links to",
            source=path,
        )
