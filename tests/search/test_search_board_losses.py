"""The switchboard when lanes, workers or Ray Tune's actors are lost."""

import asyncio

import pytest
from boards import job, on_a_board, settled


def test_a_lane_that_comes_back_finds_its_job_at_the_front_without_its_epochs():
    async def scenario(board):
        await board.hello("a", {"pid": 1})
        for key in ("1", "2"):
            await board.submit(job(key))
        await board.take("a", 0)
        await board.report("1", [{"epoch": 1}])
        await board.hello("a", {"pid": 2})
        return await board.look("1"), await board.take("a", 0), await board.lanes()

    seen, taken, lanes = on_a_board(scenario)
    assert (seen["epochs"], seen["lane"], seen["outcome"]) == ([], None, None)
    assert taken == (1, job("1"))
    assert lanes == {"a": {"pid": 2}}


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
        "status": "failed", "error": "given up after 3 attempts: its worker died",
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
        await board.lost(["a"], "out of memory")
        return before, await waiting, await board.lanes()

    assert on_a_board(scenario) == ([False], (1, job("1")), {"b": {}})


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
        await (board.hello("a", {}) if how == "hello" else board.lost(["a"], "gone"))
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
