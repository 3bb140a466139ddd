"""The switchboard when lanes, workers or Ray Tune's actors are lost."""

import asyncio

import pytest
from boards import job, on_a_board, settled

from kdsweep.search.job import JobState, Loss


def test_a_lane_that_comes_back_finds_its_job_at_the_front():
    async def scenario(board):
        await board.hello("a", {"pid": 1})
        for key in ("1", "2"):
            await board.submit(job(key))
        await board.take("a", 0)
        await board.report("1", [{"epoch": 1}])
        await board.hello("a", {"pid": 2})
        return await board.look("1"), await board.take("a", 0), await board.lanes()

    seen, taken, lanes = on_a_board(scenario)
    assert (seen["epochs"], seen["lane"], seen["outcome"]) == ([{"epoch": 1}], None, None)
    assert seen["interruptions"] == ["a, after epoch 1: its worker died"]
    assert taken == (1, job("1"))
    assert lanes == {"a": {"pid": 2, "ended": 0, "has": "1"}}


def test_a_job_that_kills_its_lanes_is_given_up_and_the_others_go_on():
    async def scenario(board):
        await board.submit(job("1"))
        await board.submit(job("2"))
        states = []
        for _ in range(3):
            await board.hello("a", {})
            states.append((await board.take("a", 0))[1]["key"])
        await board.hello("a", {})
        return states, (await board.look("1"))["outcome"], await board.take("a", 0)

    states, outcome, after = on_a_board(scenario, max_failures=2)
    assert states == ["1", "1", "1"]
    assert outcome == {
        "status": "failed", "error": "given up after 3 failures: its worker died", "traceback": "",
    }  # fmt: skip
    assert after == (1, job("2"))


def test_what_a_lost_lane_had_goes_to_another():
    async def scenario(board):
        for lane in ("a", "b"):
            await board.hello(lane, {})
        await board.submit(job("1"))
        await board.take("a", 0)
        waiting = asyncio.create_task(board.take("b", 0))
        before = await settled(waiting)
        await board.lost(["a"], Loss("out of memory"))
        return before, await waiting, await board.lanes()

    assert on_a_board(scenario) == ([False], (1, job("1")), {"b": {"ended": 0, "has": "1"}})


@pytest.mark.parametrize("how", ["hello", "lost"])
def test_a_worker_that_died_waiting_takes_no_job_with_it(how):
    async def scenario(board):
        for lane in ("a", "b"):
            await board.hello(lane, {})
        await board.submit(job("0"))
        await board.take("a", 0)
        await board.finish("0", {"status": "complete"})
        ghost = asyncio.create_task(board.take("a", 1))
        await settled(ghost)
        await (board.hello("a", {}) if how == "hello" else board.lost(["a"], Loss("gone")))
        for key in ("1", "2"):
            await board.submit(job(key))
        await settled(ghost)
        taken = [await board.take("b", had) for had in range(2)]
        return await ghost, [one["key"] for _, one in taken]

    assert on_a_board(scenario) == (None, ["1", "2"])


def test_a_job_that_is_submitted_again_goes_on_as_it_is():
    """Ray Tune starts a trial's light actor again when that died, while the lane trains on."""

    async def scenario(board):
        await board.submit(job("1"))
        await board.take("a", 0)
        await board.report("1", [{"epoch": 1}])
        await board.submit(job("1"))
        news = await board.news("1", 0, 0.0)
        waiting = asyncio.create_task(board.take("b", 0))
        taken_twice = await settled(waiting)
        await board.finish("1", {"status": "complete"})
        await board.close()
        return news["epochs"], taken_twice, (await board.look("1"))["outcome"], await waiting

    epochs, taken_twice, outcome, after_the_end = on_a_board(scenario)
    assert epochs == [{"epoch": 1}]
    assert taken_twice == [False]
    assert outcome == {"status": "complete"}
    assert after_the_end is None


def test_a_job_that_was_forgotten_while_it_waited_is_given_to_nobody():
    async def scenario(board):
        await board.submit(job("1"))
        await board.submit(job("2"))
        await board.forget("1")
        return await board.take("a", 0)

    assert on_a_board(scenario) == (1, job("2"))


def test_a_node_that_is_taken_away_is_no_failure_of_its_trial():
    async def scenario(board):
        await board.submit(job("1"))
        for _ in range(5):
            await board.hello("a", {})
            await board.take("a", 0)
            await board.lost(["a"], Loss("its node is gone", taken_away=True))
        seen = await board.look("1")
        await board.hello("b", {})
        return seen, await board.take("b", 0)

    seen, taken = on_a_board(scenario, max_failures=0)
    assert seen["outcome"] is None
    assert seen["interruptions"] == ["a, after epoch 0: its node is gone"] * 5
    assert taken == (1, job("1"))


def test_a_job_goes_on_after_the_epochs_of_another_lane_and_nothing_is_lost_or_told_twice():
    async def scenario(board):
        await board.submit(job("1"))
        for lane in ("a", "b"):
            await board.hello(lane, {})
        await board.take("a", 0)
        await board.report("1", [{"epoch": 1}, {"epoch": 2}])
        first = await board.news("1", 0, 0.0)
        await board.lost(["a"], Loss("its worker died"))
        await board.take("b", 0)
        # The checkpoint is newer than what the lane could tell, or older.
        await board.resumed("1", [{"epoch": 1}, {"epoch": 2}, {"epoch": 3}])
        await board.report("1", [{"epoch": 4}])
        await board.finish("1", {"status": "complete"}, [{"epoch": 5}])
        second = await board.news("1", len(first["epochs"]), 0.0)
        return first, second, await board.events(), await board.events(), await board.lanes()

    first, second, events, again, lanes = on_a_board(scenario)
    assert [each["epoch"] for each in first["epochs"] + second["epochs"]] == [1, 2, 1, 2, 3, 4, 5]
    assert (first["resumed_after"], second["resumed_after"]) == (0, 3)
    # What it had trained is what the checkpoint says, where that is more than it had told.
    assert second["interruptions"] == ["a, after epoch 3: its worker died"]
    assert events == [
        "a was lost (its worker died): trial 1 goes on elsewhere",
        "trial 1 goes on after epoch 3, on b",
    ]
    assert again == []
    assert lanes == {"b": {"ended": 1, "has": None}}


def test_what_a_lane_warns_of_is_told_before_the_trial_ends():
    async def scenario(board):
        await board.submit(job("1"))
        await board.hello("a", {})
        await board.take("a", 0)
        await board.warn("1", "checkpoint 00002 is damaged")
        return await board.events()

    assert on_a_board(scenario) == ["warning: checkpoint 00002 is damaged"]


def test_a_job_that_is_given_up_says_where_its_last_log_is_and_what_python_said():
    async def scenario(board):
        await board.submit(job("1"))
        await board.hello("a", {"node": "10.0.0.7", "log": "/ray/1.err"})
        await board.take("a", 0)
        await board.lost(["a"], Loss("its worker died", "Traceback: all of it"))
        return (await board.look("1"))["outcome"]

    assert on_a_board(scenario, max_failures=0) == {
        "status": "failed",
        "error": "given up after 1 failure: its worker died (its log: 10.0.0.7:/ray/1.err)",
        "traceback": "Traceback: all of it",
    }


def test_who_gives_a_trial_up_names_what_a_person_makes_smaller():
    trial = {"student": {"name": "cnn"}, "train": {"batch_size": 128}}
    state = JobState({"key": "00001", "kind": "trial", "trial": trial}, lane="lane-000")
    assert not state.lost(Loss("its worker died"), max_failures=0)
    assert state.outcome["error"] == (
        "given up after 1 failure: its worker died with student cnn and batch size 128"
    )


def test_what_is_said_of_a_lost_lane_is_true_of_those_that_are_left():
    async def scenario(board):
        await board.hello("a", {})
        await board.submit(job("1"))
        await board.take("a", 0)
        await board.lost(["a"], Loss("its worker died"))
        await board.lost(["a"], Loss("its worker died"))
        await board.lost(["a"], Loss("its workers could not be started: no room", quiet=True))
        return await board.events()

    assert on_a_board(scenario) == [
        "a was lost (its worker died): trial 1 goes on when a lane is up",
        "a was lost before it was up (its worker died); it is started again",
    ]
