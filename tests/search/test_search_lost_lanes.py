"""Why a lane was lost, and whether it is started again."""

import pytest
from ray.exceptions import ActorDiedError
from ray.train.v2._internal.exceptions import (
    WorkerGroupStartupFailedError,
    WorkerGroupStartupTimeoutError,
    WorkerHealthCheckFailedError,
)
from ray.train.v2._internal.execution.failure_handling import FailureDecision
from ray.train.v2.api.exceptions import ControllerError, WorkerGroupError

from kdsweep.search.job import Loss
from kdsweep.search.lost_lanes import MOST_IN_A_ROW, LanePolicy, loss_of


def of_workers(*errors):
    return WorkerGroupError("", dict(enumerate(errors)))


def dead(text):
    died = ActorDiedError()
    died.error_msg = text
    return WorkerHealthCheckFailedError("the worker is gone", died)


@pytest.mark.parametrize(
    ("error", "why", "taken_away"),
    [
        (of_workers(dead("its worker process has died")), "its worker died", False),
        (of_workers(dead("The actor died because its node has died. Node Id: 1")),
         "its node is gone", True),
        (of_workers(dead("killed by the memory monitor: the node ran Out of Memory")),
         "its worker was ended because the node ran out of memory", False),
        (of_workers(RuntimeError("first line\nthe last line")),
         "its worker ended with the last line", False),
        (of_workers(RuntimeError("connection reset"), dead("its node has died")),
         "its node is gone", True),
    ],
)  # fmt: skip
def test_what_is_said_of_a_loss(error, why, taken_away):
    loss = loss_of(error)
    assert (loss.why, loss.taken_away) == (why, taken_away)
    assert loss.traceback


def test_a_lane_that_gets_nothing_done_is_given_up_and_each_loss_is_told():
    told = []
    policy = LanePolicy(told.append)
    error = of_workers(dead("its worker process has died"))
    decisions = [policy.make_decision(error) for _ in range(MOST_IN_A_ROW + 1)]
    assert decisions == [FailureDecision.RETRY] * MOST_IN_A_ROW + [FailureDecision.RAISE]
    assert [loss.why for loss in told] == ["its worker died"] * (MOST_IN_A_ROW + 1)
    assert all(isinstance(loss, Loss) for loss in told)


def test_a_lane_that_gets_something_done_may_die_as_often_as_it_likes():
    policy = LanePolicy(lambda loss: None)
    for _ in range(3 * MOST_IN_A_ROW):
        error = of_workers(dead("its worker process has died"))
        assert policy.make_decision(error) is FailureDecision.RETRY
        policy.got_something_done()


def test_nodes_that_are_taken_away_and_room_that_is_not_there_are_waited_for():
    policy = LanePolicy(lambda loss: None)
    errors = [of_workers(dead("its node has died")),
              ControllerError(WorkerGroupStartupTimeoutError(1))]  # fmt: skip
    for error in errors * MOST_IN_A_ROW * 2:
        assert policy.make_decision(error) is FailureDecision.RETRY
    assert [loss_of(error).quiet for error in errors] == [False, True]
    gone = ControllerError(WorkerGroupStartupFailedError("The actor died: its node has died."))
    assert loss_of(gone).taken_away
    unforeseen = ControllerError(KeyError("x"))
    assert policy.make_decision(unforeseen) is FailureDecision.RAISE
    assert "KeyError" in policy.why_given_up or "'x'" in policy.why_given_up


def test_a_lane_whose_worker_dies_while_it_starts_is_started_again_and_not_for_ever():
    told = []
    policy = LanePolicy(told.append)
    died = ActorDiedError()
    died.error_msg = "The actor died unexpectedly.\nWorker exit type: SYSTEM_ERROR " + 90 * "more "
    errors = [ControllerError(died), ControllerError(WorkerGroupStartupFailedError("never ran"))]
    decisions = [policy.make_decision(errors[n % 2]) for n in range(MOST_IN_A_ROW + 1)]
    assert decisions == [FailureDecision.RETRY] * MOST_IN_A_ROW + [FailureDecision.RAISE]
    assert {(loss.why, loss.quiet) for loss in told} == {
        ("its worker died while it started", False)
    }
    assert policy.why_given_up == (
        "its worker died while it started, 11 times without a trial that ended"
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("The actor never ran - it was cancelled before it started running.",
         "its worker died while it started"),
        ("traceback\nModuleNotFoundError: No module named 'kdsweep'",
         "its workers could not be started: ModuleNotFoundError: No module named 'kdsweep'"),
    ],
)  # fmt: skip
def test_what_is_said_of_workers_that_do_not_start(text, why):
    loss = loss_of(ControllerError(WorkerGroupStartupFailedError(text)))
    assert (loss.why, loss.quiet, loss.taken_away) == (why, False, False)
