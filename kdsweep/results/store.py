"""A run directory: one JSON file per trial is the record of a sweep.

::

    runs/digits/run.json                    RunMeta
    runs/digits/sweep.yaml                  the sweep file as it was given
    runs/digits/driver.json                 who drives it, while somebody does
    runs/digits/trials/ID/result.json       TrialResult
    runs/digits/trials/ID/trial.yaml        the resolved trial, which runs again as it stands

Files are replaced in one step, so that a reader sees the old record or the new one. Only the
driver writes; anyone reads at any time. Of a run in an object store this is the copy at hand, see
``mirror``.
"""

import re
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kdsweep.errors import ResultError
from kdsweep.results.damage import keep_before
from kdsweep.results.holder import Heart, held, living_holder
from kdsweep.results.making import make_run, unmake_run
from kdsweep.results.meta import RunMeta
from kdsweep.results.mirror import Mirror
from kdsweep.results.names import (
    CHECKPOINTS,
    META_FILE,
    RESULT_FILE,
    SWEEP_FILE,
    TRIAL_FILE,
    TRIALS,
    WEIGHTS_FILE,
)
from kdsweep.results.places import read_own, refuse_link
from kdsweep.results.reading import read_meta, read_record, trials_in
from kdsweep.results.record import TrialResult
from kdsweep.results.stopping import forget_the_request, is_asked_to_stop
from kdsweep.results.trial_file import trial_file
from kdsweep.storage.address import Place, under
from kdsweep.storage.atomic import write_bytes, write_files
from kdsweep.storage.copies import address_of, name_of

_TRIAL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class RunStore:
    """The records of one sweep; made by ``create`` or ``open``."""

    def __init__(self, directory: Path, meta: RunMeta) -> None:
        self.directory = directory
        self._meta = meta
        self._meta_lock = threading.Lock()
        self._with_trial_file: set[str] = set()
        self._meta_problem: str | None = None
        self._heart: Heart | None = None
        self._above: Path | None = None
        self._mirror = Mirror(directory)
        self.problems: tuple[str, ...] = ()
        """What was wrong with records at the last ``read``, a sentence each."""

    @classmethod
    def create(cls, directory: Path, *, meta: RunMeta, sweep_text: str) -> "RunStore":
        """Make a run directory, whole or not at all.

        Raises:
            ResultError: something is there already, or the place cannot be written to.
        """
        store = cls(directory, meta)
        store._above = make_run(directory, meta.name, meta=_json(meta), sweep=sweep_text.encode())
        return store

    def discard(self) -> None:
        """Take the run away if ``create`` has made it: nothing of it began."""
        if self._above is not None:
            unmake_run(self.directory, self._above)

    @classmethod
    def open(cls, directory: Path) -> "RunStore":
        """The run in ``directory``.

        Raises:
            ResultError: it is missing, is no run, or its ``run.json`` is damaged.
        """
        meta, problem = read_meta(directory)
        store = cls(directory, meta)
        store._meta_problem = problem
        return store

    @property
    def meta(self) -> RunMeta:
        """The sweep as a whole, as last read or written here."""
        return self._meta

    @property
    def sweep_text(self) -> str:
        """The sweep file as it was given.

        Raises:
            ResultError: it is missing or unreadable.
        """
        try:
            return read_own(self.directory / SWEEP_FILE).decode()
        except (OSError, UnicodeDecodeError) as error:
            raise ResultError(f"cannot be read: {error}", source=self.place) from error

    def update_meta(self, **changes: Any) -> RunMeta:
        """Change fields of the meta data, checked, and write them; from any thread."""
        with self._meta_lock:
            meta = RunMeta.model_validate({**self._meta.model_dump(), **changes})
            if self._is_lost:
                return meta
            if self._meta_problem is None:
                keep_before(self.directory)
            write_bytes(self.directory / META_FILE, _json(meta))
            self._mirror.changed(META_FILE)
            self._meta, self._meta_problem = meta, None
        return meta

    @property
    def trials_dir(self) -> Path:
        """The directory of all trials."""
        return self.directory / TRIALS

    def trial_dir(self, trial_id: str) -> Path:
        """Where a trial keeps its files; the directory need not exist yet.

        Raises:
            ResultError: no trial has such an id, so it could lead out of the run directory.
        """
        if not _TRIAL_ID.fullmatch(trial_id):
            raise ResultError(
                f"{trial_id!r} is not a trial id: it must be 1 to 64 letters, digits, '_' or '-', "
                "a letter or digit first",
                source=self.place,
            )
        directory = self.directory / TRIALS / trial_id
        refuse_link(directory.parent)
        refuse_link(directory)
        return directory

    @property
    def place(self) -> str:
        """What people call it: its directory, or its address in an object store."""
        return name_of(self.directory)

    @property
    def base(self) -> Place:
        """Where workers keep what is large: the run's directory, or its address."""
        return address_of(self.directory) or self.directory.resolve()

    def weights_of(self, trial_id: str) -> Place:
        """Where a trial's student keeps its weights."""
        return under(self.base, TRIALS, self.trial_dir(trial_id).name, WEIGHTS_FILE)

    def checkpoints_of(self, trial_id: str) -> Place:
        """Where a trial that has not ended keeps what it goes on from."""
        return under(self.base, TRIALS, self.trial_dir(trial_id).name, CHECKPOINTS)

    @staticmethod
    def weights_name(trial_id: str) -> str:
        """What the record of a trial calls its weights, seen from the run."""
        return f"{TRIALS}/{trial_id}/{WEIGHTS_FILE}"

    def drop_checkpoints(self, trial_id: str) -> None:
        """A trial has ended: nobody goes on with it."""
        if self._is_lost:
            return
        shutil.rmtree(self.trial_dir(trial_id) / CHECKPOINTS, ignore_errors=True)
        self._mirror.removed(f"{TRIALS}/{trial_id}/{CHECKPOINTS}")

    def moved(self, trial_id: str, to: Path) -> None:
        """The directory of a trial has another place in the run."""
        for path in sorted(to.rglob("*")):
            self._mirror.changed(path.relative_to(self.directory).as_posix())
        self._mirror.removed(f"{TRIALS}/{trial_id}")

    def collect(self, is_orphan: Callable[[str], bool]) -> None:
        """Of a run in an object store: remove there what nobody needs, by its name in the run."""
        self._mirror.collect(is_orphan)

    def sent(self, *names: str) -> None:
        """Other files of the run were written."""
        self._mirror.changed(*names)

    def write(self, result: TrialResult) -> None:
        """Keep a trial's record, in place of its last one; not of a run that another drives now."""
        if self._is_lost:
            return
        directory = self.trial_dir(result.trial_id)
        directory.mkdir(parents=True, exist_ok=True)
        files = {RESULT_FILE: _json(result)}
        if result.trial_id not in self._with_trial_file and not (directory / TRIAL_FILE).exists():
            files[TRIAL_FILE] = trial_file(result).encode()
        write_files(directory, files)
        self._mirror.changed(*(f"{TRIALS}/{result.trial_id}/{name}" for name in files))
        self._with_trial_file.add(result.trial_id)

    def trial_file(self, trial_id: str) -> Path:
        """The trial as a file that runs again; of a copy it is made from the record.

        Raises:
            ResultError: the record cannot be read.
            OSError: the file cannot be written.
        """
        path = self.trial_dir(trial_id) / TRIAL_FILE
        if address_of(self.directory) is not None and not path.exists():
            for result in self.read_some([trial_id]):
                write_bytes(path, trial_file(result).encode())
        return path

    def read(self) -> list[TrialResult]:
        """Every trial's record, by number; the unreadable ones become ``problems``."""
        trial_ids, problems = trials_in(self.trials_dir)
        results, problems = [], [self._meta_problem, *problems] if self._meta_problem else problems
        for trial_id in trial_ids:
            try:
                result = read_record(self.trials_dir, trial_id)
            except ResultError as error:
                problems.append(str(error))
                continue
            if result is not None:
                results.append(result)
        self.problems = tuple(problems)
        return sorted(results, key=lambda result: (result.number, result.trial_id))

    def read_some(self, trial_ids: Iterable[str]) -> list[TrialResult]:
        """The records of some trials.

        Raises:
            ResultError: one of them cannot be read.
        """
        found = (read_record(self.trials_dir, trial_id) for trial_id in trial_ids)
        return [result for result in found if result is not None]

    @contextmanager
    def hold(self, tell: Callable[[str], object] = lambda problem: None) -> Iterator[None]:
        """Be the one driver of this run; given up when the process ends, however it ends.

        ``tell`` hears of an object store that does not take what is written.

        Raises:
            ResultError: another process drives it, on whatever machine; names it. At the end: what
                was written has not arrived in the object store.
        """
        with held(self.directory) as heart, self._mirror.sending(tell):
            forget_the_request(self.directory)
            self._heart = heart
            try:
                yield
            finally:
                forget_the_request(self.directory)

    def is_held(self) -> bool:
        """Whether a living process drives the run, on whatever machine."""
        return living_holder(self.directory) is not None

    @property
    def _is_lost(self) -> bool:
        """Whether another took the run over while this process slept: it is no longer ours."""
        if self._heart is None or self._heart.taken_by is None:
            return False
        self._mirror.forfeit()
        return True

    def why_stop(self) -> str | None:
        """Why the driver should end the sweep: somebody asked, or has taken the run over."""
        heart = self._heart
        if self._is_lost and heart is not None and heart.taken_by is not None:
            return f"the run was taken over by {heart.taken_by.words}"
        # A store is not asked in each look: the claim does that.
        asked = (
            heart.claim.asked_to_stop
            if heart is not None and heart.claim is not None
            else is_asked_to_stop(self.directory)
        )
        return "somebody asked for it" if asked else None


def _json(model: RunMeta | TrialResult) -> bytes:
    return model.model_dump_json(indent=1).encode() + b"\n"
