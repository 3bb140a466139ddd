"""Trials that fail in every way beside trials that do not: each fails alone.

The sweep runs under a parent that looks like ``uv run``: left to itself, Ray would then give every
worker an environment of its own.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from finished_sweeps import TWO_LANES, environment, records

pytestmark = pytest.mark.ray

OWN_MODEL = '''
import os
import resource
import signal
import sys
import time
from pathlib import Path

import torch
from torch import nn

HERE = Path(__file__).parent


def used_bytes(which):
    """Of this process: 0 what it has asked for, 1 what it has in memory."""
    return int(Path("/proc/self/statm").read_text().split()[which]) * resource.getpagesize()


def hoard():
    """Take memory until there is none: a limit of this process stands for the machine's."""
    before, held = resource.getrlimit(resource.RLIMIT_AS), []
    resource.setrlimit(resource.RLIMIT_AS, (used_bytes(0) + 2**30, before[1]))
    try:
        while True:
            held.append(torch.ones(2**24))
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
        (HERE / "full").write_text(f"{os.getpid()} {time.time()} {used_bytes(1)}")


class Student(nn.Module):
    """Trains with most units, and dies with some."""

    def __init__(self, num_classes: int, units: int = 8) -> None:
        super().__init__()
        self.units = units
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(64, units), nn.ReLU())
        self.head = nn.Linear(units, num_classes)
        self.num_calls = 0

    def forward(self, images):
        logits = self.head(self.body(images))
        if not (self.training and torch.is_grad_enabled()) or logits.is_meta:
            return logits
        self.num_calls += 1
        written = HERE / str(os.getpid())
        written.write_text(sys.executable)
        written.replace(HERE / "interpreters" / written.name)
        if self.units == 5:
            return logits * float("nan")
        if self.units == 7 and self.num_calls == 15:
            killed = HERE / "killed"
            if not killed.exists():
                killed.write_text(str(os.getpid()))
                os.kill(os.getpid(), signal.SIGKILL)
        used_here = HERE / f"used-{os.getpid()}"
        used_here.write_text(f"{time.time()} {used_bytes(1)}")
        if self.units == 11:
            hoard()
        if self.units == 19:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.units == 13:
            raise RuntimeError("thirteen units bring bad luck")
        return logits
'''
SWEEP = """
name: odd
trial:
  data: {name: digits}
  student: {name: "odd_models:Student", units: 8}
  strategy: {name: none}
  train: {epochs: 3, lr: 1.0e-2}
space:
  student.units: {choice: [4, 5, 7, 10, 11, 13, 16, 19]}
search: {sampler: grid, trials: 8}
tracking: {enabled: false}
"""
# A shell script by the name of "run": its process is called "uv", its first argument is "run".
AS_UV_DOES = '"$PYTHON" -m kdsweep run odd.yaml\nexit $?\n'


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    home = tmp_path_factory.mktemp("odd")
    (home / "interpreters").mkdir()
    (home / "odd_models.py").write_text(OWN_MODEL)
    (home / "odd.yaml").write_text(SWEEP + TWO_LANES.replace("}", ", max_failures: 1}"))
    (home / "run").write_text(AS_UV_DOES)
    done = subprocess.run(
        ["uv", "run"],
        executable="/bin/sh",
        cwd=home,
        env=environment(PYTHON=sys.executable, PYTHONPATH=home),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    return done, home


@pytest.fixture(scope="module")
def by_units(ended):
    _, home = ended
    _, trials, _ = records(home / "runs" / "odd")
    assert [t.number for t in trials] == list(range(9))
    return {t.trial["student"]["units"]: t for t in trials if t.role == "trial"}


def test_a_sweep_with_failed_trials_ends_well(ended, by_units):
    done, home = ended
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    meta, trials, _ = records(home / "runs" / "odd")
    assert meta.status == "complete"
    assert [t.status for t in trials].count("failed") == 4
    assert "odd: the front" in done.stdout


def test_a_model_that_raises_fails_alone_and_says_why(ended, by_units):
    trial = by_units[13]
    assert trial.status == "failed"
    assert "thirteen units bring bad luck" in trial.error
    assert trial.weights is None
    done, _ = ended
    (line,) = [
        each for each in done.stdout.splitlines() if "] failed" in each and "thirteen" in each
    ]
    assert "thirteen units bring bad luck" in line


def test_a_loss_that_is_not_a_number_fails_the_trial(by_units):
    trial = by_units[5]
    assert trial.status == "failed"
    assert trial.error.startswith("epoch 1: the training loss is not finite (term hard: nan)")


def test_no_memory_fails_the_trial_with_its_batch_size_and_student(by_units):
    trial = by_units[11]
    assert trial.status == "failed"
    said = "out of memory with student odd_models:Student and batch size 128: "
    assert trial.error.startswith(said)


def test_its_lane_goes_on_to_other_trials_and_has_its_memory_back(ended):
    _, home = ended
    pid, full_at, most = (home / "full").read_text().split()
    trained_at, used = (home / f"used-{pid}").read_text().split()
    assert float(trained_at) > float(full_at)
    assert int(used) < int(most) - 2**29


def test_a_worker_that_was_killed_costs_no_trial(ended, by_units):
    _, home = ended
    killed = (home / "killed").read_text()
    trial = by_units[7]
    assert trial.status == "complete"
    assert [epoch.epoch for epoch in trial.epochs] == [1, 2, 3]
    assert {path.name for path in (home / "interpreters").iterdir()} > {killed}


def test_a_trial_that_kills_its_workers_is_given_up_with_ray_s_words_and_their_log(by_units):
    trial = by_units[19]
    assert trial.status == "failed"
    given_up = re.fullmatch(
        r"given up after 2 failures: its worker died with student odd_models:Student and batch "
        r"size 128 \(its log: 127\.0\.0\.1:(/\S+\.err)\)",
        trial.error,
    )
    assert given_up is not None, trial.error
    assert Path(given_up[1]).exists()
    assert "The actor died" in trial.traceback or "unavailable" in trial.traceback
    assert len(trial.interruptions) == 2


def test_the_others_are_complete(by_units):
    assert {units: by_units[units].status for units in (4, 10, 16)} == {
        4: "complete", 10: "complete", 16: "complete",
    }  # fmt: skip
    for units in (4, 7, 10, 16):
        # 64 pixels to the units and these to ten classes, with biases.
        assert by_units[units].metrics["params"] == 65 * units + (units + 1) * 10


def test_lanes_run_in_the_interpreter_of_the_driver_also_under_uv(ended):
    _, home = ended
    found = {path.read_text() for path in (home / "interpreters").iterdir()}
    assert found == {sys.executable}
