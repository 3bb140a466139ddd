"""MLflow beside a running sweep: in a thread of its own, never in the way.

The JSON records are the truth. What MLflow did not take stays in them, and ``sync`` sends it.
"""

import textwrap
import threading
import time
from collections.abc import Callable, Sequence

from kdsweep.errors import ResultError, redacted
from kdsweep.report.picture_files import write_pictures
from kdsweep.results.meta import RunStatus
from kdsweep.results.pareto import front as front_of
from kdsweep.results.record import TrialResult
from kdsweep.results.store import RunStore
from kdsweep.tracking.recorder import Recorder
from kdsweep.tracking.where import prepare_environment

SHOW_EVERY_S = 10.0
"""How often MLflow hears of the sweep as a whole while it runs."""

_LONGEST_PAUSE_S = 60.0
_SHARE_OF_TIME = 10
"""What shows the sweep may take one of so many parts of the time: trials come first."""
_MOST_REFUSED = 3
_FULL = ("No space left on device", "Disk quota exceeded", "database or disk is full")


class Tracker:
    """Sends records to MLflow as they come; of a trial's records only the newest matters.

    No method waits for MLflow but ``close``. The first thing that goes wrong is told once through
    ``warn``; the thread then tries again, less and less often.
    """

    def __init__(
        self, uri: str, experiment: str, store: RunStore, *, warn: Callable[[str], None]
    ) -> None:
        self._uri, self._experiment, self._store, self._warn = uri, experiment, store, warn
        self._wake = threading.Condition()
        self._pending: dict[str, TrialResult] = {}
        self._standing: tuple[Sequence[TrialResult], Sequence[TrialResult]] | None = None
        self._has_new_files = False
        self._show_at = 0.0
        self._ending: tuple[RunStatus, list[TrialResult]] | None = None
        self._closing = False
        self._failures, self._last_tries, self._told = 0, 0, False
        self._thread = threading.Thread(target=self._run, name="kdsweep-tracking", daemon=True)

    def start(self) -> None:
        """Begin, once: import MLflow and open the experiment, in the thread."""
        if self._thread.ident is not None:
            return
        # Here, not in the thread: the environment is for the main thread to change.
        prepare_environment()
        self._thread.start()

    def log(self, result: TrialResult) -> None:
        """Send a trial's record, whether it runs or has ended."""
        with self._wake:
            self._pending[result.trial_id] = result
            self._wake.notify()

    def stands(self, results: Sequence[TrialResult], front: Sequence[TrialResult]) -> None:
        """Say how the sweep stands, at most every ``SHOW_EVERY_S``; only the newest matters.

        ``results`` may be a list that grows: it is copied when it is sent. Epochs are not needed.
        """
        with self._wake:
            self._standing = results, front
            self._wake.notify()

    def pictures_written(self) -> None:
        """Send the files of the front and the pictures that have changed; as often as ``stands``.

        For the driver whenever it has renewed them while the sweep runs; ``finish`` sends them too.
        """
        with self._wake:
            self._has_new_files = True
            self._wake.notify()

    def finish(self, status: RunStatus, front: Sequence[TrialResult]) -> None:
        """Send how the sweep ended, and whatever of its records is still missing.

        The run's meta data should say so by then, and ``front.csv`` and ``front.png`` be there.
        """
        with self._wake:
            self._ending = (status, list(front))
            self._wake.notify()

    def close(self, timeout_s: float = 30.0) -> bool:
        """Wait until all is sent, at most so long; whether it was."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join(timeout_s)
        with self._wake:
            unsent = len(self._pending) + (self._ending is not None)
        if not unsent and not self._thread.is_alive():
            return True
        self._warn(
            f"MLflow at {redacted(self._uri)} did not take everything in time; the records in "
            f"{self._store.place} are complete: `kdsweep sync {self._store.place}` sends "
            "the rest"
        )
        return False

    def _run(self) -> None:
        recorder: Recorder | None = None
        while self._has_work(to_open=recorder is None):
            try:
                recorder = recorder or self._opened()
                self._send(recorder)
            # Whatever goes wrong in MLflow, its database or the network must not end a sweep
            # whose records are complete without it: it is told, and tried again.
            except Exception as error:  # noqa: BLE001
                self._tell(error)
                if not self._pause():
                    return

    def _opened(self) -> Recorder:
        recorder = Recorder(self._uri, self._experiment, self._store)
        if recorder.warning:
            self._warn(recorder.warning)
        return recorder

    def _has_work(self, *, to_open: bool) -> bool:
        """Wait for something to send; false when there is nothing left and no more will come."""
        with self._wake:
            while not (to_open or self._pending or self._ending or self._must_show()):
                if self._closing:
                    return False
                waits = self._standing is not None or self._has_new_files
                self._wake.wait(max(0.0, self._show_at - time.monotonic()) if waits else None)
            return True

    def _must_show(self) -> bool:
        """Whether it is time for the sweep as a whole; its end says all of that itself."""
        waits = self._standing is not None or self._has_new_files
        return waits and self._ending is None and time.monotonic() >= self._show_at

    def _send(self, recorder: Recorder) -> None:
        """Send until nothing is left, the newest record of each trial."""
        while True:
            with self._wake:
                result = next(iter(self._pending.values()), None)
                ending, must_show = self._ending, self._must_show()
            if must_show:
                self._show(recorder)
            elif result is not None:
                try:
                    recorder.write(result)
                finally:
                    self._put_behind(result)
                self._forget(result)
            elif ending is not None:
                _send_all(recorder, self._store, *ending)
                with self._wake:
                    self._ending = None if self._ending is ending else self._ending
            else:
                return
            self._failures = 0

    def _show(self, recorder: Recorder) -> None:
        """Send how the sweep stands, and its pictures; newer ones wait for the next time."""
        with self._wake:
            standing, self._standing = self._standing, None
            has_new_files, self._has_new_files = self._has_new_files, False
        began = time.monotonic()
        try:
            if standing is not None:
                recorder.show(list(standing[0]), standing[1])
            if has_new_files:
                recorder.send_files()
        except BaseException:
            with self._wake:
                self._standing = self._standing or standing
                self._has_new_files = self._has_new_files or has_new_files
            raise
        finally:
            took_s = time.monotonic() - began
            self._show_at = time.monotonic() + max(SHOW_EVERY_S, _SHARE_OF_TIME * took_s)

    def _put_behind(self, result: TrialResult) -> None:
        """Let the others go first the next time: a record that MLflow refuses must not block."""
        with self._wake:
            self._pending[result.trial_id] = self._pending.pop(result.trial_id)

    def _forget(self, sent: TrialResult) -> None:
        """Take a record off the list, unless a newer one has come meanwhile."""
        with self._wake:
            if self._pending[sent.trial_id] is sent:
                del self._pending[sent.trial_id]

    def _tell(self, error: Exception) -> None:
        """Say it once; the rest would only say it again."""
        if not self._told:
            self._told = True
            why, place = _first_line(error), self._store.place
            # Where there is no room for MLflow's tables there may be none for the records.
            full = any(words in str(error) for words in _FULL)
            goes_on = "" if full else "the sweep goes on, "
            self._warn(
                f"MLflow at {redacted(self._uri)} does not take results: {why}; "
                f"{goes_on}its records are in {place}"
            )

    def _pause(self) -> bool:
        """Wait, longer each time; false when the sweep has ended and it was tried once more."""
        self._failures += 1
        with self._wake:
            if self._closing:
                self._last_tries += 1
            else:
                pause_s = min(_LONGEST_PAUSE_S, 2.0**self._failures)
                self._wake.wait_for(lambda: self._closing, timeout=pause_s)
            return self._last_tries < 2


def import_mlflow() -> None:
    """Import MLflow now, for a process that has nothing better to do: it takes over a second."""
    prepare_environment()
    import mlflow.tracking  # noqa: F401


def sync(
    store: RunStore, uri: str, experiment: str, *, warn: Callable[[str], object] = lambda said: None
) -> int:
    """Bring MLflow up to the records of a run; how many records there are.

    ``warn`` is told before anything is sent.

    Raises:
        ResultError: MLflow cannot be reached or refuses.
    """
    try:
        recorder = Recorder(uri, experiment, store)
        if recorder.warning:
            warn(recorder.warning)
        results = store.read()
        found = front_of(results, store.meta.objectives, constraints=store.meta.constraints)
        write_pictures(store, results, found, None)
        _send_all(recorder, store, store.meta.status, found)
    except ResultError:
        raise
    # MLflow lets through what its database driver, its HTTP client or a plugin raises.
    except Exception as error:
        raise ResultError(
            f"MLflow at {redacted(uri)} does not take results: {_first_line(error)}",
            source=store.place,
        ) from error
    return len(results)


def _send_all(
    recorder: Recorder, store: RunStore, status: RunStatus, front: Sequence[TrialResult]
) -> None:
    """Every record and the end of the sweep; a few refused records do not stop the others."""
    results, refused = store.read(), []
    for result in results:
        try:
            recorder.write(result)
        # Whatever is raised is raised again, below, after the records that can be sent.
        except Exception as error:
            refused.append(error)
            if len(refused) > _MOST_REFUSED:
                raise
    recorder.finish(status, results, front)
    if refused:
        raise refused[0]


def _first_line(error: Exception) -> str:
    text = redacted(str(error)).strip()
    if "Max retries exceeded" in text:
        return "no server answers there"
    lines = text.splitlines()
    return textwrap.shorten(lines[0], 300, placeholder=" ...") if lines else type(error).__name__
