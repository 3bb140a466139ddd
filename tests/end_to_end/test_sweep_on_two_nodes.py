"""A sweep on a cluster whose nodes share nothing but the storage of the runs."""

import subprocess
from pathlib import Path

import pytest
from finished_sweeps import DIGITS, begun, finished, kdsweep, records, until
from ray_nodes import ray_nodes
from safetensors.torch import load_file

pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads /proc"),
]

PLANNED = 8
# Long enough that the second lane, which may come up seconds after the first, finds work.
LONG = DIGITS.replace("train: {epochs: 3, batch_size: 64", "train: {epochs: 200, batch_size: 64")


@pytest.fixture(scope="module")
def on_two_nodes(tmp_path_factory):
    """The command as it ended, the run, which nodes were seen training, and the nodes' folders."""
    shared, at_home = tmp_path_factory.mktemp("shared"), tmp_path_factory.mktemp("at-home")
    (at_home / "digits.yaml").write_text(LONG)
    with ray_nodes(1, 1) as cluster:
        arguments = ("run", "digits.yaml", "--address", cluster.address)
        process = begun(*arguments, "--runs-dir", shared / "runs", cwd=at_home, **cluster.driver)
        train = set()

        def both_train():
            for number, node in enumerate(cluster.nodes):
                if node.runs("RayTrainWorker"):
                    train.add(number)
            return len(train) == 2 or process.poll() is not None

        try:
            until(both_train, seconds=180)
            out, err = process.communicate(timeout=180)
        finally:
            process.kill()
        left = {path.name for node in cluster.nodes for path in node.work.iterdir()}
        left |= {path.name for path in at_home.iterdir()}
    done = subprocess.CompletedProcess(process.args, process.returncode, out, err)
    return done, shared / "runs" / "digits", train, left


def test_lanes_on_both_nodes_train_all_trials(on_two_nodes):
    done, run, train, _ = on_two_nodes
    finished(done)
    assert done.stderr == ""
    assert train == {0, 1}
    meta, trials, _ = records(run)
    assert meta.status == "complete"
    assert [(t.number, t.status, t.error) for t in trials] == [
        (number, "complete", None) for number in range(PLANNED)
    ]
    assert {t.lane for t in trials} == {"lane-000", "lane-001"}


def test_weights_and_teacher_are_whole_on_the_storage_and_nothing_is_elsewhere(on_two_nodes):
    _, run, _, left = on_two_nodes
    meta, trials, (teacher,) = records(run)
    for trial in trials:
        weights = load_file(run / trial.weights)
        # A batch norm keeps statistics beside its parameters.
        assert sum(tensor.numel() for tensor in weights.values()) >= trial.metrics["params"]
    weights = load_file(run / meta.teacher.weights)
    assert sum(tensor.numel() for tensor in weights.values()) >= teacher.metrics["params"]
    assert left == {"digits.yaml"}


def test_a_trial_of_it_runs_again_alone(on_two_nodes, tmp_path):
    run = on_two_nodes[1]
    trial = records(run)[1][0]
    path = run / "trials" / trial.trial_id / "trial.yaml"
    done = finished(kdsweep("trial", path, "--runs-dir", run.parent, cwd=tmp_path))
    (accuracy,) = [line.split()[1] for line in done.stdout.splitlines() if "accuracy  " in line]
    assert float(accuracy.rstrip("%")) == pytest.approx(100 * trial.metrics["accuracy"], abs=0.006)
