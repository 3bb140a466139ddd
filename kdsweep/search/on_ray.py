"""The trials of a sweep on a Ray that is up: lanes, the teacher, Tune with our searcher."""

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from kdsweep.errors import ResultError, TrialError
from kdsweep.results.store import RunStore
from kdsweep.search import environment  # noqa: F401  # before ray
from kdsweep.search.budget import Budget
from kdsweep.search.cluster import NAMESPACE, Fitted
from kdsweep.search.ending import keep_spent
from kdsweep.search.fixed_points import FixedPoints
from kdsweep.search.journal import Journal
from kdsweep.search.room import Room
from kdsweep.search.starts import starts
from kdsweep.search.surroundings import interrupts
from kdsweep.search.warm_start import WarmStart
from kdsweep.storage.copies import teachers_in
from kdsweep.sweep_file import Sweep, resolved


class NotBegunError(ResultError):
    """Data or teacher are not as expected: nothing was trained, and a new run is taken away."""


def train_on_ray(
    sweep: Sweep,
    store: RunStore,
    journal: Journal,
    fitted: Fitted,
    scratch: Path,
    when_up: Callable[[], None],
    budget: Budget,
    expected: Mapping[str, Any] | None,
    begin: Callable[[], None],
    warm: WarmStart | None,
) -> str:
    """Train until the search, its budget or a person ends it; ``complete`` or ``stopped``.

    ``begin`` is called once it is sure that data and teacher are as ``expected``, ``when_up`` when
    the first lane is up.

    Raises:
        NotBegunError: they are not.
        TrialError: the sweep cannot make progress, or its teacher could not be made.
    """
    import ray

    from kdsweep.search.lanes import Lanes, board_actor
    from kdsweep.search.replicated import ReplicatedSampler
    from kdsweep.search.rungs import Rungs
    from kdsweep.search.scheduler import FrontScheduler
    from kdsweep.search.searcher import TEACHER_KEY, FrontSearcher
    from kdsweep.search.tuning import tune
    from kdsweep.search.watch import Watch

    name = f"board-{store.meta.sweep_id}"
    board = board_actor(name, max_failures=sweep.spec.cluster.max_failures)
    teachers = teachers_in(store.directory.parent)
    layers = {key: paths for plan in sweep.outputs for key, paths in plan.layers.items()}
    lanes = Lanes(
        fitted, board=name, namespace=NAMESPACE, teachers=teachers, layers=layers, scratch=scratch,
        checkpoint_every_s=sweep.spec.storage.checkpoint_every_s,
        times="latency_ms" in {*sweep.spec.objectives, *sweep.spec.constraints},
        on_loss=partial(_tell_loss, board),
    )  # fmt: skip
    room = Room(
        store, sweep.spec.storage.max_bytes, teachers=teachers, tell=journal.progress.message
    )
    journal.progress.phase(f"starting {fitted.lanes} lane{'s' if fitted.lanes > 1 else ''}")
    lanes.start()
    trial, confirms = sweep.spec.trial, store.meta.confirms
    # Where the data are varied and nothing is learned from a teacher, nothing is common to all.
    prepares = trial.teacher is not None or not _varies_data(sweep)
    if prepares:
        job = {"key": TEACHER_KEY, "kind": "teacher", "trial": resolved(trial)}
        also = {"expected": dict(expected or {}), "opens_test": confirms is not None}
        ray.get(board.submit.remote({**job, **also}))
    search = sweep.spec.search
    rungs = Rungs(sweep.spec.objectives, eta=search.rungs.eta if search.rungs else 1.0)
    rungs.remember(journal.earlier, search)
    earlier = [rungs.estimated(result) for result in journal.earlier]
    sampler = (
        ReplicatedSampler(
            sweep, starts(sweep), sizes_of=sweep.sizes_of, done=earlier,
            earlier=() if warm is None else warm.trials,
        )
        if confirms is None
        else FixedPoints(confirms, earlier)
    )  # fmt: skip
    searcher = FrontSearcher(
        sweep, sampler, journal, store,
        rungs=rungs, budget=budget, board=name, namespace=NAMESPACE,
        all_come_after=prepares and bool(expected), on_refusal=lambda why: watch.refuse(why),
    )  # fmt: skip

    def on_up() -> None:
        if journal.is_held_back:
            begin()
        when_up()

    watch = Watch(
        board,
        lanes,
        fitted,
        journal,
        trial,
        prepares=prepares,
        room=room,
        budget=budget,
        close_search=searcher.close,
        on_up=on_up,
        may_be_refused=prepares and bool(expected),
        keep_spent=partial(keep_spent, store),
        why_stop=store.why_stop,
    )
    with interrupts(watch.stop), watch:
        tune(searcher, FrontScheduler(rungs, board), fitted, scratch)
    if not watch.changed:
        journal.make_room(room)
    ray.get(board.close.remote())
    lanes.join(timeout_s=2.0)
    if watch.changed:
        raise NotBegunError(watch.changed, source=store.place)
    if watch.failure is not None:
        raise TrialError(watch.failure)
    store.update_meta(ended_by=watch.ended_by or searcher.ended_by)
    return "stopped" if watch.stopped else "complete"


def _varies_data(sweep: Sweep) -> bool:
    return any(each.path.partition(".")[0] == "data" for each in sweep.space.dimensions())


def _tell_loss(board: Any, lanes: list[str], loss: Any) -> None:
    """Trials of lanes that died go to others at once."""
    import ray

    logging.getLogger(__name__).warning("%s: %s\n%s", ", ".join(lanes), loss.why, loss.traceback)
    # With the cluster gone there are no others.
    with suppress(ray.exceptions.RayError):
        ray.get(board.lost.remote(lanes, loss))
