"""Where a run directory may be made, and what to say where there is none."""

import os
from difflib import get_close_matches
from pathlib import Path

from kdsweep.errors import ResultError
from kdsweep.results.holder import refuse_if_held

META_FILE = "run.json"


def refuse_what_is_there(directory: Path, name: str) -> None:
    """Check that a new run called ``name`` may be made at ``directory``.

    Raises:
        ResultError: a run, which may be driven by somebody, a file or somebody's files are there.
    """
    if (directory / META_FILE).exists():
        refuse_if_held(directory)
        raise ResultError(
            f"already holds a run; `kdsweep resume {directory}` goes on with it, "
            f"`--name NAME` starts another beside it (for example `--name {name}-2`)",
            source=directory,
        )
    above = next(parent for parent in directory.absolute().parents if parent.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise ResultError(
            f"no run can be made here: {above} is not a directory that can be written to; "
            "give another with --runs-dir",
            source=directory,
        )
    if not os.path.lexists(directory):
        return
    if not directory.is_dir():
        raise ResultError(
            "is a file, where the run directory would go; move it, or give `--name NAME`",
            source=directory,
        )
    if any(directory.iterdir()):
        raise ResultError(
            f"is not empty and holds no run (no {META_FILE}); move its files away, "
            "or give `--name NAME`",
            source=directory,
        )


def no_run_here(directory: Path) -> str:
    """The sentence for a directory that is not a run, with the runs that are near."""
    what = f"has no {META_FILE}, so it is no run" if directory.exists() else "does not exist"
    parent = directory if directory.is_dir() else directory.parent
    runs = sorted(
        name for name in folders(parent)
        if not name.startswith(".") and (parent / name / META_FILE).exists()
    )  # fmt: skip
    if not runs:
        return f"{what}; a run directory is what `kdsweep run FILE` makes (runs/NAME)"
    close = get_close_matches(directory.name, runs, n=1, cutoff=0.5)
    hint = f"; did you mean {parent / close[0]}?" if close else ""
    return f"{what}{hint} (runs in {parent}: {', '.join(runs)})"


def folders(directory: Path) -> list[str]:
    """Names of the directories in ``directory``; a link could lead out of the run."""
    try:
        with os.scandir(directory) as entries:
            return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except (FileNotFoundError, NotADirectoryError):
        return []
