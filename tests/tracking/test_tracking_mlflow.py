"""Into a real SQLite store, read back through MLflow's client."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from mlflow_runs import EXPERIMENT, artifacts, runs_of
from tracking_trials import epochs, trial
from typer.testing import CliRunner

from kdsweep.cli import app
from kdsweep.errors import ResultError
from kdsweep.results.pareto import front
from kdsweep.results.store import RunStore
from kdsweep.tracking import Tracker, sync
from kdsweep.tracking.recorder import Recorder
from kdsweep.tracking.server import Server, command, runs_page, store_under
from kdsweep.tracking.where import artifact_location, default_uri, prepare_environment


def steps(client, run, metric):
    return [point.step for point in client.get_metric_history(run.info.run_id, metric)]


def test_a_whole_sweep_reads_back(uri, store, client, tmp_path):
    results = [
        trial(9, role="teacher", count=2),
        trial(1),
        trial(2, role="control"),
        trial(3, status="failed", count=1, metrics={}, error="CUDA out of memory"),
        trial(4, status="stopped", metrics={}),
        trial(5, metrics={"accuracy": 0.2, "params": 900.0}),
    ]
    warnings = []
    tracker = Tracker(uri, EXPERIMENT, store, warn=warnings.append)
    tracker.start()
    for result in results:
        store.write(result)
        tracker.log(result)
    store.update_meta(status="complete", wall_seconds=12.5)
    tracker.finish("complete", front(results, store.meta.objectives))
    assert tracker.close(120)
    assert warnings == []

    parent, children = runs_of(client, store)
    assert parent.info.status == "FINISHED"
    assert parent.info.run_name == store.meta.name
    assert parent.info.run_id == RunStore.open(store.directory).meta.mlflow_run_id
    assert parent.data.params == {
        "sampler": "tpe", "seed": "3", "trials": "4", "objectives.accuracy": "max",
        "objectives.params": "min", "constraints.params.max": "1000000.0",
    }  # fmt: skip
    assert parent.data.metrics == {
        "trials.complete": 3, "trials.pruned": 0, "trials.failed": 1, "trials.stopped": 1,
        "front_size": 2,
        "wall_seconds": 12.5, "front.max.accuracy": 0.7, "front.min.params": 100,
    }  # fmt: skip
    assert artifacts(client, parent) == ["front.csv", "front.png", "pictures", "sweep.yaml"]
    assert parent.info.end_time >= parent.info.start_time
    read = client.download_artifacts(parent.info.run_id, "sweep.yaml", str(tmp_path))
    assert Path(read).read_text() == "tracking: {uri: 'https://mlflow.example'}\n"

    assert {key: run.info.status for key, run in children.items()} == {
        "t9": "FINISHED", "t1": "FINISHED", "t2": "FINISHED", "t3": "FAILED", "t4": "KILLED",
        "t5": "FINISHED",
    }  # fmt: skip
    on_front = {key: run.data.tags["on_front"] for key, run in children.items()}
    assert {key for key, value in on_front.items() if value == "true"} == {"t1", "t2"}
    one = children["t1"]
    assert one.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert one.info.run_name == "kd w1"
    assert one.data.params == {
        "student.name": "cnn", "student.width": "8", "strategy.name": "kd",
        "strategy.temperature": "4.0", "train.lr": "1e-05", "student": "cnn w8", "strategy": "kd",
    }  # fmt: skip
    assert set(one.data.metrics) == {
        "accuracy", "loss", "lr", "train.total", "params", "macs", "seconds",
    }  # fmt: skip
    assert steps(client, one, "accuracy") == [1, 2, 3]
    assert steps(client, one, "train.total") == [1, 2, 3]
    assert one.info.start_time == 1_700_000_001_000
    assert one.info.end_time == 1_700_000_003_000
    assert artifacts(client, one) == ["trial.yaml"]
    assert one.data.tags["device"] == "cpu"
    assert children["t9"].data.tags["role"] == "teacher"
    assert children["t3"].data.tags["error"] == "CUDA out of memory"


def test_a_growing_record_sends_only_its_new_epochs_and_nothing_twice(uri, store, client):
    recorder = Recorder(uri, EXPERIMENT, store)
    recorder.write(trial(1, status="running", count=2))
    recorder.write(trial(1, status="running", count=2))
    recorder.write(trial(1, status="running", count=4))
    _, children = runs_of(client, store)
    assert children["t1"].info.status == "RUNNING"
    assert steps(client, children["t1"], "accuracy") == [1, 2, 3, 4]
    assert "params" not in children["t1"].data.metrics
    for _ in range(2):
        recorder.write(trial(1, count=5))
    _, children = runs_of(client, store)
    assert children["t1"].info.status == "FINISHED"
    assert steps(client, children["t1"], "accuracy") == [1, 2, 3, 4, 5]
    assert steps(client, children["t1"], "params") == [5]


def test_what_a_teacher_reaches_on_test_data_is_sent_also_when_it_comes_later(uri, store, client):
    recorder, teacher = Recorder(uri, EXPERIMENT, store), trial(9, role="teacher", count=2)
    recorder.write(teacher)
    late = {"metrics": {**teacher.metrics, "test_accuracy": 0.75}}
    for _ in range(2):
        recorder.write(teacher.model_copy(update=late))
    _, children = runs_of(client, store)
    assert children["t9"].data.metrics["test_accuracy"] == 0.75
    assert steps(client, children["t9"], "params") == [2]


def test_another_process_goes_on_where_one_has_died(uri, store, client):
    Recorder(uri, EXPERIMENT, store).write(trial(1, status="running", count=2))
    for result in (trial(1, count=3), trial(2)):
        store.write(result)
    store.update_meta(status="complete")
    for _ in range(2):
        assert sync(RunStore.open(store.directory), uri, EXPERIMENT) == 2
    _, children = runs_of(client, store)
    assert steps(client, children["t1"], "accuracy") == [1, 2, 3]
    assert steps(client, children["t2"], "params") == [3]


def test_points_that_were_sent_without_their_count_are_kept_once(uri, store, client, monkeypatch):
    recorder = Recorder(uri, EXPERIMENT, store)
    recorder.write(trial(1, status="running", count=1))
    send = recorder._client.log_batch

    def dies_before_the_tags(run_id, metrics=(), params=(), tags=()):
        send(run_id, metrics=metrics, params=params)
        raise OSError("connection lost")

    monkeypatch.setattr(recorder._client, "log_batch", dies_before_the_tags)
    with pytest.raises(OSError, match="connection lost"):
        recorder.write(trial(1, count=3))
    Recorder(uri, EXPERIMENT, store).write(trial(1, count=3))
    _, children = runs_of(client, store)
    assert steps(client, children["t1"], "accuracy") == [1, 2, 3]
    assert steps(client, children["t1"], "params") == [3]


def test_more_points_than_one_call_takes(uri, store, client):
    Recorder(uri, EXPERIMENT, store).write(trial(1, epochs=epochs(400)))
    _, children = runs_of(client, store)
    assert steps(client, children["t1"], "loss") == list(range(1, 401))


def test_a_resumed_sweep_moves_its_front_and_runs_again(uri, store, client):
    objectives = store.meta.objectives
    recorder = Recorder(uri, EXPERIMENT, store)
    first, better = trial(2), trial(3, metrics={"accuracy": 0.9, "params": 50.0})
    recorder.write(first)
    recorder.finish("stopped", [first], front([first], objectives))
    parent, children = runs_of(client, store)
    assert parent.info.status == "KILLED"
    assert children["t2"].data.tags["on_front"] == "true"
    again = Recorder(uri, EXPERIMENT, store)
    assert runs_of(client, store)[0].info.status == "RUNNING"
    again.write(better)
    again.finish("complete", [first, better], front([first, better], objectives))
    parent, children = runs_of(client, store)
    assert parent.info.status == "FINISHED"
    assert children["t2"].data.tags["on_front"] == "false"
    assert children["t3"].data.tags["on_front"] == "true"


def test_the_experiment_opens_in_the_view_for_training(uri, store, client, runs_root):
    Recorder(uri, EXPERIMENT, store)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
    assert experiment.artifact_location == (runs_root / "mlartifacts").as_uri()


def test_a_deleted_experiment_is_named(uri, store, client):
    client.delete_experiment(client.create_experiment("gone"))
    with pytest.raises(ResultError, match="'gone' was deleted; restore it, or name another"):
        Recorder(uri, "gone", store)


def test_a_server_that_is_down_delays_nothing_and_loses_nothing(uri, store, client):
    warnings = []
    tracker = Tracker("http://me:s3cret@127.0.0.1:9", EXPERIMENT, store, warn=warnings.append)
    began = time.monotonic()
    tracker.start()
    for number in range(3):
        store.write(trial(number))
        tracker.log(trial(number))
    tracker.finish("complete", [])
    assert time.monotonic() - began < 1, "the driver waited"
    assert not tracker.close(60)
    refused, unsent = warnings
    assert refused.startswith("MLflow at http://127.0.0.1:9 does not take results: ")
    assert refused.endswith(f"the sweep goes on, its records are in {store.directory}")
    assert f"the records in {store.directory} are complete" in unsent
    assert "s3cret" not in refused + unsent
    with pytest.raises(ResultError, match=r"MLflow at http://127\.0\.0\.1:9 does not take"):
        sync(store, "http://127.0.0.1:9", EXPERIMENT)
    assert "does not take results: no server answers there; the sweep goes on" in refused
    assert sync(store, uri, EXPERIMENT) == 3
    assert set(runs_of(client, store)[1]) == {"t0", "t1", "t2"}


def test_the_sync_command_sends_what_is_missing(uri, store, client):
    store.write(trial(1))
    for _ in range(2):
        done = CliRunner().invoke(app, ["sync", str(store.directory), "--uri", uri])
        assert (done.exit_code, done.stdout) == (
            0,
            f"{store.directory}: sending its records to MLflow at {uri}\n"
            f"{store.directory}: MLflow at {uri} has all 1 records\n",
        )
    _, children = runs_of(client, store)
    assert set(children) == {"t1"}


@pytest.mark.parametrize(
    ("uri", "sentence"),
    [
        ("http://u:pw@127.0.0.1:9",
         "no MLflow server answers at http://127.0.0.1:9 ([Errno 111] Connection refused); start "
         "it (`mlflow server`), or name another with --uri"),
        ("postgresql+psycopg2://127.0.0.1:9/mlflow",
         "no MLflow database answers at postgresql+psycopg2://127.0.0.1:9/mlflow ([Errno 111] "
         "Connection refused); start it, or name another with --uri"),
        ("ftp://x", "--uri: 'ftp://x' is not allowed: must be a server (http://HOST:PORT, "),
    ],
)  # fmt: skip
def test_sync_finds_at_once_that_nobody_answers(store, monkeypatch, uri, sentence):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    began = time.monotonic()
    done = CliRunner().invoke(app, ["sync", str(store.directory), "--uri", uri])
    assert time.monotonic() - began < 5
    assert str(done.exception).startswith(sentence)
    assert done.stdout == ""


def test_where_the_disk_is_full_it_is_not_said_that_the_sweep_goes_on(uri, store, monkeypatch):
    def full(*given):
        raise OSError("database or disk is full")

    monkeypatch.setattr(Recorder, "write", full)
    warnings = []
    tracker = Tracker(uri, EXPERIMENT, store, warn=warnings.append)
    store.write(trial(1))
    tracker.log(trial(1))
    tracker.start()
    tracker.close(60)
    assert warnings[0] == (
        f"MLflow at {uri} does not take results: database or disk is full; its records are in "
        f"{store.directory}"
    )


def test_a_refused_record_does_not_hold_up_the_others(uri, store, client, monkeypatch):
    write = Recorder.write

    def refuse_one(self, result):
        if result.trial_id == "t1":
            raise ValueError("no such thing\nmore")
        write(self, result)

    monkeypatch.setattr(Recorder, "write", refuse_one)
    warnings = []
    tracker = Tracker(uri, EXPERIMENT, store, warn=warnings.append)
    for number in (1, 2, 3):
        store.write(trial(number))
        tracker.log(trial(number))
    tracker.start()
    until = time.monotonic() + 60
    while set(tracker._pending) != {"t1"} and time.monotonic() < until:
        time.sleep(0.02)
    tracker.finish("complete", [])
    assert not tracker.close(60)
    assert "does not take results: no such thing; the sweep goes on" in warnings[0]
    assert len(warnings) == 2
    assert set(runs_of(client, store)[1]) == {"t2", "t3"}


def test_only_the_newest_record_of_a_trial_waits(uri, store):
    tracker = Tracker(uri, EXPERIMENT, store, warn=pytest.fail)
    for count in range(1, 50):
        tracker.log(trial(1, status="running", count=count))
    assert [len(r.epochs) for r in tracker._pending.values()] == [49]


def test_importing_the_room_does_not_import_mlflow():
    code = "import sys, kdsweep.tracking; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_where_things_are(tmp_path):
    uri = default_uri(tmp_path / "runs")
    assert uri == f"sqlite:///{tmp_path}/runs/mlflow.db"
    assert artifact_location(uri) == f"file://{tmp_path}/runs/mlartifacts"
    assert artifact_location("http://server:5000") is None


def test_what_a_person_has_set_stays_but_for_pickles(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "5")
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "true")
    prepare_environment()
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "5"
    assert os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"


def test_the_server_needs_a_store_and_a_port(uri, store, tmp_path):
    with pytest.raises(ResultError, match=r"no sweep has been tracked here yet \(no mlflow\.db\)"):
        store_under(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ResultError, match=rf"cannot listen on 127\.0\.0\.1:{port}: Address"):
            Server(uri, host="127.0.0.1", port=port)


def test_the_ui_opens_at_the_runs(uri, store, client, runs_root):
    Recorder(uri, EXPERIMENT, store)
    experiment = client.get_experiment_by_name(EXPERIMENT).experiment_id
    assert store_under(runs_root) == uri
    page = runs_page(uri, "http://127.0.0.1:5000")
    assert page == (
        f"http://127.0.0.1:5000/#/experiments/{experiment}/runs?workflowType=machine_learning"
        "&viewStateShareKey=kdsweep-sweeps"
    )
    assert command(uri, host="127.0.0.1", port=5001)[1:] == [
        "-m", "mlflow", "server", "--app-name", "kdsweep", "--backend-store-uri", uri,
        "--default-artifact-root", f"{(runs_root / 'mlartifacts').as_uri()}",
        "--no-serve-artifacts", "--host", "127.0.0.1", "--port", "5001", "--workers", "1",
    ]  # fmt: skip


def test_the_server_shows_the_artifacts_and_ends_with_its_workers(uri, store, client):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    recorder = Recorder(uri, EXPERIMENT, store)
    recorder.write(trial(1))
    recorder.finish("complete", [trial(1)], [trial(1)])
    parent, _ = runs_of(client, store)
    server = Server(uri, host="127.0.0.1", port=port)
    try:
        server.wait_until_up()
        picture = f"{server.address}/get-artifact?path=front.png&run_uuid={parent.info.run_id}"
        with urllib.request.urlopen(picture, timeout=60) as answer:
            assert answer.read().startswith(b"\x89PNG")
    finally:
        server.stop()
    assert server.process.poll() is not None
    with socket.socket() as probe, pytest.raises(ConnectionRefusedError):
        probe.connect(("127.0.0.1", port))


def test_a_server_that_cannot_start_says_where_its_log_is(monkeypatch, tmp_path):
    dies = [sys.executable, "-c", "raise SystemExit('file is not a database')"]
    monkeypatch.setattr("kdsweep.tracking.server.command", lambda uri, host, port: dies)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Server(default_uri(tmp_path), host="127.0.0.1", port=port)
    with pytest.raises(ResultError, match=r"ended at once; see .*mlflow-server\.log"):
        server.wait_until_up()
    assert server.log.read_text() == "file is not a database\n"
