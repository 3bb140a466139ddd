"""The switchboard between trials and lanes."""

import asyncio

import pytest
from boards import job, on_a_board, settled

from kdsweep.search import board as board_module
from kdsweep.search.job import Loss


def test_jobs_go_to_free_lanes_in_the_order_of_their_submission():
    async def scenario(board):
        for lane in ("a", "b"):
            await board.hello(lane, {"pid": 1})
        for key in ("1", "2", "3"):
            await board.submit(job(key))
        taken = [await board.take("a", 0), await board.take("b", 0), await board.take("b", 1)]
        lanes = [(await board.look(key))["lane"] for key in ("1", "2", "3")]
        return [(had, one["key"]) for had, one in taken], lanes

    assert on_a_board(scenario) == ([(1, "1"), (1, "2"), (2, "3")], ["a", "b", "b"])


def test_a_job_that_comes_after_another_waits_for_its_end_while_others_go_first():
    async def scenario(board):
        await board.submit(job("teacher"))
        await board.submit(job("1") | {"after": "teacher"})
        await board.submit(job("2"))
        taken = [await board.take("a", 0), await board.take("b", 0)]
        waiting = asyncio.create_task(board.take("c", 0))
        before = await settled(waiting)
        await board.finish("teacher", {"status": "complete"})
        taken.append(await waiting)
        # The other need not be known any more.
        await board.forget("teacher")
        await board.submit(job("3") | {"after": "teacher"})
        taken.append(await board.take("a", 1))
        return before, [one["key"] for _, one in taken]

    assert on_a_board(scenario) == ([False], ["teacher", "2", "1", "3"])


def test_a_lane_that_has_ended_a_job_gets_the_next_with_the_same_call():
    async def scenario(board):
        await board.submit(job("1"))
        await board.submit(job("2"))
        had, _ = await board.take("a", 0)
        outcome = {"status": "complete"}
        second = await board.finish_and_take("1", outcome, [{"epoch": 1}], "a", had)
        first = await board.news("1", 0, 10.0)
        waiting = asyncio.create_task(board.finish_and_take("2", outcome, [], "a", 2))
        before = await settled(waiting)
        ended = (await board.look("2"))["outcome"]
        await board.close()
        return second, first["outcome"], first["epochs"], before, ended, await waiting

    done = {"status": "complete"}
    found = on_a_board(scenario)
    assert found == ((2, job("2")), done, [{"epoch": 1}], [False], done, None)


def test_a_trial_forgets_its_last_job_when_it_submits_the_next():
    async def scenario(board):
        await board.submit(job("1"))
        await board.take("a", 0)
        await board.finish("1", {"status": "complete"})
        await board.submit(job("2"), "1")
        await board.submit(job("1"))  # from an actor that Tune started too many
        return await board.take("a", 1), board._jobs.keys() == {"2"}

    assert on_a_board(scenario) == ((2, job("2")), True)


def test_a_lane_waits_for_a_job():
    async def scenario(board):
        waiting = asyncio.create_task(board.take("a", 0))
        before = await settled(waiting)
        await board.submit(job("1"))
        return before, await waiting

    assert on_a_board(scenario) == ([False], (1, job("1")))


def test_all_workers_of_a_lane_get_the_same_jobs_in_the_same_order():
    async def scenario(board):
        for key in ("1", "2", "3"):
            await board.submit(job(key))
        first = [await board.take("a", had) for had in range(2)]
        other = await board.take("b", 0)
        second = [await board.take("a", had) for had in range(2)]
        return first == second, [one["key"] for _, one in first], other[1]["key"]

    assert on_a_board(scenario) == (True, ["1", "2"], "3")


def test_a_worker_that_is_late_passes_over_what_the_others_have_ended():
    """A trial that fails before its workers first meet is over before the slower one asks."""

    async def scenario(board):
        for key in ("1", "2", "3"):
            await board.submit(job(key))
        await board.take("a", 0)
        await board.finish("1", {"status": "failed"})
        await board.forget("1")
        await board.take("a", 1)
        await board.finish("2", {"status": "failed"})
        await board.take("a", 2)
        return await board.take("a", 0)

    assert on_a_board(scenario) == (3, job("3"))


@pytest.mark.parametrize("how", ["stop", "close", "abort", "forget"])
def test_a_report_is_answered_with_the_end_once_somebody_wants_it(how):
    async def scenario(board):
        await board.submit(job("1"))
        await board.submit(job("2"))
        await board.take("a", 0)
        before = await board.report("1", [{"epoch": 1}])
        call = getattr(board, how)
        await (call() if how == "close" else call("1"))
        return (
            before,
            await board.report("1", [{"epoch": 2}]),
            await board.report("2", [{"epoch": 1}]),
        )

    others_go_on = how in ("stop", "forget")
    assert on_a_board(scenario) == (True, False, others_go_on)


def test_epochs_of_a_teacher_are_kept_apart():
    async def scenario(board):
        await board.submit(job("1"))
        await board.report("1", [{"epoch": 1, "of": "teacher"}], True)
        await board.report("1", [{"epoch": 2, "of": "teacher"}], True)
        await board.report("1", [{"epoch": 1}])
        return await board.look("1")

    assert on_a_board(scenario) == {
        "epochs": [{"epoch": 1}],
        "last_teacher_epoch": {"epoch": 2, "of": "teacher"},
        "outcome": None,
        "lane": None,
        "at_rung": None,
        "interruptions": [],
        "resumed_after": 0,
    }


def test_news_come_in_batches_and_only_what_was_not_seen():
    async def scenario(board):
        await board.submit(job("1"))
        waiting = asyncio.create_task(board.news("1", 0, 0.01))
        before = await settled(waiting)
        await board.report("1", [{"epoch": 1}])
        await board.report("1", [{"epoch": 2}])
        first = await waiting
        await board.report("1", [{"epoch": 3}])
        second = await board.news("1", 2, 0.0)
        return before, first["epochs"], second["epochs"], second["outcome"]

    epochs = [{"epoch": 1}, {"epoch": 2}]
    assert on_a_board(scenario) == ([False], epochs, [{"epoch": 3}], None)


def test_the_outcome_is_told_at_once_with_the_epochs_before_it():
    async def scenario(board):
        await board.submit(job("1"))
        # An hour: the answer can only come from the outcome.
        waiting = asyncio.create_task(board.news("1", 0, 3600.0))
        await settled(waiting)
        await board.report("1", [{"epoch": 1}])
        unfinished = await settled(waiting)
        await board.finish("1", {"status": "complete"})
        await board.finish("1", {"status": "failed"})
        return unfinished, await waiting

    unfinished, told = on_a_board(scenario)
    assert unfinished == [False]
    assert told["epochs"] == [{"epoch": 1}]
    assert told["outcome"] == {"status": "complete"}


def test_a_trial_without_news_says_that_it_is_there(monkeypatch):
    monkeypatch.setattr(board_module, "HEARTBEAT_S", 0.01)

    async def scenario(board):
        await board.submit(job("1"))
        return await board.news("1", 0, 3600.0)

    told = on_a_board(scenario)
    assert (told["epochs"], told["outcome"]) == ([], None)


def test_close_sends_the_waiting_lanes_home_and_takes_no_more_jobs():
    async def scenario(board):
        waiting = asyncio.create_task(board.take("a", 0))
        await settled(waiting)
        await board.close()
        await board.submit(job("1"))
        return await waiting, await board.take("a", 0), (await board.look("1"))["outcome"]

    assert on_a_board(scenario) == (
        None, None, {"status": "stopped", "error": "the sweep has ended"},
    )  # fmt: skip


def test_abort_ends_every_job_here_and_now_but_not_what_has_ended():
    async def scenario(board):
        for key in ("1", "2", "3"):
            await board.submit(job(key))
        await board.take("a", 0)
        await board.take("b", 0)
        await board.finish("1", {"status": "complete"})
        waiting = asyncio.create_task(board.news("2", 0, 3600.0))
        await settled(waiting)
        await board.abort("somebody pressed Ctrl-C")
        await board.finish("2", {"status": "complete"})
        told = await waiting
        outcomes = [(await board.look(key))["outcome"] for key in ("1", "2", "3")]
        return told["outcome"] == outcomes[1], outcomes, await board.take("c", 0)

    stopped = {"status": "stopped", "error": "somebody pressed Ctrl-C"}
    assert on_a_board(scenario) == (True, [{"status": "complete"}, stopped, stopped], None)


def test_a_job_that_comes_after_one_that_failed_is_given_to_nobody():
    async def scenario(board):
        await board.submit(job("teacher"))
        await board.submit(job("1") | {"after": "teacher"})
        await board.take("a", 0)
        await board.finish("teacher", {"status": "failed", "error": "of other data"})
        waiting = asyncio.create_task(board.take("a", 1))
        before = await settled(waiting)
        await board.abort("the sweep has changed")
        return before, await waiting, (await board.look("1"))["outcome"]

    assert on_a_board(scenario) == (
        [False], None, {"status": "stopped", "error": "the sweep has changed"},
    )  # fmt: skip


def test_a_job_that_comes_after_an_abort_ends_for_the_same_reason():
    async def scenario(board):
        await board.abort("somebody pressed Ctrl-C")
        await board.submit(job("1"))
        return (await board.look("1"))["outcome"]

    assert on_a_board(scenario) == {"status": "stopped", "error": "somebody pressed Ctrl-C"}


def test_a_job_that_was_ended_and_forgotten_does_not_begin_again():
    async def scenario(board):
        await board.submit(job("1"))
        await board.take("a", 0)
        await board.finish("1", {"status": "complete"})
        await board.forget("1")
        # An actor that Tune started too many for this trial submits it when it comes up.
        await board.submit(job("1"))
        await board.submit(job("2"))
        return await board.take("a", 1)

    assert on_a_board(scenario) == (2, job("2"))


async def at_rung(board, key, number):
    return await board.reach(key, [{"epoch": number - 1}, {"epoch": number}])


def test_a_lane_waits_at_a_rung_for_the_answer_and_the_trial_hears_of_it_at_once():
    async def scenario(board):
        await board.submit(job("1"))
        await board.take("a", 0)
        listening = asyncio.create_task(board.news("1", 0, 3600.0))
        waiting = asyncio.create_task(at_rung(board, "1", 5))
        before = await settled(listening, waiting)
        news = await listening
        await board.answer("1", 5, {"goes_on": False, "why": "ended"})
        answer = await waiting
        return before, news["at_rung"], [e["epoch"] for e in news["epochs"]], answer

    assert on_a_board(scenario) == (
        [True, False], {"epoch": 5}, [4, 5], {"goes_on": False, "why": "ended"}
    )  # fmt: skip


def test_a_rung_is_told_once_and_again_to_an_actor_that_takes_over():
    async def scenario(board):
        await board.submit(job("1"))
        waiting = asyncio.create_task(at_rung(board, "1", 5))
        await settled(waiting)
        first = await board.news("1", 0, 3600.0)
        second = asyncio.create_task(board.news("1", 2, 3600.0))
        quiet = await settled(second)
        second.cancel()
        await board.submit(job("1"))
        third = await board.news("1", 2, 3600.0)
        return first["at_rung"], quiet, third["at_rung"]

    assert on_a_board(scenario) == ({"epoch": 5}, [False], {"epoch": 5})


def test_what_was_answered_is_not_asked_again_after_the_lane_was_lost():
    async def scenario(board):
        await board.submit(job("1"))
        await board.take("a", 0)
        waiting = asyncio.create_task(at_rung(board, "1", 5))
        await settled(waiting)
        await board.answer("1", 5, {"goes_on": True, "why": None})
        first = await waiting
        await board.lost(["a"], Loss("its machine is gone"))
        await board.take("b", 0)
        again = await at_rung(board, "1", 5)
        return first, again, (await board.look("1"))["at_rung"]

    goes_on = {"goes_on": True, "why": None}
    assert on_a_board(scenario) == (goes_on, goes_on, None)


@pytest.mark.parametrize(
    "end",
    [
        lambda board: board.abort("over"),
        lambda board: board.close(),
        lambda board: board.stop("1"),
        lambda board: board.lost(["a"], Loss("its machine is gone")),
        lambda board: board.finish("1", {"status": "stopped"}),
    ],
    ids=["abort", "close", "stop", "lost", "finish"],
)
def test_no_lane_waits_at_a_rung_for_an_answer_that_will_not_come(end):
    async def scenario(board):
        await board.submit(job("1"))
        await board.take("a", 0)
        waiting = asyncio.create_task(at_rung(board, "1", 5))
        await settled(waiting)
        await end(board)
        return await waiting

    assert on_a_board(scenario) == {"goes_on": False, "why": None}


def test_a_job_that_nobody_knows_does_not_go_on_at_a_rung():
    async def scenario(board):
        return await at_rung(board, "gone", 5)

    assert on_a_board(scenario) == {"goes_on": False, "why": None}
