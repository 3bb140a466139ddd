"""A sweep from start to end: Ray, lanes, the teacher, Tune with our searcher, the records."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from kdsweep.errors import ResultError
from kdsweep.report.progress import Progress
from kdsweep.results.mending import mend
from kdsweep.results.meta import RunStatus
from kdsweep.results.record import TrialResult, epochs_in
from kdsweep.results.store import RunStore
from kdsweep.search import environment  # noqa: F401  # before ray
from kdsweep.search.budget import Budget, Spent
from kdsweep.search.cluster import Fitted, connected
from kdsweep.search.ending import keep_spent, leave_behind
from kdsweep.search.fixed_points import without_search
from kdsweep.search.illustrator import Illustrator
from kdsweep.search.journal import Journal
from kdsweep.search.on_ray import NotBegunError, train_on_ray
from kdsweep.search.quiet import chatter_in, hushed
from kdsweep.search.scratch import scratch_place
from kdsweep.search.surroundings import (
    StoppedEarlyError,
    full_disks_in_words,
    interruptible,
)
from kdsweep.search.warm_start import WarmStart, keep
from kdsweep.sweep_file import Sweep
from kdsweep.tracking.tracker import Tracker, import_mlflow
from kdsweep.tracking.where import uri_of


def run(
    sweep: Sweep,
    open_store: Callable[[], RunStore],
    *,
    progress: Progress,
    done: Sequence[TrialResult] = (),
    began: float | None = None,
    expected: Mapping[str, Any] | None = None,
    changes: Mapping[str, Any] = MappingProxyType({}),
    warm: WarmStart | None = None,
) -> tuple[RunStatus, RunStore]:
    """Run the sweep's trials on Ray until all are done or somebody stops it; says how it ended.

    ``open_store`` makes or opens the run directory; one that it makes is taken away again where the
    sweep does not come to its beginning. ``done`` are the records of an earlier process,
    ``expected`` is what must not have changed since then (see ``Session.prepare``), ``changes`` are
    of the run's meta data, made when the sweep begins; ``warm`` is what the sampler knows of
    earlier sweeps, and is kept in the run; time is spent from ``began`` on. Every record is on disk
    when this returns, the front beside them.

    Raises:
        ResultError: teacher or data are not as ``expected``; the run is as it was.
        StoppedEarlyError: somebody stopped it while Ray started; this process must end.
        SpecError: no cluster, or no room on it for what the file asks.
        TrialError: the sweep cannot make progress, or its teacher could not be made.
    """
    began = time.monotonic() if began is None else began
    progress.phase("starting Ray" if sweep.spec.cluster.address is None else "joining Ray")
    has_begun = False
    try:
        with hushed(), interruptible() as renewed, full_disks_in_words():
            store = open_store()
            try:
                # Who looks, or wants to be its driver too, sees from here on that it has one.
                with (
                    store.hold(progress.message),
                    scratch_place() as scratch,
                    connected(sweep.spec.cluster) as ray_is_up,
                ):
                    fitted = _imported_meanwhile(sweep, ray_is_up, renewed)
                    has_begun = True
                    with chatter_in(store.directory):
                        for sentence in mend(store, done):
                            progress.message(f"warning: {sentence}")
                        status = _recorded(
                            sweep, store, fitted, progress, scratch, done, began, expected, changes,
                            warm,
                        )  # fmt: skip
            except NotBegunError:
                # Refused: a new run is taken away, one that was gone on with stays as it was.
                has_begun = False
                raise
            finally:
                if not has_begun:
                    store.discard()
    except KeyboardInterrupt:
        if not has_begun:
            raise StoppedEarlyError from None
        raise
    return status, store


def _imported_meanwhile(
    sweep: Sweep, ray_is_up: Callable[..., Fitted], renewed: Callable[[], None]
) -> Fitted:
    """How the sweep fits; the slow modules are imported while Ray starts.

    In a thread of their own: this one is free for whoever wants the end.
    """

    def slow_modules() -> None:
        from kdsweep.search import lanes, replicated, searcher, tuning, watch  # noqa: F401

        if sweep.spec.tracking.enabled:
            import_mlflow()

    importing = threading.Thread(target=slow_modules, name="kdsweep-imports", daemon=True)
    importing.start()
    fitted = ray_is_up(renewed)
    importing.join()
    return fitted


def _recorded(
    sweep: Sweep,
    store: RunStore,
    fitted: Fitted,
    progress: Progress,
    scratch: Path,
    done: Sequence[TrialResult],
    began: float,
    expected: Mapping[str, Any] | None,
    changes: Mapping[str, Any],
    warm: WarmStart | None = None,
) -> RunStatus:
    """Run the sweep and, however it ends, leave behind what is known of it."""
    sweep = without_search(sweep, store.meta.confirms)
    tracking = sweep.spec.tracking
    tracker = None
    if tracking.enabled:
        uri = uri_of(tracking, store.directory.parent)
        tracker = Tracker(uri, tracking.experiment, store, warn=progress.message)
    varied = {dimension.path for dimension in sweep.space.dimensions()}
    journal = Journal(
        store, progress, tracker, done=done, may_be_refused=bool(expected), varied=varied
    )
    spent = Spent(store.meta.wall_seconds, max(store.meta.student_epochs, epochs_in(done)))
    budget = Budget(
        sweep.spec.search.budget, cost_per_hour=sweep.spec.cluster.cost_per_hour,
        spent=spent, began=began, running=journal.trained_by_running,
    )  # fmt: skip
    illustrator = Illustrator(sweep, store, journal, tracker, tell=progress.message)
    status, in_a_hurry = "failed", False

    def when_up() -> None:
        # Making MLflow's tables takes seconds that the lanes need to come up.
        if tracker is not None:
            tracker.start()
        illustrator.start()

    def begin() -> None:
        # Of a run in an object store MLflow may be beside another copy now.
        where = {} if tracker is None else {"tracking_uri": uri}
        store.update_meta(**{**changes, **where, "status": "running", "ended_by": ""})
        if warm is not None:
            keep(store, warm)
            for line in warm.lines:
                progress.message(line)
        keep_spent(store, budget.spent)
        journal.begin_for_sure()

    if not expected:
        begin()
    try:
        status = train_on_ray(
            sweep, store, journal, fitted, scratch, when_up, budget, expected, begin, warm
        )
    except ResultError:
        status = "" if journal.is_held_back else "failed"
        raise
    except KeyboardInterrupt:
        status, in_a_hurry = "stopped", True
        raise
    finally:
        illustrator.leave()
        # Of what was refused before it began nothing has been written.
        if status:
            if journal.is_held_back:
                begin()
            rest = (None, None) if in_a_hurry else (tracker, illustrator)
            leave_behind(store, journal, status, budget, progress, *rest)
    return store.meta.status
