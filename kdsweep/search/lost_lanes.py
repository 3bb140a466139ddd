"""What to do about a lane whose workers died: say why, give its trial away, start it again."""

import time
from collections.abc import Callable

from kdsweep.search import environment  # noqa: F401  # before ray
from kdsweep.search.job import Loss

# isort: split
import ray
from ray._private import state
from ray.exceptions import ActorUnavailableError, RayError
from ray.train.v2._internal.exceptions import (
    WorkerGroupStartupFailedError,
    WorkerGroupStartupTimeoutError,
    WorkerHealthCheckFailedError,
)
from ray.train.v2._internal.execution.failure_handling import FailureDecision, FailurePolicy
from ray.train.v2.api.config import FailureConfig
from ray.train.v2.api.exceptions import WorkerGroupError

MOST_IN_A_ROW = 10
"""So often a lane is started again without having ended a job in between: trials that kill their
workers are given up long before that, and cost the lane nothing."""

KNOWN_WITHIN_S = 45.0
"""Ray misses a node after some ten seconds, on a busy machine later."""

_OF_A_DEATH = ("actor died", "actor is dead", "never ran", "unavailable")
_OF_A_NODE = ("node has died", "node_died", "node died", "node is dead", "marked dead")


class LanePolicy(FailurePolicy):  # type: ignore[misc]
    """Starts lanes again as long as they get something done; a node that is gone costs nothing.

    ``on_loss`` is told before anything is started again, from the thread of the lanes' controller.
    """

    def __init__(self, on_loss: Callable[[Loss], object]) -> None:
        super().__init__(FailureConfig(max_failures=-1))
        self._on_loss, self._in_a_row = on_loss, 0
        self.why_given_up = ""
        """In a clause; empty as long as it is not."""

    def got_something_done(self) -> None:
        """A job has ended on these lanes."""
        self._in_a_row = 0

    def make_decision(self, training_failed_error: Exception) -> FailureDecision:
        """Whether the workers are started again; where there is no room, Ray waits for some."""
        loss = loss_of(training_failed_error)
        self._on_loss(loss)
        failure = getattr(training_failed_error, "controller_failure", None)
        if loss.taken_away or loss.quiet:
            return FailureDecision.RETRY
        self._in_a_row += 1
        if failure is None or isinstance(failure, RayError | WorkerGroupStartupFailedError):
            if self._in_a_row <= MOST_IN_A_ROW:
                return FailureDecision.RETRY
            self.why_given_up = f"{loss.why}, {self._in_a_row} times without a trial that ended"
        else:
            self.why_given_up = loss.why
        return FailureDecision.RAISE


def loss_of(error: Exception) -> Loss:
    """The loss that an error of a run's workers or controller stands for."""
    if not isinstance(error, WorkerGroupError):
        return _loss_at_the_start(getattr(error, "controller_failure", error), str(error))
    found = [_loss_of_worker(each) for each in error.worker_failures.values()]
    # The others fail because one did; that a node was taken away explains all of it.
    return next((each for each in found if each.taken_away), found[0])


def _loss_at_the_start(failure: Exception, text: str) -> Loss:
    """Of workers that never trained: there was no room for them, or they died before that."""
    if isinstance(failure, WorkerGroupStartupTimeoutError):
        # A cluster that lost a node may get another.
        return Loss("there is no room for its workers", text, quiet=True)
    if any(said in text.lower() for said in _OF_A_NODE):
        return Loss("its node is gone", text, taken_away=True)
    if any(said in text for said in _OF_A_DEATH):
        return Loss("its worker died while it started", text)
    return Loss(f"its workers could not be started: {_last_line(failure)}", text)


def _loss_of_worker(error: Exception) -> Loss:
    if not isinstance(error, WorkerHealthCheckFailedError):
        return Loss(f"its worker ended with {_last_line(error)}", str(error))
    died = error.health_check_failure
    text, is_dead = _once_it_is_known(died)
    if not is_dead:
        return Loss("its worker could not be reached", text, taken_away=True)
    if getattr(died, "preempted", False) or any(said in text.lower() for said in _OF_A_NODE):
        return Loss("its node is gone", text, taken_away=True)
    if "out of memory" in text.lower() or "OOM" in text.split("Some common causes")[0]:
        return Loss("its worker was ended because the node ran out of memory", text)
    return Loss("its worker died", text)


def _once_it_is_known(died: Exception) -> tuple[str, bool]:
    """All that Ray says of a worker, and whether it is dead.

    At first Ray may know only that it cannot be reached; of a node that was lost it knows when it
    has missed heartbeats for some seconds.
    """
    text, until = str(died), time.monotonic() + KNOWN_WITHIN_S
    if not isinstance(died, ActorUnavailableError):
        return text, True
    while time.monotonic() < until:
        known = state.actors(died.actor_id) or {}
        if known.get("State") == "DEAD":
            return f"{text}\n{known['DeathCause']}", True
        node = (known.get("Address") or {}).get("NodeID")
        if any(each["NodeID"] == node and not each["Alive"] for each in ray.nodes()):
            return f"{text}\nIts node has died.", True
        time.sleep(0.25)
    return text, False


def _last_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(error).__name__
