"""``extend`` after a sweep's end; and a teacher that became another meanwhile."""

import hashlib

import pytest
import torch
from finished_sweeps import TWO_LANES, finished, kdsweep, records
from safetensors.torch import save_file

from kdsweep import catalog
from kdsweep.spec import Component

pytestmark = pytest.mark.ray

TEACHER = {"name": "cnn", "width": 4, "stages": 2, "hidden": 12}
SWEEP = """
name: more
trial:
  data: {name: digits}
  teacher: {model: {name: cnn, width: 4, stages: 2, hidden: 12}, weights: teacher.safetensors}
  student: {name: cnn, width: 2, stages: 2, hidden: 12}
  strategy: {name: kd, temperature: 2.0, alpha: 0.5}
  train: {epochs: 2, batch_size: 64}
space:
  train.lr: {loguniform: [1.0e-3, 3.0e-2]}
  student.width: {int: [2, 6]}
search: {sampler: tpe, trials: 3, seed: 1}
tracking: {enabled: false}
"""


def write_teacher(home, seed):
    torch.manual_seed(seed)
    network = catalog.model(Component(**TEACHER), shape=(1, 8, 8), num_classes=10)
    save_file(network.state_dict(), home / "teacher.safetensors")


def digests(run):
    """Of all that is kept of a run, its log apart."""
    return {
        path.relative_to(run).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in run.rglob("*")
        if path.is_file() and path.parent.name != "logs" and not path.name.startswith(".")
    }


@pytest.fixture(scope="module")
def extended(tmp_path_factory):
    """Home, what there was before, and how ``extend`` ended."""
    home = tmp_path_factory.mktemp("more")
    (home / "more.yaml").write_text(SWEEP + TWO_LANES)
    write_teacher(home, 1)
    finished(kdsweep("run", "more.yaml", cwd=home))
    before = digests(home / "runs" / "more")
    return home, before, kdsweep("extend", "runs/more", "--trials", "3", cwd=home)


def test_trials_are_added_and_nothing_is_trained_again(extended):
    home, before, done = extended
    finished(done)
    run = home / "runs" / "more"
    meta, trials, _ = records(run)
    assert (meta.status, meta.trials, meta.extended) == ("complete", 8, {"trials": 3.0})
    assert [(t.number, t.role, t.status) for t in trials] == [
        (number, "control" if number < 2 else "trial", "complete") for number in range(8)
    ]
    rates = [t.params["train.lr"] for t in trials if t.role == "trial"]
    assert len(set(rates)) == len(rates)
    after = digests(run)
    kept = {path for path in before if path.startswith("trials/")}
    assert {path: after[path] for path in kept} == {path: before[path] for path in kept}
    assert meta.student_epochs == 16
    assert "[8/8] complete" in done.stdout


def test_another_teacher_is_refused_and_the_run_is_as_it_was(extended):
    home = extended[0]
    run = home / "runs" / "more"
    write_teacher(home, 2)
    before = digests(run)
    done = kdsweep("extend", "runs/more", "--trials", "1", cwd=home)
    assert done.returncode == 2, done.stdout
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: runs/more: the teacher has changed since the sweep began: ")
    assert line.endswith("--despite-changes goes on all the same")
    assert digests(run) == before
