"""Where the results of a sweep go if ``run`` is not told otherwise."""

from pathlib import Path
from typing import TYPE_CHECKING

from kdsweep.results.names import META_FILE
from kdsweep.storage.address import is_address, under

if TYPE_CHECKING:
    from kdsweep.sweep_file import Sweep


def results_at(sweep: "Sweep") -> str:
    """The run that ``kdsweep run`` makes if it is not told another name or place."""
    return str(under(sweep.spec.storage.path or "runs", sweep.spec.name))


def taken(sweep: "Sweep") -> str:
    """That there is a run of that name already, where that is seen without asking a store."""
    place = results_at(sweep)
    is_taken = not is_address(place) and (Path(place) / META_FILE).exists()
    return " is there already: `kdsweep run` needs another `--name NAME`" if is_taken else ""
