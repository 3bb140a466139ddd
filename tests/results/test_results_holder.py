"""Who drives a run: on this machine, on another, and when it is taken to be dead."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kdsweep.errors import ResultError
from kdsweep.results import holder as holder_module
from kdsweep.results.holder import (
    BEAT_EVERY_S,
    DEAD_AFTER_S,
    HOLDER_FILE,
    Heart,
    Holder,
    held,
    living_holder,
    read_holder,
    refusal,
    refuse_if_held,
)  # fmt: skip
from kdsweep.results.processes import began

ELSEWHERE = Holder(host="far", boot="b", pid=4711, since=1_790_000_000.0, token="t")


@pytest.fixture
def run(tmp_path):
    directory = tmp_path / "digits"
    directory.mkdir()
    return directory


def drives(directory, holder, *, seconds_ago=0.0):
    path = directory / HOLDER_FILE
    path.write_text(holder.model_dump_json())
    then = time.time() - seconds_ago
    os.utime(path, (then, then))


def test_the_heart_beats_often_enough_to_be_alive():
    assert BEAT_EVERY_S < DEAD_AFTER_S / 3


def test_a_driver_says_who_it_is_and_takes_that_away(run, monkeypatch):
    job = {"metadata": {"job_submission_id": "kdsweep-1"}, "runtime_env": {}}
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", json.dumps(job))
    with held(run):
        found = living_holder(run)
        assert found.pid == os.getpid()
        assert found.is_here
        assert found.job == "kdsweep-1"
        assert found.words.startswith(f"kdsweep on {found.host}, process {os.getpid()}, since 20")
        assert found.words.endswith(" (Ray job kdsweep-1)")
    assert not (run / HOLDER_FILE).exists()
    assert living_holder(run) is None


def test_a_second_driver_is_told_who_the_first_one_is(run):
    with held(run):
        with pytest.raises(ResultError) as refused, held(run):
            pytest.fail("two drivers at once")
        with pytest.raises(ResultError) as asked:
            refuse_if_held(run)
        first = living_holder(run)
    assert (
        str(refused.value)
        == str(asked.value)
        == (
            f"{run}: is being worked on by {first.words}; wait for it, or stop it with "
            f"`kdsweep stop {run}`"
        )
    )


@pytest.mark.parametrize("seconds_ago", [0.0, 40.0])
def test_a_machine_whose_heart_beats_keeps_its_run(run, seconds_ago):
    drives(run, ELSEWHERE, seconds_ago=seconds_ago)
    with pytest.raises(ResultError) as refused, held(run):
        pytest.fail("taken from the living")
    said = str(refused.value)
    assert f"is being worked on by kdsweep on far, process 4711, since {years(ELSEWHERE)}" in said
    assert f"(it gave a sign of life {seconds_ago:.0f} s ago; after 60 s without one" in said
    assert read_holder(run) == ELSEWHERE


def years(holder):
    return time.strftime("%Y-%m-%d", time.localtime(holder.since))


def test_a_machine_that_is_silent_for_a_minute_loses_its_run(run):
    drives(run, ELSEWHERE, seconds_ago=DEAD_AFTER_S + 1)
    assert living_holder(run) is None
    refuse_if_held(run)
    with held(run):
        assert read_holder(run).pid == os.getpid()
    assert list(run.glob(f".{HOLDER_FILE}*")) == []


def test_a_process_of_this_machine_that_is_gone_is_dead_at_once(run):
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    of_child = Holder.this_process().model_copy(
        update={"pid": child.pid, "pid_began": began(child.pid)}
    )
    drives(run, of_child)
    assert living_holder(run) == of_child
    child.kill()
    # Before anybody has asked how it ended, which is when its number is free again.
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert living_holder(run) is None
    child.wait()
    assert living_holder(run) is None
    with held(run):
        assert read_holder(run).pid == os.getpid()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only there it is known")
def test_another_process_of_the_same_number_is_not_the_driver(run):
    drives(run, Holder.this_process().model_copy(update={"pid_began": "1"}))
    assert living_holder(run) is None


def test_where_there_are_no_locks_the_file_alone_decides(run):
    first, second = Heart(run), Heart(run)
    first.start(lock_holds=False)
    with pytest.raises(ResultError, match="is being worked on by kdsweep on"):
        second.start(lock_holds=False)
    first.stop()
    second.start(lock_holds=False)
    second.stop()
    assert not (run / HOLDER_FILE).exists()


def test_the_heart_renews_the_time_and_notices_who_took_the_run(run, monkeypatch):
    monkeypatch.setattr(holder_module, "BEAT_EVERY_S", 0.02)
    path = run / HOLDER_FILE
    with held(run) as heart:
        os.utime(path, (1.0, 1.0))
        until(lambda: path.stat().st_mtime > time.time() - 30)
        assert heart.lost_to is None
        drives(run, ELSEWHERE)
        until(lambda: heart.lost_to == ELSEWHERE)
    # What is another's stays.
    assert read_holder(run) == ELSEWHERE


def until(is_so):
    end = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.005)


@pytest.mark.parametrize("text", ["", "{", '{"host": 1}', "[]"])
def test_a_file_that_is_no_holder_is_replaced(run, text):
    (run / HOLDER_FILE).write_text(text)
    assert living_holder(run) is None
    with held(run):
        assert read_holder(run).pid == os.getpid()


def test_a_faster_one_keeps_what_it_took(run):
    """Two find a dead driver; the second sets aside what the first has just written."""
    drives(run, ELSEWHERE)
    slow = Heart(run)
    with pytest.raises(ResultError, match="by kdsweep on far, process 4711"):
        slow._take(ELSEWHERE.model_copy(update={"token": "of the dead"}))
    assert read_holder(run) == ELSEWHERE


def test_who_may_only_read_is_told_too(run):
    assert refusal(run, None) == (
        "is being worked on by another kdsweep process; wait for it or stop it first"
    )
