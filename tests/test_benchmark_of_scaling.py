"""The trials that sleep in benchmarks/scaling.py, and how the calls of their switchboard count."""

import asyncio
import sys
from importlib import import_module
from pathlib import Path

import pytest

from kdsweep.sweep_file import load, resolved

FOLDER = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture(scope="module", autouse=True)
def _from_the_folder_of_the_scripts():
    sys.path.insert(0, str(FOLDER))
    yield
    sys.path.remove(str(FOLDER))


@pytest.fixture
def asleep():
    return import_module("asleep")


@pytest.fixture(scope="module")
def trial():
    return resolved(load(FOLDER.parent / "search_spaces" / "digits.yaml").spec.trial)


def test_a_trial_that_sleeps_reports_every_epoch_and_is_complete(asleep, trial):
    from kdsweep.results.record import EpochMetrics

    seen = []
    job = {"key": "1", "trial": trial, "sleep_s": 0.0}
    outcome = asleep.sleep(job, lambda epoch: seen.append(epoch) or True)
    assert [EpochMetrics(**epoch).epoch for epoch in seen] == list(range(1, 21))
    assert outcome["status"] == "complete"
    assert outcome["metrics"]["accuracy"] == seen[-1]["accuracy"] > seen[0]["accuracy"]


def test_a_trial_that_is_told_to_stop_has_stopped(asleep, trial):
    job = {"key": "1", "trial": trial, "sleep_s": 0.0}
    assert asleep.sleep(job, lambda epoch: epoch["epoch"] < 3)["status"] == "stopped"


def test_a_call_counts_once_whatever_it_calls(asleep):
    async def scenario():
        board = asleep.Counting()
        job = {"key": "1", "kind": "trial"}
        await board.submit(job)
        await board.take("a", 0)
        waiting = asyncio.create_task(board.finish_and_take("1", {"status": "x"}, [], "a", 1))
        await asyncio.create_task(board.submit({**job, "key": "2"}, "1"))
        await waiting
        return await board.calls()

    found = asyncio.run(scenario())
    assert found == {"submit": 2, "take": 1, "finish_and_take": 1}


def test_the_window_by_hand():
    scaling = import_module("scaling")
    # Two lanes, 40 trials, one end each half second: ten milliseconds of the driver, later twenty.
    notes = scaling.Notes(trials=40, lanes=2)
    driver = [0.010 * n if n <= 20 else 0.2 + 0.020 * (n - 20) for n in range(1, 41)]
    notes.ends = [(0.5 * n, driver[n - 1]) for n in range(1, 41)]

    def totals(n, **more):
        return {"at": 0.5 * n, "driver": driver[n - 1], "reports": 2 * n, **more}

    notes.at_start = totals(4, all=1.0, calls={"take": 4}, threads={"MainThread": 0.04})
    notes.at_end = totals(38, all=2.7, calls={"take": 38, "look": 17}, threads={"MainThread": 0.38})
    found = notes.measured(sleep_s=1.0)
    assert found["over_ideal"] == pytest.approx(1.0)
    assert found["trials_per_s"] == pytest.approx(2.0)
    assert found["driver_ms"] == pytest.approx(1000 * (0.56 - 0.04) / 34)
    assert found["driver_ms_per_report"] == pytest.approx(found["driver_ms"] / 2)
    assert found["others_ms"] == pytest.approx(1000 * (1.7 - 0.52) / 34)
    assert (found["first_ms"], found["last_ms"]) == pytest.approx((10.0, 20.0))
    assert found["calls"] == {"take": 1.0, "look": 0.5}
    assert found["threads_ms"] == {"MainThread": 10.0}
