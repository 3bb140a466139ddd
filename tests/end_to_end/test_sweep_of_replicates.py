"""A sweep that trains every point twice, through the command line, and what it leaves."""

import statistics

import pytest
from finished_sweeps import TWO_LANES, as_json, finished, kdsweep, records
from mlflow import MlflowClient

from kdsweep.search.replicated import ReplicatedSampler
from kdsweep.search.starts import starts
from kdsweep.sweep_file import load
from kdsweep.tracking.where import default_uri

pytestmark = pytest.mark.ray

# 2 controls and 5 points, each twice. In batches of one the points come in a definite order, and
# with two in a generation the sampler learns of what it was told from the third one on.
SWEEP = """
name: twice
trial:
  data: {name: digits}
  teacher: {model: {name: cnn, width: 8, stages: 2}, train: {epochs: 2, lr: 3.0e-3}}
  student: {name: cnn, width: 4, stages: 2, hidden: 12}
  strategy: {name: kd, temperature: 2.0, alpha: 0.5}
  train: {epochs: 2, batch_size: 64, lr: 3.0e-3}
  seed: 3
space:
  student.width: {choice: [2, 4, 8]}
  train.lr: {loguniform: [1.0e-3, 3.0e-2]}
  strategy: {choice: [none, {name: kd, alpha: {uniform: [0, 1]}}]}
search: {sampler: nsga2, population: 2, trials: 5, replicates: 2, batch: 1, seed: 5}
"""
VARYING = ("accuracy", "loss")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    directory = tmp_path_factory.mktemp("twice")
    (directory / "twice.yaml").write_text(SWEEP + TWO_LANES)
    return directory


@pytest.fixture(scope="module")
def swept(home):
    return finished(kdsweep("run", "twice.yaml", cwd=home))


@pytest.fixture(scope="module")
def run(home, swept):
    return records(home / "runs" / "twice")


@pytest.fixture(scope="module")
def points(run):
    """The records of each point, by its number."""
    _, trials, _ = run
    return {n: [t for t in trials if t.point == n] for n in range(7)}


def mean(point, metric):
    return statistics.fmean(trial.metrics[metric] for trial in point)


def test_every_point_has_two_records_that_differ_in_their_seed(run, points):
    meta, trials, teachers = run
    assert (meta.status, meta.trials, meta.replicates) == ("complete", 14, 2)
    assert [t.number for t in trials] == list(range(14))
    assert {t.status for t in trials} == {"complete"}
    assert len(teachers) == 1
    assert [point[0].role for point in points.values()] == ["control"] * 2 + ["trial"] * 5
    for point in points.values():
        assert [t.trial["seed"] for t in point] == [3, 4]
        first, second = point
        assert {**first.trial, "seed": 4} == second.trial
        assert (first.changes, first.params, first.role) == (
            second.changes, second.params, second.role
        )  # fmt: skip
        assert first.metrics["params"] == second.metrics["params"]
    # The seed does something.
    assert all(p[0].epochs[0].loss != p[1].epochs[0].loss for p in points.values())


def test_the_sampler_was_told_the_means(home, points):
    """Told the same again, it proposes what it proposed; that it learns, its own tests show."""
    sweep = load(home / "runs" / "twice" / "sweep.yaml")
    sampler = ReplicatedSampler(sweep, starts(sweep), sizes_of=sweep.sizes_of)
    for point in points.values():
        for record in point:
            proposal = sampler.ask()
            assert (proposal.number, proposal.role) == (record.number, record.role)
            assert proposal.assignment.params == record.params
            sampler.tell(proposal.number, record)
    assert sampler.exhausted


def test_the_front_is_of_means(home, points):
    shown = as_json(kdsweep("front", "runs/twice", "--json", cwd=home))
    assert (shown["complete"], shown["planned"]) == (14, 14)
    values = {n: (mean(p, "accuracy"), -p[0].metrics["params"]) for n, p in points.items()}

    def beaten(number):
        ours = values[number]
        return any(
            theirs[0] >= ours[0] and theirs[1] >= ours[1] and (theirs != ours or other < number)
            for other, theirs in values.items()
            if other != number
        )

    assert [r["point"] for r in shown["front"]] == sorted(
        (n for n in values if not beaten(n)), key=lambda n: -values[n][1]
    )
    for row in shown["front"]:
        point = points[row["point"]]
        assert row["replicates"] == 2
        assert row["trial_ids"] == [t.trial_id for t in point]
        for metric in VARYING:
            found = [t.metrics[metric] for t in point]
            assert row[metric] == pytest.approx(statistics.fmean(found))
            assert row[f"{metric}_std"] == pytest.approx(statistics.stdev(found))
        lower = min(point, key=lambda t: t.metrics["accuracy"])
        assert row["trial_id"] == lower.trial_id
        assert row["weights"] == lower.weights
        assert (home / "runs" / "twice" / lower.weights).is_file()
    table = (home / "runs" / "twice" / "front.csv").read_text().splitlines()[1:]
    assert [line.split(",")[1] for line in table] == [r["trial_id"] for r in shown["front"]]


def test_the_screen_counts_trials_and_shows_means(swept):
    ended = [line for line in swept.stdout.splitlines() if "] complete  " in line]
    assert len(ended) == 14
    assert sum("(1/2)" in line for line in ended) == sum("(2/2)" in line for line in ended) == 7
    assert "mean ± standard deviation over n trials" in swept.stdout


def test_mlflow_has_every_replicate_and_marks_whole_points(home, run, points):
    meta, trials, _ = run
    uri = default_uri(home / "runs")
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    parent = client.get_run(meta.mlflow_run_id)
    assert parent.data.params["replicates"] == "2"
    query = f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"
    found = client.search_runs([parent.info.experiment_id], query)
    children = {child.data.tags["kdsweep.trial_id"]: child for child in found}
    shown = as_json(kdsweep("front", "runs/twice", "--json", cwd=home))
    on_front = {trial_id for row in shown["front"] for trial_id in row["trial_ids"]}
    for trial in trials:
        tags = children[trial.trial_id].data.tags
        assert (tags["point"], tags["replicate"]) == (str(trial.point), str(trial.replicate))
        assert tags["on_front"] == str(trial.trial_id in on_front).lower()
    best = max(mean(point, "accuracy") for point in points.values())
    assert parent.data.metrics["front.max.accuracy"] == pytest.approx(best)


def test_resume_trains_the_replicate_that_is_missing_and_keeps_the_other(home, run, points):
    directory = home / "runs" / "twice"
    kept, lost = points[6]
    text = (directory / "run.json").read_text()
    (directory / "run.json").write_text(text.replace('"status": "complete"', '"status": "stopped"'))
    (directory / "trials" / lost.trial_id / "result.json").unlink()
    before = {t.trial_id: (directory / "trials" / t.trial_id / "result.json").read_bytes()
              for t in run[1] if t is not lost}  # fmt: skip
    done = finished(kdsweep("resume", "runs/twice", cwd=home))
    assert done.stderr == ""
    meta, trials, _ = records(directory)
    assert (meta.status, len(trials)) == ("complete", 14)
    for trial_id, record in before.items():
        assert (directory / "trials" / trial_id / "result.json").read_bytes() == record
    (again,) = (t for t in trials if t.trial_id == lost.trial_id)
    assert (again.point, again.replicate, again.trial) == (kept.point, 1, lost.trial)
    for metric in VARYING:
        assert again.metrics[metric] == lost.metrics[metric]
