"""SIGTERM and Ctrl-C in the middle of a sweep, and ``resume``."""

import os
import signal
import time
import uuid
from contextlib import suppress
from pathlib import Path

import pytest
from finished_sweeps import (
    TWO_LANES,
    begun,
    finished,
    kdsweep,
    marked,
    records,
    until,
)
from mlflow import MlflowClient

from kdsweep.results.holder import living_holder
from kdsweep.tracking.where import default_uri

pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads /proc"),
]

SWEEP = """
name: long
trial:
  data: {name: digits}
  student: {name: cnn, width: 4, stages: 2, hidden: 12}
  strategy: {name: none}
  train: {epochs: 40, batch_size: 64}
space:
  student.width: {int: [2, 8]}
  train.lr: {loguniform: [1.0e-3, 3.0e-2]}
search: {sampler: random, trials: 8, seed: 1}
"""
PLANNED = 9
LEFT_WITHIN_S = 150.0
"""Ray's agents look now and then whether their node is still there."""


def statuses(run):
    return [trial.status for trial in records(run)[1]] if (run / "run.json").exists() else []


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """Home, what the command said, its exit code, its mark, and the records after it."""
    home = tmp_path_factory.mktemp("long")
    (home / "long.yaml").write_text(SWEEP + TWO_LANES)
    mark = f"KDSWEEP_TEST_MARK={uuid.uuid4().hex}"
    name, _, value = mark.partition("=")
    process = begun("run", "long.yaml", cwd=home, **{name: value})
    run = home / "runs" / "long"
    try:
        until(lambda: statuses(run).count("complete") >= 2 or process.poll() is not None)
        # As systemd and Slurm do: to everything, Ray's processes in their own sessions as well.
        for pid in marked(mark):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    return home, out, err, process.returncode, mark, records(run)


def test_it_ends_with_the_exit_code_of_an_interrupt(interrupted):
    _, out, err, code, _, _ = interrupted
    assert code == 130, f"{out}\n{err}"
    assert err == "stopped; `kdsweep resume runs/long` goes on\n"


def test_running_trials_are_recorded_as_stopped(interrupted):
    meta, trials, _ = interrupted[5]
    found = [trial.status for trial in trials]
    assert meta.status == "stopped"
    assert set(found) == {"complete", "stopped"}
    assert 2 <= found.count("complete") < PLANNED
    assert all(t.error == "the sweep was stopped" for t in trials if t.status == "stopped")


def test_the_front_so_far_is_written_and_printed(interrupted):
    home, out, _, _, _, (_, trials, _) = interrupted
    assert "long: the front" in out
    table = (home / "runs" / "long" / "front.csv").read_text().splitlines()[1:]
    on_front = {line.split(",")[1] for line in table}
    complete = {trial.trial_id for trial in trials if trial.status == "complete"}
    assert on_front
    assert on_front <= complete
    assert all(trial_id in out for trial_id in on_front)


def test_no_process_is_left_behind(interrupted):
    mark = interrupted[4]
    until(lambda: marked(mark) == [], seconds=LEFT_WITHIN_S)


def test_resume_finishes_what_was_planned_and_keeps_what_was_done(interrupted):
    home, *_, (_, before, _) = interrupted
    run = home / "runs" / "long"
    kept = {
        t.trial_id: (run / "trials" / t.trial_id / "result.json").read_bytes()
        for t in before
        if t.status == "complete"
    }
    done = finished(kdsweep("resume", "runs/long", cwd=home))
    assert done.stderr == ""
    meta, trials, _ = records(run)
    assert meta.status == "complete"
    assert [t.number for t in trials] == list(range(PLANNED))
    assert {t.status for t in trials} == {"complete"}
    assert [t.role for t in trials].count("control") == 1
    for trial_id, record in kept.items():
        assert (run / "trials" / trial_id / "result.json").read_bytes() == record
    # What was cut short ran again as it was.
    again = {t.trial_id: t for t in trials}
    for cut in (t for t in before if t.status == "stopped"):
        assert again[cut.trial_id].trial == cut.trial
        assert again[cut.trial_id].changes == cut.changes
    rates = [t.trial["train"]["lr"] for t in trials if t.role == "trial"]
    assert len(set(rates)) == len(rates)
    check_mlflow(home, meta, trials)


def check_mlflow(home, meta, trials):
    """One run for each trial, also for those that ran twice, each with the settings it ran with."""
    uri = default_uri(home / "runs")
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    parent = client.get_run(meta.mlflow_run_id)
    assert parent.info.status == "FINISHED"
    query = f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"
    children = client.search_runs([parent.info.experiment_id], query)
    assert len(children) == PLANNED
    by_id = {child.data.tags["kdsweep.trial_id"]: child for child in children}
    for trial in trials:
        child = by_id[trial.trial_id]
        assert child.info.status == "FINISHED"
        assert float(child.data.params["train.lr"]) == trial.trial["train"]["lr"]
        assert child.data.metrics["accuracy"] == trial.metrics["accuracy"]
        steps = {p.step for p in client.get_metric_history(child.info.run_id, "accuracy")}
        assert steps == set(range(1, 41))


def test_the_second_ctrl_c_ends_it_at_once_and_it_goes_on_later(tmp_path):
    (tmp_path / "long.yaml").write_text(SWEEP + TWO_LANES + "tracking: {enabled: false}\n")
    mark = uuid.uuid4().hex
    process = begun("run", "long.yaml", cwd=tmp_path, KDSWEEP_TEST_MARK=mark)
    run = tmp_path / "runs" / "long"
    try:
        until(lambda: statuses(run).count("complete") >= 1 or process.poll() is not None)
        # As a terminal does: to everything in the foreground. Two that come while Python is in
        # somebody's C++ are one.
        while process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
            time.sleep(0.7)
        out, err = process.communicate()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 130, out + err
    assert "stopped at once" in out + err
    assert "long: the front" not in out
    until(lambda: marked(mark) == [], seconds=LEFT_WITHIN_S)
    finished(kdsweep("resume", "runs/long", cwd=tmp_path))
    meta, trials, _ = records(run)
    assert (meta.status, {t.status for t in trials}) == ("complete", {"complete"})
    assert len(trials) == PLANNED


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_while_ray_starts_it_ends_at_once_and_nothing_is_written(tmp_path, number):
    (tmp_path / "long.yaml").write_text(SWEEP + TWO_LANES + "tracking: {enabled: false}\n")
    mark = uuid.uuid4().hex
    process = begun("run", "long.yaml", cwd=tmp_path, PYTHONUNBUFFERED=1, KDSWEEP_TEST_MARK=mark)
    try:
        while process.stdout.readline().strip() != "starting Ray":
            assert process.poll() is None
        until(lambda: len(marked(mark)) > 1)
        # Who looks, or wants to be its driver too, sees that it has one.
        assert living_holder(tmp_path / "runs" / "long").pid == process.pid
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert (process.returncode, err) == (130, "")
    assert out == "stopped before it began: nothing was written\n"
    assert not (tmp_path / "runs").exists()
    until(lambda: marked(mark) == [], seconds=LEFT_WITHIN_S)
