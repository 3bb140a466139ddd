"""The sweep as MLflow has it, against the records that it is made from."""

import json
import math

import pytest
from finished_sweeps import records
from mlflow import MlflowClient

from kdsweep.report.labels import flatten
from kdsweep.tracking.where import default_uri

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def client(home, swept):
    uri = default_uri(home / "runs")
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


@pytest.fixture(scope="module")
def run(home, swept):
    return records(home / "runs" / "digits")


@pytest.fixture(scope="module")
def parent(client, run):
    meta, _, _ = run
    found = client.get_run(meta.mlflow_run_id)
    return found


@pytest.fixture(scope="module")
def children(client, parent):
    query = f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"
    found = client.search_runs([parent.info.experiment_id], query)
    by_id = {child.data.tags["kdsweep.trial_id"]: child for child in found}
    assert len(by_id) == len(found)
    return by_id


def series(client, child, key):
    history = client.get_metric_history(child.info.run_id, key)
    return [(point.step, point.value) for point in sorted(history, key=lambda p: p.step)]


def artifacts(client, run_id):
    return {item.path for item in client.list_artifacts(run_id)}


def test_one_parent_and_a_child_for_every_trial_and_the_teacher(run, parent, children):
    _, trials, teachers = run
    assert set(children) == {each.trial_id for each in (*trials, *teachers)}
    assert parent.info.status == "FINISHED"
    assert parent.info.run_name == "digits"
    assert {child.info.status for child in children.values()} == {"FINISHED"}
    for trial in trials:
        before = "control: " if trial.role == "control" else ""
        assert children[trial.trial_id].info.run_name == f"{before}{trial.name}"
    assert {children[t.trial_id].info.run_name for t in run[2]} == {"teacher: cnn w8 d1 s2"}


def test_own_settings_are_flat_params_and_common_ones_the_parents(run, parent, children):
    for trial in run[1]:
        flat = {key.replace("_", "."): str(v) for key, v in flatten(trial.trial).items()}
        common = {key for key in flat if key.partition(".")[0] in ("data", "teacher", "teachers")}
        found = children[trial.trial_id].data.params
        own = {key.replace("_", ".") for key in found} - {"student", "strategy"}
        assert own == set(flat) - common
        assert common <= {key.replace("_", ".") for key in parent.data.params}
        assert found["student.width"] == str(trial.trial["student"]["width"])
        assert found["strategy.name"] == trial.trial["strategy"]["name"]
        assert found["strategy"].startswith(trial.trial["strategy"]["name"])
        assert float(found["train.lr"]) == trial.trial["train"]["lr"]
    assert parent.data.params["data.name"] == "digits"
    assert parent.data.params["teacher.model.width"] == "8"


def test_every_metric_has_its_value_for_every_epoch(client, run, children):
    _, trials, teachers = run
    for trial in (*trials, *teachers):
        child = children[trial.trial_id]
        expected = {
            "accuracy": [(e.epoch, e.accuracy) for e in trial.epochs],
            "loss": [(e.epoch, e.loss) for e in trial.epochs],
            "lr": [(e.epoch, e.lr) for e in trial.epochs],
        }
        if trial.epochs:
            expected["train.total"] = [(e.epoch, e.train["total"]) for e in trial.epochs]
        for key, values in expected.items():
            assert series(client, child, key) == values, (trial.trial_id, key)


def test_names_of_metrics_are_the_same_for_every_strategy(run, children):
    trials = [trial for trial in run[1] if trial.status == "complete"]
    names = {frozenset(children[trial.trial_id].data.metrics) for trial in trials}
    assert len({trial.trial["strategy"]["name"] for trial in trials}) > 1
    assert len(names) == 1
    fitnet = next(t for t in trials if t.trial["strategy"]["name"] == "fitnet")
    assert "| hint&nbsp;&nbsp; |" in children[fitnet.trial_id].data.tags["mlflow.note.content"]


def test_sizes_are_metrics_and_weights_of_terms_a_tag_at_the_end(run, children):
    for trial in run[1]:
        found = children[trial.trial_id].data.metrics
        for name, value in trial.metrics.items():
            assert math.isclose(found[name], value, rel_tol=1e-12), (trial.trial_id, name)
        said = children[trial.trial_id].data.tags["term_weights"]
        for name, value in trial.weights_of_terms.items():
            assert f"{name}={value:.6g}" in said.split(", ")


def test_tags_say_who_a_trial_is_and_whether_it_is_on_the_front(home, run, children):
    meta, trials, teachers = run
    table = (home / "runs" / "digits" / "front.csv").read_text().splitlines()[1:]
    on_front = {line.split(",")[1] for line in table}
    assert on_front
    for trial in trials:
        tags = children[trial.trial_id].data.tags
        assert tags["on_front"] == str(trial.trial_id in on_front).lower()
        assert (tags["role"], tags["status"]) == (trial.role, "complete")
        assert tags["device"] == trial.device
        assert tags["lane"] == trial.lane
        assert tags["strategy"].startswith(trial.trial["strategy"]["name"])
        assert tags["student"].startswith("cnn")
        assert tags["version.torch"] == meta.packages["torch"]
        assert tags.get("git_commit") == meta.git_commit
    teacher = children[teachers[0].trial_id].data
    assert teacher.tags["role"] == "teacher"
    assert teacher.metrics["latency_ms"] == teachers[0].metrics["latency_ms"] > 0


def test_the_parent_has_the_sweep_file_the_front_and_its_numbers(client, home, run, parent):
    meta, trials, _ = run
    assert {"sweep.yaml", "front.csv", "front.png"} <= artifacts(client, parent.info.run_id)
    directory = client.download_artifacts(parent.info.run_id, "")
    for name, kept in (("sweep.yaml", "digits.yaml"), ("front.csv", "runs/digits/front.csv")):
        with open(f"{directory}/{name}", "rb") as artifact:
            assert artifact.read() == (home / kept).read_bytes()
    assert parent.data.metrics["trials.complete"] == len(trials)
    assert parent.data.tags["sweep_sha256"] == meta.sweep_sha256
    assert parent.data.params["sampler"] == "tpe"
    note = parent.data.tags["mlflow.note.content"]
    assert note.startswith(f"**complete**: {len(trials)} of {len(trials)} trials have ended")
    assert f"    kdsweep select {home / 'runs' / 'digits'}\n" in note
    assert "pictures" in artifacts(client, parent.info.run_id)


def test_the_data_are_an_input_of_the_sweep_and_of_each_trial(run, parent, children):
    for each in (parent, *children.values()):
        (found,) = each.inputs.dataset_inputs
        assert found.dataset.name == "digits"
        assert found.dataset.digest == run[0].data_fingerprint[:36]
        said = json.loads(found.dataset.profile)
        assert (said["classes"], said["images"]) == (10, "1x8x8")
        assert said["train examples"] == run[0].examples["train"]


def test_every_child_has_the_trial_file(client, home, run, children):
    for trial in run[1]:
        child = children[trial.trial_id]
        assert "trial.yaml" in artifacts(client, child.info.run_id)
    path = client.download_artifacts(children["00003"].info.run_id, "trial.yaml")
    with open(path, "rb") as artifact:
        kept = home / "runs" / "digits" / "trials" / "00003" / "trial.yaml"
        assert artifact.read() == kept.read_bytes()


def test_a_second_sweep_is_a_run_beside_the_first(client, home, run, parent, swept_again):
    other = records(home / "runs" / "digits-2")[0]
    second = client.get_run(other.mlflow_run_id)
    assert second.info.experiment_id == parent.info.experiment_id
    query = f"tags.`mlflow.parentRunId` = '{other.mlflow_run_id}'"
    found = client.search_runs([second.info.experiment_id], query)
    assert len(found) == 9
    assert {child.data.tags["sweep"] for child in found} == {"digits-2"}
