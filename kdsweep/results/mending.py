"""What a power cut or a killed driver leaves in a run directory, put right before another goes on.

::

    runs/digits/damaged/00007/      a trial whose record could not be read
"""

import json
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from kdsweep.errors import ResultError
from kdsweep.results.names import (
    CHECKPOINTS,
    DAMAGED,
    PICTURES,
    RESULT_FILE,
    TRIALS,
    WEIGHTS_FILE,
)
from kdsweep.results.record import ENDED, SCHEMA_VERSION, TrialResult
from kdsweep.storage.copies import name_of
from kdsweep.storage.sizes import folders_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from kdsweep.results.store import RunStore


def mend(store: "RunStore", done: "Iterable[TrialResult]") -> list[str]:
    """Set damaged records aside and collect what nobody needs; what was set aside, in sentences.

    ``done`` are the records that could be read. Only for the driver of the run.

    Raises:
        OSError: the directory cannot be written to.
        ResultError: a record is of another version of kdsweep, which is no damage.
    """
    known = {result.trial_id: result for result in done}
    said = []
    for name in folders_in(store.trials_dir):
        place, result = store.trials_dir / name, known.get(name)
        _remove_unfinished(place)
        if result is None and (place / RESULT_FILE).exists():
            _refuse_another_version(place / RESULT_FILE)
            aside = _set_aside(place, store.directory / DAMAGED)
            store.moved(name, aside)
            said.append(
                f"the record of trial {name} is damaged: it is set aside in {name_of(aside)}, and "
                "another trial takes its place"
            )
        elif _is_orphan(TRIALS, name, CHECKPOINTS, known=known):
            shutil.rmtree(place / CHECKPOINTS, ignore_errors=True)
            if _is_orphan(TRIALS, name, WEIGHTS_FILE, known=known):
                (place / WEIGHTS_FILE).unlink(missing_ok=True)
    _remove_unfinished(store.directory)
    if (pictures := store.directory / PICTURES).is_dir() and not pictures.is_symlink():
        _remove_unfinished(pictures)
    store.collect(lambda name: _is_orphan(*name.split("/"), known=known))
    return said


def _is_orphan(*parts: str, known: "Mapping[str, TrialResult]") -> bool:
    """Whether nobody needs a file of the run, by the parts of its name.

    A driver may have died between a trial's end and the end of its checkpoints; or, when it went
    on with a run, before it wrote down what its lanes had begun already.
    """
    if len(parts) < 3 or parts[0] != TRIALS:
        return False
    record = known.get(parts[1])
    if parts[2] == CHECKPOINTS:
        return record is None or record.status in ENDED
    return parts[2] == WEIGHTS_FILE and record is None


def _refuse_another_version(record: Path) -> None:
    with suppress(ValueError, AttributeError):
        version = json.loads(record.read_bytes()).get("schema_version", SCHEMA_VERSION)
        if version != SCHEMA_VERSION:
            raise ResultError(
                "was written by another version of kdsweep: go on with that one",
                source=name_of(record),
            )


def _set_aside(place: Path, damaged: Path) -> Path:
    damaged.mkdir(exist_ok=True)
    aside, number = damaged / place.name, 2
    while aside.exists():
        aside, number = damaged / f"{place.name}-{number}", number + 1
    os.rename(place, aside)
    return aside


def _remove_unfinished(directory: Path) -> None:
    """Files that were being written when their writer died: they never had a name."""
    with os.scandir(directory) as entries:
        left = [
            entry for entry in entries if entry.name.startswith(".") and entry.name.endswith(".new")
        ]
    for entry in left:
        with suppress(FileNotFoundError):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                os.unlink(entry.path)
