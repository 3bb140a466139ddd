"""Workers, Tune's actors and nodes that are killed in the middle of a sweep."""

import os
import signal
import subprocess
import uuid
from pathlib import Path

import pytest
from finished_sweeps import (
    TWO_LANES,
    as_json,
    begun,
    finished,
    kdsweep,
    processes,
    records,
    until,
)
from ray_nodes import ray_nodes

from kdsweep.results.store import RunStore
from kdsweep.sweep_file.plan import this_machine

pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads /proc"),
    pytest.mark.skipif(this_machine().cpus < 2, reason="needs two lanes"),
]

SWEEP = """
name: long
trial:
  data: {name: digits}
  student: {name: cnn, width: 4, stages: 2, hidden: 12, dropout: 0.2}
  strategy: {name: none}
  train: {epochs: 60, batch_size: 64}
space:
  student.width: {int: [2, 8]}
  train.lr: {loguniform: [1.0e-3, 3.0e-2]}
search: {sampler: random, trials: 5, seed: 1, rungs: null}
storage: {checkpoint_every_s: 0}
"""
PLANNED = 6
WORKER, LISTENER = "RayTrainWorker", "ResourceTrainable"


class Sweep:
    """A sweep that runs in the background; ``run`` is its directory."""

    def __init__(self, home, *arguments, runs=None, **more):
        (home / "long.yaml").write_text(SWEEP + TWO_LANES)
        self.mark = f"KDSWEEP_TEST_MARK={uuid.uuid4().hex}"
        name, _, value = self.mark.partition("=")
        self.run = (runs or home / "runs") / "long"
        self.home = home
        self.process = begun("run", "long.yaml", *arguments, cwd=home, **{name: value, **more})

    def reported(self, epoch=1):
        """Ids of trials that have a checkpoint of ``epoch`` or later, and have not ended."""
        if not (self.run / "run.json").exists():
            return []
        running = {r.trial_id for r in RunStore.open(self.run).read() if r.status == "running"}
        return sorted(
            path.parent.parent.name
            for path in self.run.glob("trials/*/checkpoints/*.safetensors")
            if int(path.name[:5]) >= epoch and path.parent.parent.name in running
        )

    def both_train(self):
        return until(lambda: len(set(self.reported(2))) == 2 or self.ended(), seconds=180)

    def ended(self):
        return self.process.poll() is not None

    def finish(self):
        out, err = self.process.communicate(timeout=180)
        return subprocess.CompletedProcess(self.process.args, self.process.returncode, out, err)


def assert_all_complete(run):
    """And no trial is missing, twice there, or without one of its epochs."""
    meta, trials, _ = records(run)
    assert meta.status == "complete"
    assert [(t.number, t.status, t.error) for t in trials] == [
        (number, "complete", None) for number in range(PLANNED)
    ]
    assert all([e.epoch for e in t.epochs] == list(range(1, 61)) for t in trials)
    assert list(run.glob("trials/*/checkpoints")) == []
    assert meta.student_epochs == 60 * PLANNED
    return trials


def assert_as_if_nothing_had_happened(run, trial):
    """The same trial in one process, to its end, has the same numbers."""
    path = run / "trials" / trial.trial_id / "trial.yaml"
    alone = as_json(finished(kdsweep("trial", path, "--json", cwd=run.parent)))
    assert alone["metrics"]["accuracy"] == trial.metrics["accuracy"]
    assert alone["metrics"]["loss"] == trial.metrics["loss"]


@pytest.fixture(scope="module")
def after_kills(tmp_path_factory):
    """A worker is killed, then one of Tune's actors; the workers before and after the first."""
    sweep = Sweep(tmp_path_factory.mktemp("kills"))
    try:
        sweep.both_train()
        workers = processes(sweep.mark, WORKER)
        os.kill(workers[0], signal.SIGKILL)
        for num in (1, 2):
            until(lambda num=num: len(processes(sweep.mark, WORKER)) == num or sweep.ended())
        after = processes(sweep.mark, WORKER)
        os.kill(processes(sweep.mark, LISTENER)[0], signal.SIGKILL)
        done = sweep.finish()
    finally:
        sweep.process.kill()
    return sweep, done, workers, after


def test_a_sweep_whose_worker_and_listener_were_killed_is_complete(after_kills):
    sweep, done, _, _ = after_kills
    finished(done)
    assert_all_complete(sweep.run)


def test_the_trial_of_a_killed_worker_goes_on_from_its_checkpoint_and_it_is_told(after_kills):
    sweep, done, _, _ = after_kills
    (hit,) = [t for t in records(sweep.run)[1] if t.interruptions]
    (how,) = hit.interruptions
    assert how.endswith(": its worker died")
    lost = [line for line in done.stdout.splitlines() if "was lost (its worker died)" in line]
    went_on = [line for line in done.stdout.splitlines() if "goes on after epoch" in line]
    assert len(lost) == len(went_on) == 1
    assert f"trial {hit.trial_id} goes on elsewhere" in lost[0]
    assert f"trial {hit.trial_id} goes on after epoch " in went_on[0]
    assert int(went_on[0].partition("after epoch ")[2].partition(",")[0]) >= 2
    assert_as_if_nothing_had_happened(sweep.run, hit)


def test_the_other_lane_is_undisturbed(after_kills):
    _, _, before, after = after_kills
    assert len(before) == len(after) == 2
    assert set(before[1:]) <= set(after)
    assert before[0] not in after


@pytest.fixture(scope="module")
def after_a_lost_node(tmp_path_factory):
    """A sweep on two nodes, of which the one without the driver is taken away."""
    shared, home = tmp_path_factory.mktemp("shared"), tmp_path_factory.mktemp("home")
    with ray_nodes(1, 1) as cluster:
        arguments = ("--address", cluster.address, "--runs-dir", shared / "runs")
        sweep = Sweep(home, *arguments, runs=shared / "runs", **cluster.driver)
        try:
            sweep.both_train()
            cluster.nodes[1].kill()
            done = sweep.finish()
        finally:
            sweep.process.kill()
    return sweep, done


def test_a_sweep_that_lost_a_node_ends_with_the_lanes_that_are_left(after_a_lost_node):
    sweep, done = after_a_lost_node
    finished(done)
    trials = assert_all_complete(sweep.run)
    (hit,) = [t for t in trials if t.interruptions]
    assert hit.interruptions[0].endswith(": its node is gone")
    assert f"trial {hit.trial_id} goes on after epoch " in done.stdout
    assert_as_if_nothing_had_happened(sweep.run, hit)
