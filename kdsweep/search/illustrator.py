"""Draws the pictures of a sweep while it runs, in a thread of its own that nobody waits for."""

import logging
import threading
import time
from collections.abc import Callable

from kdsweep.report.picture_files import write_pictures
from kdsweep.results.store import RunStore
from kdsweep.search.journal import Journal
from kdsweep.storage.copies import address_of
from kdsweep.sweep_file import Sweep
from kdsweep.tracking.tracker import Tracker

_log = logging.getLogger(__name__)

DRAW_FIRST_S, DRAW_EVERY_S = 15.0, 60.0
DRAW_INTO_STORE_EVERY_S = 600.0
"""Of a run in an object store: all of them are 12 MB, and the records should not wait for them."""
SHARE_OF_TIME = 0.02
"""Of the driver's time, the most that drawing takes: with many trials it comes less often."""
_PATIENCE_S = 20.0


class Illustrator:
    """Redraws when trials have ended; whatever goes wrong is told once and ends no sweep."""

    def __init__(
        self,
        sweep: Sweep,
        store: RunStore,
        journal: Journal,
        tracker: Tracker | None,
        *,
        tell: Callable[[str], object],
        every_s: float | None = None,
    ) -> None:
        self._space, self._objectives = sweep.space, sweep.spec.objectives
        self._store, self._journal, self._tracker = store, journal, tracker
        in_store = address_of(store.directory) is not None
        usual_s = DRAW_INTO_STORE_EVERY_S if in_store else DRAW_EVERY_S
        self._every_s = usual_s if every_s is None else every_s
        # Whoever opens the UI of a short sweep finds pictures as well.
        self._first_s = min(DRAW_FIRST_S, self._every_s)
        self._tell, self._told = tell, False
        self._drawn = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kdsweep-pictures", daemon=True)

    def start(self) -> None:
        """Begin, once; the first pictures come when the first pause is over."""
        if self._thread.ident is None and not self._over.is_set():
            self._thread.start()

    def leave(self) -> None:
        """Draw no more in the thread; it may be drawing for some seconds yet."""
        self._over.set()

    def finish(self) -> None:
        """Draw for the last time, and wait for it."""
        self.leave()
        if self._thread.ident is not None:
            self._thread.join(_PATIENCE_S)
        try:
            self._draw()
        # Every record is written: a picture that cannot be drawn must not make the sweep fail,
        # also where the disk has no room for it.
        except Exception as error:  # noqa: BLE001
            self._say(error)

    def _run(self) -> None:
        pause_s = self._first_s
        while not self._over.wait(pause_s):
            if len(self._journal.results) == self._drawn:
                continue
            begun = time.thread_time()
            try:
                self._draw()
            # A disk that is full ends the sweep where it matters: at its records.
            except Exception as error:  # noqa: BLE001
                self._say(error)
            pause_s = max(self._every_s, (time.thread_time() - begun) / SHARE_OF_TIME)

    def _draw(self) -> None:
        # Late: it imports Optuna, which takes a second while Ray starts.
        from kdsweep.search.importance import importance_of

        # In this order: a trial that ends meanwhile is on no front of which it is no result.
        front = self._journal.front
        results = list(self._journal.results)
        self._drawn = len(results)
        importance = importance_of(results, self._space, self._objectives)
        write_pictures(self._store, results, front, importance)
        if self._tracker is not None:
            self._tracker.pictures_written()

    def _say(self, error: Exception) -> None:
        _log.warning("the pictures cannot be drawn", exc_info=error)
        if not self._told:
            self._told = True
            what = error.strerror if isinstance(error, OSError) else None
            why = what or f"{type(error).__name__}: {error}"
            self._tell(
                f"warning: the pictures of the sweep cannot be drawn ({why}); its records are "
                f"whole, and `kdsweep report {self._store.place}` draws them"
            )
