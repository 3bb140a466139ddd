"""A sweep that somebody drives, seen from other terminals: who, how far, what it says; stop it."""

import json
import platform
import subprocess
import time

import pytest
from finished_sweeps import (
    TWO_LANES,
    as_json,
    begun,
    finished,
    kdsweep,
    records,
    until,
)  # fmt: skip

pytestmark = pytest.mark.ray

SWEEP = """
name: driven
trial:
  data: {name: digits}
  student: {name: cnn, width: 4, stages: 2, hidden: 12}
  strategy: {name: none}
  train: {epochs: 40, batch_size: 64}
space:
  student.width: {int: [2, 8]}
  train.lr: {loguniform: [1.0e-3, 3.0e-2]}
search: {sampler: random, trials: 60, seed: 1, budget: {hours: 3}}
tracking: {enabled: false}
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """What the other commands said while the sweep ran, what it said itself, and where it is."""
    home = tmp_path_factory.mktemp("driven")
    (home / "driven.yaml").write_text(SWEEP + TWO_LANES)
    process = begun("run", "driven.yaml", cwd=home)
    run = home / "runs" / "driven"
    said = {}
    try:
        until(lambda: complete(run) >= 1 or process.poll() is not None)
        for name, arguments in {
            "again": ("run", "driven.yaml"),
            "resume": ("resume", "runs/driven"),
            "status": ("status", "runs/driven"),
            "status --json": ("status", "runs/driven", "--json"),
            "all": ("status",),
            "trial": ("logs", "runs/driven", "--trial", "00000"),
            "stop": ("stop", "runs/driven"),
        }.items():
            said[name] = kdsweep(*arguments, cwd=home)
        began = time.monotonic()
        out, err = process.communicate(timeout=60)
        said["run"] = subprocess.CompletedProcess(process.args, process.returncode, out, err)
        said["ended after"] = time.monotonic() - began
    finally:
        process.kill()
    return home, process.pid, said


def complete(run):
    if not (run / "run.json").exists():
        return 0
    return sum(trial.status == "complete" for trial in records(run)[1])


@pytest.mark.parametrize("again", ["again", "resume"])
def test_a_second_process_is_told_who_drives_the_run(seen, again):
    _, pid, said = seen
    assert (said[again].returncode, said[again].stdout) == (2, "")
    assert said[again].stderr.startswith(
        f"error: runs/driven: is being worked on by kdsweep on {platform.node()}, process {pid}, "
        "since 20"
    )
    assert said[again].stderr.endswith(
        "; wait for it, or stop it with `kdsweep stop runs/driven`\n"
    )


def test_status_says_who_drives_it_and_how_far_it_is(seen):
    _, pid, said = seen
    told = as_json(said["status --json"])
    assert told["status"] == "running"
    assert (told["driver"]["host"], told["driver"]["pid"]) == (platform.node(), pid)
    assert told["planned"] == 61
    assert 1 <= told["complete"] < 61
    assert told["front_size"] >= 1
    assert told["budget"] == {"hours": 3}
    assert 1 <= len(told["trials_running"]) <= 3
    assert all(trial["epochs"] == 40 for trial in told["trials_running"])
    text = finished(said["status"]).stdout
    assert text.startswith("runs/driven: running\n")
    assert f"  driver    kdsweep on {platform.node()}, process {pid}, since 20" in text
    assert " of 61 complete" in text
    assert "\n  budget    hours 3\n" in text
    assert "\n  running   0" in text
    assert finished(said["all"]).stdout.startswith("runs/driven: running\n")


def test_logs_of_a_trial_are_its_epochs(seen):
    home, _, said = seen
    lines = finished(said["trial"]).stdout.splitlines()
    assert lines[0].startswith("00000 ")
    assert [line.split(":")[0] for line in lines if line.startswith("epoch")] == [
        f"epoch {number}" for number in range(1, 41)
    ]
    assert lines[-1] == "complete"
    assert finished(kdsweep("logs", "runs/driven", "--trial", "0", cwd=home)).stdout == (
        said["trial"].stdout
    )
    refused = kdsweep("logs", "runs/driven", "--trial", "99", cwd=home)
    last = records(home / "runs" / "driven")[1][-1].trial_id
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == (
        f"error: runs/driven: has no trial '99' (have: {int(last) + 1} of them, 00000 to {last})\n"
    )


def test_stop_ends_it_as_ctrl_c_does_and_waits_for_that(seen):
    home, pid, said = seen
    asked, ended = finished(said["stop"]).stdout.splitlines()
    assert asked.startswith(f"runs/driven: asked kdsweep on {platform.node()}, process {pid}, ")
    assert ended == "runs/driven: stopped; `kdsweep resume runs/driven` goes on"
    # What is left is to leave Ray.
    assert said["ended after"] < 30
    assert said["run"].returncode == 130
    assert "stopping: somebody asked for it" in said["run"].stdout
    assert said["run"].stderr == "stopped; `kdsweep resume runs/driven` goes on\n"
    meta, trials, _ = records(home / "runs" / "driven")
    assert meta.status == "stopped"
    assert {trial.status for trial in trials} == {"complete", "stopped"}
    left = {path.name for path in (home / "runs" / "driven").iterdir()}
    assert left.isdisjoint({"driver.json", "stop.json"})


def test_there_is_nothing_more_to_stop(seen):
    home = seen[0]
    refused = kdsweep("stop", "runs/driven", cwd=home)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == (
        "error: runs/driven: nobody drives it, so there is nothing to stop: it is stopped\n"
    )
    assert json.loads(kdsweep("status", "runs/driven", "--json", cwd=home).stdout)["driver"] is None


def test_logs_are_what_ray_and_tune_said(seen):
    home = seen[0]
    log = (home / "runs" / "driven" / "logs" / "driver.log").read_text()
    for more in ((), ("--follow",)):
        assert finished(kdsweep("logs", "runs/driven", *more, cwd=home)).stdout == log
