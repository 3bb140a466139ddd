"""Keeps an eye on a running sweep: the teacher, lanes that are lost, and whether anything moves."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import ray

from kdsweep.search.budget import Budget, Spent
from kdsweep.search.cluster import Fitted, arithmetic, waits_for_room
from kdsweep.search.job import Loss
from kdsweep.search.journal import Journal
from kdsweep.search.lanes import Lanes
from kdsweep.search.room import Room
from kdsweep.search.searcher import TEACHER_KEY
from kdsweep.spec import TrialSpec
from kdsweep.spec.trial import called
from kdsweep.storage.atomic import cannot_be_written

_log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.25
LOOK_WHEN_SETTLED_EVERY_S = 1.0
"""When all lanes are up and the teacher is there: each look costs the switchboard milliseconds."""

NO_LANE_AFTER_S = 55.0
"""A lane is up in ten to thirty seconds; where there is no room for it, it never will be."""

KEEP_SPENT_EVERY_S = 20.0
"""What was spent is written down so often: a driver that dies cannot do it any more."""

LOOK_FOR_REQUESTS_EVERY_S = 2.0
"""A request to stop is a file: on shared storage each look is a question to its server."""

LANES_STUCK_AFTER_S = 600.0
"""Lanes that have their room are up by then, or something is wrong with the nodes."""


class Watch:
    """A thread beside Tune's loop; it ends the sweep when it is stopped or cannot go on.

    ``failure`` is why the sweep failed, in a sentence for the person; ``stopped`` whether somebody
    asked for the end.
    """

    def __init__(
        self,
        board: Any,
        lanes: Lanes,
        fitted: Fitted,
        journal: Journal,
        trial: TrialSpec,
        *,
        prepares: bool,
        room: Room,
        budget: Budget,
        close_search: Callable[[], None],
        on_up: Callable[[], None] = lambda: None,
        may_be_refused: bool = False,
        keep_spent: Callable[[Spent], None] = lambda spent: None,
        why_stop: Callable[[], str | None] = lambda: None,
    ) -> None:
        """``on_up`` is called once, when the first lane is up, or when it is known that the sweep
        begins if it ``may_be_refused``; ``keep_spent`` now and then.

        ``prepares``: whether there is a job before all trials, of the teacher or the data alone.
        ``why_stop`` says that somebody beside this process wants the end, and why.
        """
        self._board, self._lanes, self._fitted = board, lanes, fitted
        self._journal, self._progress, self._trial = journal, journal.progress, trial
        self._budget, self._close_search, self._on_up = budget, close_search, on_up
        self._room, self._may_be_refused = room, may_be_refused
        self._keep_spent, self._spent_kept_at = keep_spent, time.monotonic()
        self._why_stop, self._asked_at = why_stop, time.monotonic()
        self._wanted_stop = threading.Event()
        self._refusal = ""
        self._over = threading.Event()
        self._teacher_pending = prepares
        self._num_lanes_up = 0
        self._lane_of: dict[str, str] = {}
        self._why = ""
        self._said = False
        self.failure: str | None = None
        self.changed: list[str] = []
        """What is not as it was when the sweep began, a sentence each."""
        self.stopped = False
        self.ended_by = ""
        """The budget that ended the sweep, in words."""
        self._thread = threading.Thread(target=self._loop, name="kdsweep-watch", daemon=True)

    def stop(self) -> None:
        """Somebody wants the sweep to end; safe in a signal handler."""
        self._wanted_stop.set()

    def refuse(self, why: str) -> None:
        """Something cannot be written that must be; from any thread, the first time counts."""
        self._refusal = self._refusal or why

    def __enter__(self) -> "Watch":
        self._lanes_seen_at = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._wanted_stop.set()  # wakes the thread
        self._thread.join(5.0)
        if self._refusal and self.failure is None:
            # Trials that end for want of room end Tune's loop before the thread has looked.
            self.failure = cannot_be_written(self._refusal)

    def _loop(self) -> None:
        while not self._over.is_set():
            if self._wanted_stop.wait(self._pause_s()):
                if self._over.is_set():
                    return
                self.stopped = True
                self._say_that_the_teacher_is_lost()
                self._end("the sweep was stopped")
                return
            if self._refusal:
                self._fail(cannot_be_written(self._refusal))
                return
            try:
                if (why := self._budget.used_up) is not None:
                    self.ended_by = why
                    self._say_that_the_teacher_is_lost()
                    self._end(why)
                    return
                self._look()
                self._keep_what_is_spent()
                self._look_for_requests()
            except ray.exceptions.RayError as error:
                if not self._over.is_set():
                    self._fail(f"the sweep lost its cluster: {str(error).splitlines()[0]}")
            except OSError as error:
                self._fail(cannot_be_written(error))
            if self.failure is not None or self.changed:
                return

    def _keep_what_is_spent(self) -> None:
        if self._may_be_refused and self._teacher_pending:
            return  # a run that is refused is left as it was
        if time.monotonic() - self._spent_kept_at >= KEEP_SPENT_EVERY_S:
            self._spent_kept_at = time.monotonic()
            self._keep_spent(self._budget.spent)
            self._journal.keep_running(self._lane_of)
            self._journal.make_room(self._room)

    def _look_for_requests(self) -> None:
        """What was asked for elsewhere is as a Ctrl-C here."""
        if time.monotonic() - self._asked_at >= LOOK_FOR_REQUESTS_EVERY_S:
            self._asked_at = time.monotonic()
            if (why := self._why_stop()) is not None:
                self._progress.message(f"stopping: {why}")
                self.stop()

    def _pause_s(self) -> float:
        settled = not self._teacher_pending and self._num_lanes_up >= self._fitted.lanes
        return LOOK_WHEN_SETTLED_EVERY_S if settled else LOOK_EVERY_S

    def _look(self) -> None:
        up, events = ray.get([self._board.lanes.remote(), self._board.events.remote()])
        if up:
            self._lanes_seen_at, self._said = time.monotonic(), False
        self._lane_of = {about["has"]: lane for lane, about in up.items() if about.get("has")}
        if events:
            self._spent_kept_at = float("-inf")  # who reads the records should know it as well
        for event in events:
            kind, colon, sentence = event.partition("warning: ")
            if colon and not kind:
                self._journal.warn([sentence])  # once, however many lanes warn of it
                continue
            _log.warning(event)
            self._progress.message(event)
        self._lanes.note(up)
        if len(up) > self._num_lanes_up:
            if not self._num_lanes_up and not self._may_be_refused:
                self._on_up()
            self._num_lanes_up = len(up)
            if not self._teacher_pending:
                self._progress.phase("training")
        lost = self._lanes.take_lost()
        if lost:
            self._why = next(iter(lost.values()))
            ray.get(self._board.lost.remote(list(lost), Loss(self._why, quiet=True)))
            if num := self._lanes.num_left:
                left = f"the sweep goes on with {num} lane{'s' * (num != 1)}"
                self._progress.message(f"{', '.join(lost)}: given up ({self._why}); {left}")
        if self._lanes.num_left == 0:
            self._fail(f"all lanes are lost: {self._why}")
        elif not up and not self._said and self._nothing_moves():
            self._say_that_nothing_moves()
        if self._teacher_pending and self.failure is None:
            self._look_at_teacher(bool(up))

    def _nothing_moves(self) -> bool:
        """No room for the lanes after a while, or room but no lanes after a long while.

        Workers that have their room may take minutes to start where the machine is busy.
        """
        waited = time.monotonic() - self._lanes_seen_at
        return waited > LANES_STUCK_AFTER_S or (waited > NO_LANE_AFTER_S and waits_for_room())

    def _say_that_nothing_moves(self) -> None:
        """On this machine nothing will change; a cluster may grow, so there the sweep waits on."""
        self._said = True
        waited = time.monotonic() - self._lanes_seen_at
        what = "came back" if self._num_lanes_up else "came up"
        why = f"no lane {what} within {waited:.0f} s: {arithmetic(self._fitted)}"
        advice = "lower cluster.concurrent_trials or cpus_per_worker"
        if self._fitted.may_grow:
            self._progress.message(f"{why}; waiting for the cluster (Ctrl-C stops), or {advice}")
        else:
            self._fail(f"{why}; {advice}, or wait until it is free")

    def _look_at_teacher(self, lanes_are_up: bool) -> None:
        news = ray.get(self._board.look.remote(TEACHER_KEY))
        last, outcome = news["last_teacher_epoch"], news["outcome"]
        if outcome is None:
            if last is not None:
                epochs = self._trial.all_teachers[last["teacher"]].training.epochs
                self._progress.phase(
                    f"{called(last['teacher'])}: epoch {last['epoch']}/{epochs}, "
                    f"accuracy {last['accuracy']:.1%}"
                )
            elif lanes_are_up:
                teacher = "" if self._trial.teacher is None else " and the teacher"
                self._progress.phase(f"preparing the data{teacher}")
            return
        self._teacher_pending = False
        self._journal.warn(outcome.get("warnings") or ())
        if outcome.get("changed"):
            self.changed = list(outcome["changed"])
            self._end("the sweep has changed")
        elif outcome["status"] == "complete":
            if self._may_be_refused:
                self._on_up()
            self._journal.data(outcome)
            for card in outcome["teachers"]:
                self._journal.teacher(card, self._trial)
                how = "found" if card["reused"] else "ready"
                self._progress.message(
                    f"{called(card['teacher'])} {how}: accuracy {card['accuracy']:.2%}, "
                    f"{card['params']:,} parameters"
                )
            self._progress.phase("training")
        elif not self._wanted_stop.is_set():
            what = (
                "data could not be read"
                if self._trial.teacher is None
                else ("teacher could not be made")
            )
            self._fail(f"the {what}: {outcome['error']}{self._logged(outcome)}")

    def _say_that_the_teacher_is_lost(self) -> None:
        """A teacher in training when the sweep ends is nobody's: the next sweep begins it anew."""
        if not self._teacher_pending or self._trial.teacher is None:
            return
        with suppress(ray.exceptions.RayError):
            last = ray.get(self._board.look.remote(TEACHER_KEY))["last_teacher_epoch"]
            if last is None:
                if self._num_lanes_up:
                    self._progress.message("teacher: cut short before it was there")
                return
            whole = self._trial.all_teachers[last["teacher"]].training.epochs
            self._progress.message(
                f"{called(last['teacher'])}: cut short after epoch {last['epoch']} of {whole}; it "
                "goes on from its last checkpoint the next time"
            )

    def _logged(self, outcome: Mapping[str, Any]) -> str:
        """Where the traceback is, if there is one: a teacher that failed has no record."""
        if not outcome.get("traceback"):
            return ""
        _log.error("the teacher could not be made\n%s", outcome["traceback"])
        return f" (the whole traceback is in {self._journal.log})"

    def _fail(self, why: str) -> None:
        self.failure = why
        self._end(why)

    def _end(self, why: str) -> None:
        """Every trial ends here and now; Tune's loop then finds nothing left to do."""
        self._close_search()
        # With the cluster gone nobody is left who would have to be told.
        with suppress(ray.exceptions.RayError):
            ray.get(self._board.abort.remote(why))
