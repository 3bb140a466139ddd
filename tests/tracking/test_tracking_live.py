"""What MLflow hears of a sweep as a whole while it runs."""

import hashlib
import json
import time

import pytest
from mlflow.data.schema import TensorDatasetSchema
from mlflow_runs import EXPERIMENT, artifacts, runs_of
from tracking_trials import trial

from kdsweep.results.pareto import front
from kdsweep.tracking import Tracker, sync, tracker
from kdsweep.tracking.inputs import data_input
from kdsweep.tracking.recorder import Recorder

SMALL = {"accuracy": 0.6, "params": 100.0}
LARGE = {"accuracy": 0.9, "params": 500.0}
BETTER = {"accuracy": 0.95, "params": 400.0}


@pytest.fixture
def recorder(uri, store):
    return Recorder(uri, EXPERIMENT, store)


def on_front(client, store):
    _, children = runs_of(client, store)
    return {key for key, run in children.items() if run.data.tags["on_front"] == "true"}


def until(is_so):
    end = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.05)


def test_only_trials_whose_place_has_changed_are_told(recorder, store, client, monkeypatch):
    results = [trial(1, metrics=SMALL), trial(2, metrics=LARGE), trial(3, role="teacher")]
    for result in results:
        recorder.write(result)
    told = []
    set_tag = recorder._client.set_tag

    def counted(run_id, key, value):
        told.append(key)
        set_tag(run_id, key, value)

    monkeypatch.setattr(recorder._client, "set_tag", counted)
    recorder.show(results, front(results, store.meta.objectives))
    assert on_front(client, store) == {"t1", "t2"}
    assert told == ["on_front", "on_front"], "and not the teacher"
    recorder.show(results, front(results, store.meta.objectives))
    assert len(told) == 2
    results.append(trial(4, metrics=BETTER))
    recorder.write(results[-1])
    recorder.show(results, front(results, store.meta.objectives))
    assert on_front(client, store) == {"t1", "t4"}
    assert len(told) == 4


def test_the_parent_says_how_the_sweep_stands(recorder, store, client):
    results = [trial(1, metrics=SMALL)]
    recorder.write(results[0])
    recorder.show(results, results)
    parent, children = runs_of(client, store)
    note = parent.data.tags["mlflow.note.content"]
    assert note.startswith("**running**: 1 of 4 trials have ended (1 complete). 1 student is on")
    assert f"    kdsweep front {store.directory}\n" in note
    assert parent.data.metrics["front.max.accuracy"] == 0.6
    assert parent.info.status == "RUNNING"
    own = children["t1"].data.tags["mlflow.note.content"]
    assert own.startswith("**complete**: accuracy 60.00%, 100 parameters\n")
    recorder.finish("complete", results, results)
    parent, _ = runs_of(client, store)
    assert parent.data.tags["mlflow.note.content"].startswith("**complete**: 1 of 4 trials")


def test_a_sweep_has_lasted_until_its_last_record_whenever_it_is_sent(recorder, store, client):
    begun = 1_795_255_200_000  # 2026-11-21T10:00:00+00:00
    late = trial(1, started=begun / 1000 + 60)
    recorder.write(late)
    recorder.finish("complete", [late], [late])
    info = runs_of(client, store)[0].info
    assert (info.start_time, info.end_time) == (begun, begun + 62_000)


def test_files_are_sent_when_their_content_has_changed(recorder, store, client, monkeypatch):
    sent = []
    log = recorder._client.log_artifact

    def counted(run_id, path, inside=None):
        sent.append(path.removeprefix(f"{store.directory}/"))
        log(run_id, path, inside)

    monkeypatch.setattr(recorder._client, "log_artifact", counted)
    recorder.send_files()
    assert sent == [], "there are none yet"
    (store.directory / "pictures").mkdir()
    (store.directory / "front.csv").write_text("1")
    (store.directory / "pictures" / "front.html").write_text("one")
    recorder.send_files()
    recorder.send_files()
    assert sorted(sent) == ["front.csv", "pictures/front.html"]
    (store.directory / "front.csv").write_text("1")  # another time, the same content
    (store.directory / "pictures" / "front.html").write_text("two")
    recorder.send_files()
    assert sent[2:] == ["pictures/front.html"]
    parent, _ = runs_of(client, store)
    assert artifacts(client, parent, "pictures") == ["pictures/front.html"]
    path = client.download_artifacts(parent.info.run_id, "pictures/front.html")
    with open(path) as read:
        assert read.read() == "two"


def test_links_are_not_sent(recorder, store, client, tmp_path):
    (tmp_path / "secret").write_text("of somebody")
    (store.directory / "front.csv").symlink_to(tmp_path / "secret")
    recorder.send_files()
    parent, _ = runs_of(client, store)
    assert artifacts(client, parent) == ["sweep.yaml"]


def test_a_tracker_shows_the_sweep_while_it_runs(uri, store, client, monkeypatch):
    monkeypatch.setattr(tracker, "SHOW_EVERY_S", 0.05)
    beside = Tracker(uri, EXPERIMENT, store, warn=pytest.fail)
    results = [trial(1, metrics=SMALL)]
    beside.log(results[0])
    beside.stands(results, results)
    beside.start()
    until(lambda: beside._standing is None and not beside._pending)
    until(lambda: on_front(client, store) == {"t1"})
    assert artifacts(client, runs_of(client, store)[0]) == ["sweep.yaml"]
    (store.directory / "front.csv").write_text("number\n1\n")
    beside.pictures_written()
    until(lambda: "front.csv" in artifacts(client, runs_of(client, store)[0]))
    assert beside.close(60)


def test_a_sweep_is_shown_at_intervals_and_trials_come_first(uri, store, monkeypatch):
    calls = []
    monkeypatch.setattr(Recorder, "write", lambda self, result: calls.append(result.trial_id))
    monkeypatch.setattr(Recorder, "show", lambda self, results, front: calls.append(len(results)))
    beside = Tracker(uri, EXPERIMENT, store, warn=pytest.fail)
    results = []
    for number in range(5):
        results.append(trial(number))
        beside.log(results[-1])
        beside.stands(results, [])
    beside.start()
    until(lambda: not beside._pending and beside._standing is None)
    for number in range(5, 8):
        results.append(trial(number))
        beside.log(results[-1])
        beside.stands(results, [])
    assert beside.close(60)
    # It is shown once, at the start; the next time would be in ten seconds.
    assert [call for call in calls if isinstance(call, int)] == [5]
    assert [call for call in calls if isinstance(call, str)] == [f"t{n}" for n in range(8)]


def test_what_could_not_be_shown_is_shown_later(uri, store, monkeypatch):
    monkeypatch.setattr(tracker, "SHOW_EVERY_S", 0.0)
    tries, told = [], []

    def at_the_second_try(self, results, front):
        tries.append(len(results))
        if len(tries) == 1:
            raise OSError("no answer")

    monkeypatch.setattr(Recorder, "show", at_the_second_try)
    beside = Tracker(uri, EXPERIMENT, store, warn=told.append)
    beside.stands([trial(1)], [])
    beside.start()
    until(lambda: len(tries) == 2)
    assert beside.close(60)
    assert [line.split(": ")[1] for line in told] == ["no answer; the sweep goes on, its records"
                                                      f" are in {store.directory}"]  # fmt: skip


def test_the_data_are_an_input_once_they_are_known(uri, store, client):
    data = {"name": "digits", "split_seed": 0}
    early = trial(1, status="running", count=1, trial={**trial(1).trial, "data": data})
    recorder = Recorder(uri, EXPERIMENT, store)
    recorder.write(early)
    assert not runs_of(client, store)[1]["t1"].inputs.dataset_inputs
    fingerprint = hashlib.sha256(b"digits").hexdigest()
    store.update_meta(
        data_fingerprint=fingerprint, examples={"train": 9, "validation": 3, "test": 4},
        num_classes=10, inputs={"images": (1, 8, 8), "tokens": (64,)},
    )  # fmt: skip
    drawn = trial(2, trial={**early.trial, "data": {**data, "limit": 9}}, changes={"data.limit": 9})
    for result in (early.model_copy(update={"status": "complete"}), drawn):
        store.write(result)
        recorder.write(result)
    for _ in range(2):  # other processes, and records that are there already
        sync(store, uri, EXPERIMENT)
    parent, children = runs_of(client, store)
    assert children["t2"].inputs.dataset_inputs == [], "its data are others"
    for run in (parent, children["t1"]):
        (found,) = run.inputs.dataset_inputs
        assert (found.dataset.name, found.dataset.digest) == ("digits", fingerprint[:36])
        assert found.dataset.source == '{"name": "digits", "split_seed": 0}'
        assert {tag.key: tag.value for tag in found.tags} == {
            "mlflow.data.context": "training, validation"
        }
        assert json.loads(found.dataset.profile) == {
            "train examples": 9, "validation examples": 3, "test examples": 4, "classes": 10,
            "images": "1x8x8", "tokens": "64",
        }  # fmt: skip
        schema = TensorDatasetSchema.from_dict(json.loads(found.dataset.schema))
        assert [(each.name, each.type.name, each.shape) for each in schema.features.inputs] == [
            ("images", "float32", (-1, 1, 8, 8)), ("tokens", "int64", (-1, 64)),
        ]  # fmt: skip
        assert [each.shape for each in schema.targets.inputs] == [(-1,)]


def test_of_data_of_which_no_more_is_known_there_is_no_profile(store):
    store.update_meta(data_fingerprint="ab" * 32)
    dataset = data_input(store.meta, trial(1, trial={"data": {"name": "digits"}})).dataset
    assert (dataset.profile, dataset.schema) == (None, None)


def test_what_trials_have_in_common_is_told_once_on_the_parent(uri, store, client):
    with_data = {**trial(1).trial, "data": {"name": "digits"}, "teacher": {"seed": 1}}
    Recorder(uri, EXPERIMENT, store).write(trial(1, trial=with_data))
    other = {**with_data, "teacher": {"seed": 2, "stored": "features"}}
    # A param never changes, and a run is gone on with all the same.
    Recorder(uri, EXPERIMENT, store).write(trial(2, trial=other))
    params = runs_of(client, store)[0].data.params
    assert (params["data.name"], params["teacher.seed"]) == ("digits", "1")
    assert params["teacher.stored"] == "features"


def test_more_settings_than_one_call_takes(uri, store, client):
    many = {f"setting{number}": number for number in range(250)}
    Recorder(uri, EXPERIMENT, store).write(trial(1, trial={"student": {"name": "x", **many}}))
    params = runs_of(client, store)[1]["t1"].data.params
    assert len(params) == 250 + 3
    assert params["student.setting249"] == "249"
