"""A run directory is made whole or not at all, and taken away where nothing of it began."""

import os
import shutil
import uuid
from contextlib import suppress
from itertools import takewhile
from pathlib import Path

from kdsweep.errors import ResultError
from kdsweep.results.mirror import Mirror
from kdsweep.results.names import META_FILE, SWEEP_FILE, TRIALS
from kdsweep.results.places import refuse_what_is_there
from kdsweep.storage.atomic import sync_directory, write_bytes
from kdsweep.storage.copies import address_of, name_of


def make_run(directory: Path, name: str, *, meta: bytes, sweep: bytes) -> Path:
    """A run called ``name`` in ``directory``, or at the address whose copy that is.

    Gives what ``unmake_run`` needs: the nearest directory above that was there before.

    Raises:
        ResultError: something is there already, or the place cannot be written to.
    """
    refuse_what_is_there(directory, name)
    if address_of(directory) is not None:
        if not Mirror(directory).make(meta, sweep):
            refuse_what_is_there(directory, name)
        (directory / TRIALS).mkdir(exist_ok=True)
        return directory.parent
    above = next(parent for parent in directory.parents if parent.exists())
    new = directory.parent / f".{directory.name}.{uuid.uuid4().hex[:8]}.new"
    try:
        (new / TRIALS).mkdir(parents=True)
        write_bytes(new / SWEEP_FILE, sweep)
        write_bytes(new / META_FILE, meta)
        os.rename(new, directory)
        sync_directory(directory.parent)
    except OSError as error:
        shutil.rmtree(new, ignore_errors=True)
        # Another process may have made the same run since the check.
        refuse_what_is_there(directory, name)
        raise ResultError(f"cannot be made: {error}", source=name_of(directory)) from error
    return above


def unmake_run(directory: Path, above: Path) -> None:
    """Take a run away that never began, and what was made for it up to ``above``."""
    Mirror(directory).collect(lambda name: True)
    shutil.rmtree(directory, ignore_errors=True)
    with suppress(OSError):  # another run may be there by now
        for parent in takewhile(lambda each: each != above, directory.parents):
            parent.rmdir()
