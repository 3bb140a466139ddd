"""Runs by what people call them: a directory, or an address whose copy is brought up to date."""

import re
from pathlib import Path

from kdsweep.errors import ResultError
from kdsweep.results.holder import drives_here
from kdsweep.results.mirror import refresh, runs_at
from kdsweep.results.names import META_FILE, SWEEP_FILE, TRIAL_FILE, TRIALS
from kdsweep.results.places import no_run_here
from kdsweep.results.store import RunStore
from kdsweep.storage.address import checked, is_address
from kdsweep.storage.copies import TEACHERS, address_of_root, root_at_hand


def run_at_hand(text: str) -> Path:
    """The directory of the run that ``text`` names.

    Raises:
        ResultError: there is no run at the address, or its store does not answer.
        SpecError: it is no address of a run.
    """
    if not is_address(text):
        return Path(text)
    root, _, name = checked(text).rpartition("/")
    directory = root_at_hand(root) / name
    up_to_date(directory)
    if not (directory / META_FILE).exists():
        raise ResultError(no_run_here(directory, _runs_at(root_at_hand(root))), source=text)
    return directory


def runs_at_hand(text: str) -> Path:
    """The directory that holds the runs which ``text`` names, each of them up to date.

    Raises:
        ResultError: the store does not answer.
        SpecError: see ``address.checked``.
    """
    root = root_at_hand(checked(text) if is_address(text) else text)
    for name in _runs_at(root):
        if name == META_FILE:
            return run_at_hand(text)
        up_to_date(root / name)
    return root


def file_at_hand(text: str) -> Path:
    """The trial file or sweep file that ``text`` names: a path, or an address in a run.

    Raises:
        ResultError: the address is of no such file, there is no such trial, or see
            ``run_at_hand``.
        SpecError: it is no address.
    """
    if not is_address(text):
        return Path(text)
    address = checked(text)
    of_a_trial = re.fullmatch(rf"(.+)/{TRIALS}/([^/]+)/{re.escape(TRIAL_FILE)}", address)
    if of_a_trial is not None:
        store = RunStore.open(run_at_hand(of_a_trial[1]))
        path = store.trial_file(of_a_trial[2])
        if not path.is_file():
            raise ResultError(f"has no trial {of_a_trial[2]!r}", source=store.place)
        return path
    run, _, name = address.rpartition("/")
    if name != SWEEP_FILE:
        raise ResultError(
            f"is no file of a run: give RUN/{TRIALS}/ID/{TRIAL_FILE} or RUN/{SWEEP_FILE}",
            source=text,
        )
    return run_at_hand(run) / SWEEP_FILE


def root_of(file: Path) -> Path | None:
    """The copy of a store's root that a file lies in; none where it lies elsewhere."""
    return next((each for each in file.absolute().parents if address_of_root(each)), None)


def beside_at_hand(directory: Path) -> None:
    """Bring the runs that lie beside one up to date, where they are copies.

    Raises:
        ResultError: the store does not answer.
    """
    for name in _runs_at(directory.parent):
        if name != directory.name:
            up_to_date(directory.parent / name)


def up_to_date(directory: Path) -> None:
    """Bring a copy of a run up to date, unless a process of this machine drives it.

    Raises:
        ResultError: the store does not answer.
    """
    refresh(directory, still_driven=lambda: drives_here(directory))


def _runs_at(root: Path) -> list[str]:
    address = address_of_root(root)
    return [] if address is None else [n for n in runs_at(address) if n != TEACHERS]
