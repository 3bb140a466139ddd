"""The experiment as the UI shows it without set-up, and runs of earlier versions."""

import json
import uuid

import pytest
from confirmed_runs import confirmation_in, sweep_in
from mlflow_runs import EXPERIMENT, runs_of
from tracking_trials import trial

from kdsweep.tracking import sync
from kdsweep.tracking.experiment import open_experiment, runs_route, view_route
from kdsweep.tracking.recorder import Recorder

VIEW = "mlflow.sharedViewState."
NOTE_BEFORE = """\
Sweeps of kdsweep: each is a run, its trials and its teacher are the runs below it (+ opens them).

- **Views**, top right, has the trials by accuracy, the fronts, and the controls and teachers.
- Tags to search for: `tags.on_front = 'true'`, `tags.strategy = 'kd'`, \
`tags.role = 'control'` (or `trial`, `teacher`, `confirm`, `sweep`), `tags.status = 'complete'` \
(or `pruned`, `failed`, `stopped`, `running`).
- The page of a sweep has its front as a table, and pictures among its artifacts.
"""


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
        "Confirmed on test data", "Controls and teachers", "Students on the fronts",
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
    assert found["Confirmed on test data"] == []
    assert set(found["Sweeps and their trials"]) == {"sweep", "t1", "t2", "t3", "t4"}


def test_trials_of_a_confirmation_are_in_a_view_of_their_own(tmp_path, uri, client, another):
    sweep, confirmed = sweep_in(tmp_path), confirmation_in(tmp_path)
    sweep.write(trial(1))
    sync(sweep, uri, another)
    sync(confirmed, uri, another)
    experiment = client.get_experiment_by_name(another)
    found = {
        title: client.search_runs([experiment.experiment_id], state["searchFilter"])
        for title, state in views(experiment).items()
    }
    roles = [run.data.tags["role"] for run in found["Sweeps and their trials"]]
    assert sorted(roles) == ["sweep", "trial"]
    names = {run.info.run_name for run in found["Confirmed on test data"]}
    assert {"confirm: kd w8 (1/2)", "confirm control: none w8 (2/2)"} <= names
    assert len(names) == 9


def test_the_description_links_to_every_view_with_the_menu_of_training(uri, client, another):
    number = open_experiment(client, another, uri)
    experiment = client.get_experiment(number)
    said = experiment.tags["mlflow.note.content"]
    for key in experiment.tags:
        if key.startswith(VIEW):
            route = view_route(number, key.removeprefix(VIEW))
            assert "workflowType=machine_learning" in route
            assert f"](#/{route})" in said


def test_what_an_earlier_version_wrote_becomes_that_of_this_one(uri, client, another):
    before = {"name": "Sweeps and their trials", "state": "{}"}
    untouched, saved = f"{VIEW}kdsweep-sweeps", f"{VIEW}kdsweep-trials"
    tags = {
        untouched: json.dumps({**before, "createdAt": 5, "updatedAt": 5}),
        saved: json.dumps({**before, "createdAt": 4, "updatedAt": 1_795_255_210_000}),
        "mlflow.note.content": NOTE_BEFORE,
    }
    number = client.create_experiment(another, tags=tags)
    open_experiment(client, another, uri)
    now = client.get_experiment(number).tags
    assert "role != 'confirm'" in now[untouched]
    assert now[saved] == tags[saved]
    assert "[Trials, most accurate first](#/experiments/" in now["mlflow.note.content"]


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


def test_a_pruned_trial_that_an_earlier_version_sent_has_no_error_any_more(uri, store, client):
    pruned, failed = (
        trial(n, status=status, error="behind") for n, status in ((1, "pruned"), (2, "failed"))
    )
    recorder = Recorder(uri, EXPERIMENT, store)
    for each in (pruned, failed):
        recorder.write(each)
        run = runs_of(client, store)[1][each.trial_id].info.run_id
        client.set_tag(run, "kdsweep.layout", "2")
        client.set_tag(run, "error", "behind")
    named = runs_of(client, store)[1]["t2"].info.run_id
    client.update_run(named, name="my own name")
    recorder = Recorder(uri, EXPERIMENT, store)
    for each in (pruned, failed):
        recorder.write(each)
    _, children = runs_of(client, store)
    tags = children["t1"].data.tags
    assert (tags.get("error"), tags["why"], tags["pruned_at"]) == (None, "behind", "epoch 3")
    assert children["t2"].data.tags["error"] == "behind"
    assert children["t2"].info.run_name == "my own name"
    assert {run.data.tags["kdsweep.layout"] for run in children.values()} == {"4"}
