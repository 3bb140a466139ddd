"""The experiment as the UI shows it without set-up, and runs of earlier versions."""

import json
import uuid

import pytest
from mlflow_runs import EXPERIMENT, runs_of
from tracking_trials import trial

from kdsweep.tracking.experiment import open_experiment, runs_route
from kdsweep.tracking.recorder import Recorder

VIEW = "mlflow.sharedViewState."


def views(experiment):
    """Title and state of each saved view, as the UI decodes them."""
    found = {k: json.loads(v) for k, v in experiment.tags.items() if k.startswith(VIEW)}
    return {view["name"]: json.loads(view["state"]) for view in found.values()}


@pytest.fixture
def another(client):
    """The name of an experiment of this test's own."""
    name = f"own-{uuid.uuid4().hex[:8]}"
    yield name
    client.delete_experiment(client.get_experiment_by_name(name).experiment_id)


def test_a_new_experiment_has_a_kind_a_description_and_views(uri, client, another):
    experiment = client.get_experiment(open_experiment(client, another, uri))
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
    assert "`tags.on_front = 'true'`" in experiment.tags["mlflow.note.content"]
    assert list(views(experiment)) == [
        "Confirmed students", "Controls and teachers", "Students on the fronts",
        "Trials, most accurate first", "Sweeps and their trials",
    ]  # fmt: skip
    assert runs_route(experiment).endswith("&viewStateShareKey=kdsweep-sweeps")
    # The UI reads a view only if it finds these.
    for key, text in experiment.tags.items():
        if key.startswith(VIEW):
            assert {"name", "createdAt", "state"} <= set(json.loads(text))
            assert len(text) <= 5000


def test_each_view_finds_what_its_title_says(uri, store, client):
    recorder = Recorder(uri, EXPERIMENT, store)
    results = [trial(1), trial(2, role="control"), trial(3, role="teacher"), trial(4)]
    for result in results:
        recorder.write(result)
    recorder.show(results, [results[0], results[3]])
    experiment = client.get_experiment_by_name(EXPERIMENT)
    found = {}
    for title, state in views(experiment).items():
        own = f"tags.sweep = '{store.meta.name}'"
        search = " AND ".join(filter(None, (state["searchFilter"], own)))
        order = f"{state['orderByKey']} {'ASC' if state['orderByAsc'] else 'DESC'}"
        runs = client.search_runs([experiment.experiment_id], search, order_by=[order])
        found[title] = [run.data.tags.get("kdsweep.trial_id", "sweep") for run in runs]
    assert found["Trials, most accurate first"] == ["t4", "t2", "t1"]
    assert found["Students on the fronts"] == ["t1", "t4"]
    assert set(found["Controls and teachers"]) == {"t2", "t3"}
    assert found["Confirmed students"] == []
    assert set(found["Sweeps and their trials"]) == {"sweep", "t1", "t2", "t3", "t4"}


def test_what_somebody_has_written_there_stays(uri, client, another):
    own = {"mlflow.note.content": "mine", f"{VIEW}kdsweep-fronts": "changed"}
    number = client.create_experiment(another, tags=own)
    bare = client.get_experiment(number)
    assert runs_route(bare) == f"experiments/{number}/runs?workflowType=machine_learning"
    assert open_experiment(client, another, uri) == number
    tags = client.get_experiment(number).tags
    assert tags.items() >= own.items()
    assert tags["mlflow.experimentKind"] == "custom_model_development"
    assert f"{VIEW}kdsweep-sweeps" in tags


def a_teacher():
    model = {"model": {"name": "cnn", "width": 64}}
    return trial(2, role="teacher", name="teacher cnn", trial={"teacher": model})


@pytest.fixture
def sent_before(uri, store, client):
    """A sweep of one trial and its teacher, as kdsweep sent it before there were layouts."""
    number = open_experiment(client, EXPERIMENT, uri)
    shared = {"kdsweep.sweep_id": store.meta.sweep_id, "sweep": store.meta.name}
    parent = client.create_run(number, run_name="x", tags={**shared, "role": "sweep"}).info.run_id
    client.log_param(parent, "sampler", "tpe")
    for result in (trial(1), a_teacher()):
        store.write(result)
        tags = {
            "kdsweep.trial_id": result.trial_id, "mlflow.parentRunId": parent, "role": result.role,
            "kdsweep.epochs": "3", "kdsweep.on_front": "true", **shared,
        }  # fmt: skip
        child = client.create_run(number, run_name=result.name, tags=tags).info.run_id
        client.log_param(child, "student.width", 8)
        client.log_metric(child, "accuracy", 0.53, 1_700_000_002_500, 3)
        client.set_terminated(child)


def test_runs_of_an_earlier_version_get_the_names_of_this_one(sent_before, uri, store, client):
    results = store.read()
    for _ in range(2):
        recorder = Recorder(uri, EXPERIMENT, store)
        for result in results:
            recorder.write(result)
        recorder.finish("complete", results, [results[0]])
    _, children = runs_of(client, store)
    assert {key: run.info.run_name for key, run in children.items()} == {
        "t1": "kd w1", "t2": "teacher: cnn w64"
    }  # fmt: skip
    assert {key: run.data.tags["on_front"] for key, run in children.items()} == {
        "t1": "true", "t2": "false",
    }  # fmt: skip
    one = children["t1"]
    assert "kdsweep.on_front" not in one.data.tags
    assert one.data.params["strategy"] == "kd"
    history = client.get_metric_history(one.info.run_id, "accuracy")
    assert sorted(point.step for point in history) == [1, 2, 3]
    assert one.info.status == "FINISHED"
