"""A real MLflow server over HTTP that asks for a password, which the environment has."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
from tracking_trials import trial

from kdsweep.errors import ResultError
from kdsweep.results.pareto import front
from kdsweep.tracking import Tracker, sync
from kdsweep.tracking.where import prepare_environment

pytest.importorskip("flask_wtf", reason="needs mlflow[auth]")

EXPERIMENT = "kdsweep-over-http"
UP_WITHIN_S = 240.0


def spare_port():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


@contextmanager
def mlflow_server(directory, store_uri, password):
    """The address of a server over ``store_uri`` whose only user is ``admin``."""
    settings = directory / "auth.ini"
    settings.write_text(
        "[mlflow]\ndefault_permission = NO_PERMISSIONS\nadmin_username = admin\n"
        f"database_uri = sqlite:///{directory / 'users.db'}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    port = spare_port()
    arguments = [
        "server", "--app-name", "basic-auth", "--backend-store-uri", store_uri,
        "--artifacts-destination", str(directory / "artifacts"), "--workers", "1",
        "--host", "127.0.0.1", "--port", str(port),
    ]  # fmt: skip
    environment = {
        **os.environ,
        "MLFLOW_AUTH_CONFIG_PATH": str(settings),
        "MLFLOW_AUTH_ADMIN_PASSWORD": password,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    log = directory / "server.log"
    with log.open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *arguments], env=environment, cwd=directory,
            stdout=said, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until_up(address, process, log)
        yield address
    finally:
        for how in (signal.SIGTERM, signal.SIGKILL):
            if process.poll() is None:
                os.killpg(process.pid, how)
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    continue


def wait_until_up(address, process, log):
    end = time.monotonic() + UP_WITHIN_S
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=5):
                return
        except urllib.error.HTTPError:
            return  # it asks who is there
        except OSError:
            time.sleep(0.2)
    raise AssertionError(log.read_text())


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The server's address, and the password of its user ``admin``."""
    directory = tmp_path_factory.mktemp("mlflow-server")
    password = secrets.token_urlsafe(16)
    with mlflow_server(directory, f"sqlite:///{directory / 'runs.db'}", password) as address:
        yield address, password


@pytest.fixture
def signed_in(server, monkeypatch):
    """The credentials of the server are in the environment, as a person or a cluster has them."""
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "admin")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", server[1])
    return server[0]


def runs_at(address, store):
    prepare_environment()
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=address, registry_uri=address)
    experiment = client.get_experiment_by_name(EXPERIMENT).experiment_id
    found = client.search_runs([experiment], f"tags.sweep = '{store.meta.name}'", max_results=1000)
    (parent,) = [run for run in found if run.data.tags["role"] == "sweep"]
    return client, parent, {run.data.tags["kdsweep.trial_id"]: run for run in found if run != parent
                            and "kdsweep.trial_id" in run.data.tags}  # fmt: skip


def test_a_sweep_is_recorded_over_http(signed_in, store, capfd):
    records_a_sweep(signed_in, store)
    said = capfd.readouterr()
    # Nothing comes between a sweep's own display.
    assert (said.out, said.err) == ("", "")


def records_a_sweep(signed_in, store):
    """Send three trials to the server, and read all of it back."""
    warnings = []
    trials = [trial(number) for number in (1, 2, 3)]
    tracker = Tracker(signed_in, EXPERIMENT, store, warn=warnings.append)
    tracker.start()
    for each in trials:
        store.write(each)
        tracker.log(each)
    tracker.finish("complete", front(trials, store.meta.objectives))
    assert tracker.close(120)
    assert warnings == []
    client, parent, children = runs_at(signed_in, store)
    assert parent.info.status == "FINISHED"
    assert set(children) == {"t1", "t2", "t3"}
    for each in trials:
        child = children[each.trial_id]
        assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert child.data.params["strategy.temperature"] == "4.0"
        history = client.get_metric_history(child.info.run_id, "accuracy")
        assert [(point.step, point.value) for point in history] == [
            (epoch.epoch, epoch.accuracy) for epoch in each.epochs
        ]
    # The artifacts went through the server too.
    text = Path(client.download_artifacts(parent.info.run_id, "sweep.yaml")).read_text()
    assert text == store.sweep_text.replace("me:s3cret@", "")


def test_nothing_of_the_credentials_is_in_the_records(signed_in, server, store):
    store.write(trial(1))
    with_user = signed_in.replace("http://", f"http://admin:{server[1]}@")
    assert sync(store, signed_in, EXPERIMENT) == 1
    store.update_meta(tracking_uri=with_user)
    for path in store.directory.rglob("*"):
        assert not path.is_file() or server[1].encode() not in path.read_bytes()


@pytest.mark.parametrize("password", [None, "wrong"])
def test_without_the_password_it_says_that_it_is_refused(server, store, monkeypatch, password):
    for name, value in (("USERNAME", "admin"), ("PASSWORD", password)):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}", raising=False)
        if password is not None:
            monkeypatch.setenv(f"MLFLOW_TRACKING_{name}", value)
    store.write(trial(1))
    with pytest.raises(ResultError) as refused:
        sync(store, server[0], EXPERIMENT)
    said = str(refused.value)
    assert f"MLflow at {server[0]} does not take" in said
    assert "401" in said or "authenticat" in said.lower()
    assert len(said.splitlines()) == 1


@contextmanager
def postgres(password):
    """The URI of an empty data base of a PostgreSQL server of its own."""
    # It does not run as root, and does not find what lies under pytest's directories.
    user = "postgres" if os.getuid() == 0 else None
    directory = Path(tempfile.mkdtemp(prefix="kdpg", dir="/tmp"))
    (directory / "password").write_text(password)
    if user:
        for path in (directory, directory / "password"):
            shutil.chown(path, user)
    data, port, process = directory / "data", spare_port(), None
    try:
        made = ["initdb", "-D", str(data), "-U", "kd", "-A", "scram-sha-256", "--no-sync"]
        subprocess.run(
            [*made, f"--pwfile={directory / 'password'}"], user=user, cwd=directory,
            capture_output=True, check=True,
        )  # fmt: skip
        process = subprocess.Popen(
            ["postgres", "-D", str(data), "-h", "127.0.0.1", "-p", str(port), "-k", str(directory)],
            user=user, cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        end = time.monotonic() + 60
        while not answers(port):
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.1)
        yield f"postgresql+psycopg2://kd:{password}@127.0.0.1:{port}/postgres"
    finally:
        if process is not None:
            process.terminate()
            process.wait(30)
        shutil.rmtree(directory, ignore_errors=True)


def answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.skipif(not shutil.which("initdb"), reason="needs PostgreSQL")
def test_a_sweep_is_recorded_by_a_server_over_postgresql(store, tmp_path, monkeypatch):
    pytest.importorskip("psycopg2")
    password = secrets.token_urlsafe(16)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "admin")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", password)
    with (
        postgres(secrets.token_hex(8)) as store_uri,
        mlflow_server(tmp_path, store_uri, password) as address,
    ):
        records_a_sweep(address, store)
