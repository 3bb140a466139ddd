"""A sweep whose trials are held against each other at rungs, until its epochs are spent."""

import json

import pytest
from finished_sweeps import TWO_LANES, as_json, finished, kdsweep, records
from mlflow import MlflowClient

from kdsweep.tracking.where import default_uri

pytestmark = pytest.mark.ray

BUDGET = 260
# Learning rates from useless to good: most of what is drawn is dominated at the first rung.
SWEEP = f"""
name: rungs
trial:
  data: {{name: digits}}
  student: {{name: cnn, width: 4, stages: 2, hidden: 12}}
  strategy: none
  train: {{epochs: 12, batch_size: 64, lr: 1.0e-2, schedule: {{name: per_rung, ends: [0.25, 0.5]}}}}
space:
  student.width: {{choice: [2, 4]}}
  train.lr: {{loguniform: [1.0e-6, 3.0e-2]}}
search: {{sampler: random, budget: {{epochs: {BUDGET}}}, seed: 1}}
"""
RUNGS = (3, 6)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    directory = tmp_path_factory.mktemp("rungs")
    priced = TWO_LANES.replace("}", ", cost_per_hour: 3600}")
    (directory / "rungs.yaml").write_text(SWEEP + priced)
    return directory


@pytest.fixture(scope="module")
def swept(home):
    return finished(kdsweep("run", "rungs.yaml", cwd=home))


@pytest.fixture(scope="module")
def run(home, swept):
    return records(home / "runs" / "rungs")


def test_check_says_where_the_rungs_are_and_what_may_be_spent(home):
    said = finished(kdsweep("check", "rungs.yaml", cwd=home)).stdout
    assert "  rungs       after epoch 3 and 6 of 12 the best one in 3 of those so far go on" in said
    assert f"  budget      {BUDGET} epochs of students" in said
    assert "  trials      as many as the budget allows" in said


def test_trials_end_at_their_rungs_or_at_their_end(run):
    _, trials, _ = run
    lengths = {trial.status: set() for trial in trials}
    for trial in trials:
        lengths[trial.status].add(len(trial.epochs))
    assert lengths["complete"] == {12}
    assert lengths["pruned"] <= set(RUNGS)
    assert set(lengths) == {"complete", "pruned"}


def test_those_that_were_ended_say_why_and_have_no_weights(home, run):
    _, trials, _ = run
    pruned = [trial for trial in trials if trial.status == "pruned"]
    assert len(pruned) >= 5
    for trial in pruned:
        assert trial.error.startswith(f"ended at epoch {len(trial.epochs)} of 12: accuracy ")
        assert trial.weights is None
        assert not (home / "runs/rungs/trials" / trial.trial_id / "student.safetensors").exists()
        assert trial.metrics["accuracy"] == trial.epochs[-1].accuracy


def test_the_control_is_never_ended(run):
    _, trials, _ = run
    assert [t.status for t in trials if t.role == "control"] == ["complete"]


def test_the_front_has_none_of_them(home, run):
    _, trials, _ = run
    complete = {trial.trial_id for trial in trials if trial.status == "complete"}
    front = as_json(kdsweep("front", "runs/rungs", "--json", cwd=home))
    assert {row["trial_id"] for row in front["front"]} <= complete


def test_the_epochs_are_spent_and_no_more(run, swept):
    meta, trials, _ = run
    trained = sum(len(trial.epochs) for trial in trials)
    assert meta.student_epochs == trained
    # What is left is not enough for a whole trial.
    assert BUDGET - 12 < trained <= BUDGET
    left = BUDGET - trained
    why = f"of the budget of epochs {left} are left, too few for the next trial"
    why = why if left else "the budget of epochs is spent"
    assert (meta.status, meta.ended_by) == ("complete", why)
    assert meta.trials is None
    # A second costs one.
    assert meta.cost == pytest.approx(meta.wall_seconds)
    assert f"{trained:,} epochs of students, " in swept.stdout
    assert f"ended: {why}" in swept.stdout


def test_mlflow_has_them_as_finished_with_their_status(home, run):
    meta, trials, _ = run
    client = MlflowClient(default_uri(home / "runs"))
    experiment = client.get_experiment_by_name("kdsweep")
    runs = client.search_runs([experiment.experiment_id], "tags.role = 'trial'", max_results=500)
    found = {each.data.tags["kdsweep.trial_id"]: each for each in runs}
    for trial in trials:
        if trial.status == "pruned":
            each = found[trial.trial_id]
            assert each.info.status == "FINISHED"
            assert each.data.tags["status"] == "pruned"
            assert each.data.tags["why"] == trial.error
            assert "error" not in each.data.tags
    parent = client.get_run(meta.mlflow_run_id)
    assert parent.data.metrics["trials.pruned"] == sum(t.status == "pruned" for t in trials)
    assert parent.data.params["trials"] == "as the budget allows"


def test_list_counts_them(home, run):
    _, trials, _ = run
    (row,) = json.loads(finished(kdsweep("list", "--json", cwd=home)).stdout)
    assert row["pruned"] == sum(trial.status == "pruned" for trial in trials)
    assert row["planned"] is None
    finished(kdsweep("list", cwd=home))
