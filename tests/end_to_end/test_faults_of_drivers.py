"""The driver of a sweep is killed at twenty random moments; ``resume`` goes on each time."""

import os
import random
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
from finished_sweeps import TWO_LANES, command, environment, finished, kdsweep, records, until
from mlflow import MlflowClient

from kdsweep.results.record import ENDED
from kdsweep.results.store import RunStore
from kdsweep.tracking.where import default_uri

pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads /proc"),
]

EPOCHS = 50
SWEEP = f"""
name: killed
trial:
  data: {{name: digits}}
  teacher: {{model: {{name: cnn, width: 8, stages: 2}}, train: {{epochs: 30, lr: 3.0e-3}}}}
  student: {{name: cnn, width: 4, stages: 2, hidden: 12}}
  strategy: {{name: kd, temperature: 2.0, alpha: 0.5}}
  train: {{epochs: {EPOCHS}, batch_size: 64}}
space:
  student.width: {{int: [2, 8]}}
  train.lr: {{loguniform: [1.0e-3, 3.0e-2]}}
search: {{sampler: tpe, trials: 8, seed: 1, rungs: null}}
storage: {{checkpoint_every_s: 0}}
"""
PLANNED = 10
KILLS = 20
LATEST_S, LATEST_TRAINING_S = 12.0, 3.0
"""After its start, and after its first epoch."""


class Killed:
    """What was seen of a run whose drivers were killed."""

    def __init__(self, home: Path) -> None:
        self.home, self.run = home, home / "runs" / "killed"
        self.num_kills = 0
        self.ended: dict[str, bytes] = {}
        self.rewritten: list[str] = []

    def look(self) -> None:
        """A record of a trial that has ended must never change again."""
        if not (self.run / "run.json").exists():
            return
        for result in RunStore.open(self.run).read():
            if result.role == "teacher" or result.status not in ENDED:
                continue
            path = self.run / "trials" / result.trial_id / "result.json"
            before = self.ended.setdefault(result.trial_id, path.read_bytes())
            if path.read_bytes() != before:
                self.rewritten.append(result.trial_id)

    @property
    def added(self) -> int:
        """Trials that were added; an ``extend`` that was killed before it began has added none."""
        return int(RunStore.open(self.run).meta.extended.get("trials", 0))

    def epochs(self) -> set[Path]:
        """What stands for the epochs that trials and the teacher have come to."""
        return set((self.home / "runs").rglob("checkpoints/*.safetensors"))

    def drive(self, after_s: float, *, trains: bool) -> None:
        """Start whatever goes on with the run, and kill it unless it ends before that.

        After it was started, or, with ``trains``, after its first new epoch.
        """
        if not (self.run / "run.json").exists():
            arguments = ["run", "killed.yaml"]
        elif RunStore.open(self.run).meta.status == "complete":
            arguments = ["extend", "runs/killed", "--trials", "2"]
        else:
            arguments = ["resume", "runs/killed"]
        with (self.home / "log").open("ab") as log:
            process = subprocess.Popen(
                command(*arguments),
                cwd=self.home,
                env=environment(),
                stdout=log,
                stderr=log,
            )
            before = self.epochs()
            try:
                if trains:
                    until(lambda: self.epochs() != before or process.poll() is not None)
                code = process.wait(after_s)
                assert code == 0, (self.home / "log").read_text()
            except subprocess.TimeoutExpired:
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
                self.num_kills += 1
        self.look()


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A run that was finished after all, and what was seen on the way."""
    home = tmp_path_factory.mktemp("killed")
    (home / "killed.yaml").write_text(SWEEP + TWO_LANES)
    seen, moments = Killed(home), random.Random(5)
    began = time.monotonic()
    while seen.num_kills < KILLS:
        assert time.monotonic() - began < 1500
        trains = seen.num_kills % 2 == 1
        seen.drive(moments.uniform(0.0, LATEST_TRAINING_S if trains else LATEST_S), trains=trains)
    # Killed for the last time as it told MLflow of the end, or before it began to add to it.
    is_complete = RunStore.open(seen.run).meta.status == "complete"
    finished(kdsweep("sync" if is_complete else "resume", "runs/killed", cwd=home))
    seen.look()
    return seen


def test_every_trial_is_there_once_and_whole(killed):
    meta, trials, teachers = records(killed.run)
    assert meta.status == "complete"
    assert [t.number for t in trials] == list(range(PLANNED + killed.added))
    assert {t.status for t in trials} == {"complete"}
    assert all([e.epoch for e in t.epochs] == list(range(1, EPOCHS + 1)) for t in trials)
    assert Counter(t.role for t in trials) == {"control": 2, "trial": 8 + killed.added}
    assert len(teachers) == 1
    assert (
        len({tuple(sorted(t.params.items())) for t in trials if t.role == "trial"})
        == len(trials) - 2
    )


def test_what_had_ended_was_never_run_again(killed):
    assert killed.num_kills == KILLS
    assert killed.rewritten == []


def test_no_checkpoint_and_no_half_written_file_is_left(killed):
    left = [path for path in killed.run.rglob("*") if path.name.endswith(".new")]
    left += list(killed.run.rglob("checkpoints"))
    left += list((killed.home / "runs" / "teachers").rglob("checkpoints"))
    assert left == []


def test_mlflow_has_one_run_for_each(killed):
    meta, trials, teachers = records(killed.run)
    uri = default_uri(killed.home / "runs")
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    parents = [
        run
        for experiment in client.search_experiments()
        for run in client.search_runs([experiment.experiment_id], "tags.role = 'sweep'")
    ]
    (parent,) = parents
    assert parent.info.run_id == meta.mlflow_run_id
    assert parent.info.status == "FINISHED"
    query = f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"
    children = client.search_runs([parent.info.experiment_id], query)
    ids = [child.data.tags["kdsweep.trial_id"] for child in children]
    assert sorted(ids) == sorted(t.trial_id for t in (*trials, *teachers))
    assert {child.info.status for child in children} == {"FINISHED"}
    for child in children:
        steps = [p.step for p in client.get_metric_history(child.info.run_id, "accuracy")]
        assert sorted(steps) == sorted(set(steps))
