"""Who can reach MLflow's server, what it may do, and that no password is written down."""

import socket
import sys
from pathlib import Path

import pytest
from calling import run
from listening import HAS_PROC, beyond_this_machine, listening, processes_below
from tracking_trials import trial

from kdsweep.search.quiet import chatter_in
from kdsweep.tracking.recorder import Recorder
from kdsweep.tracking.server import Server, is_reached_by_others
from kdsweep.tracking.tracker import Tracker

SECRET = "s3cret-of-mine"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def files_with(directory, secret):
    files = (path for path in directory.rglob("*") if path.is_file())
    return [path for path in files if secret.encode() in path.read_bytes()]


@pytest.mark.parametrize(
    ("host", "others"),
    [("127.0.0.1", False), ("localhost", False), ("0.0.0.0", True), ("198.51.100.7", True)],
)
def test_which_hosts_others_can_reach(host, others):
    assert is_reached_by_others(host) == others


@pytest.mark.parametrize(("host", "warns"), [("0.0.0.0", True), ("127.0.0.1", False)])
def test_the_ui_says_when_other_machines_can_reach_it(
    uri, store, runs_root, monkeypatch, capsys, host, warns
):
    Recorder(uri, "kdsweep", store)
    ends = [sys.executable, "-c", "raise SystemExit(3)"]
    monkeypatch.setattr("kdsweep.tracking.server.command", lambda uri, host, port: ends)
    port = free_port()
    assert run("ui", "--runs-dir", runs_root, "--host", host, "--port", port) == 2
    sentence = (
        f"warning: other machines can reach it at {host}:{port}, and it asks nobody for a "
        "password: they can read, change and delete all that is tracked here\n"
    )
    assert (sentence in capsys.readouterr().err) == warns


@pytest.mark.skipif(not HAS_PROC, reason="reads Linux's /proc")
def test_the_server_is_closed_and_gets_no_password_written_down(
    uri, store, client, runs_root, monkeypatch, capfd
):
    Recorder(uri, "kdsweep", store)
    port = free_port()
    server = Server(uri, host="127.0.0.1", port=port)
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", f"{SECRET}-token")
    try:
        server.wait_until_up()
        found = listening(server.process.pid)
        assert ("127.0.0.1", port) in found
        assert beyond_this_machine(found) == {}
        for pid in processes_below(server.process.pid):
            given = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            assert b"MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false" in given
            assert b"MLFLOW_ALLOW_PICKLE_DESERIALIZATION=false" in given
        warnings = []
        with chatter_in(store.directory):
            for address in (f"me:{SECRET}@127.0.0.1:{port}", f"me:{SECRET}@127.0.0.1:9/?token=x"):
                tracker = Tracker(f"http://{address}", "kdsweep", store, warn=warnings.append)
                store.write(trial(1, status="failed", error=f"no http://{address} here"))
                store.update_meta(tracking_uri=f"http://{address}")
                tracker.log(store.read()[0])
                tracker.start()
                tracker.finish("complete", [])
                tracker.close(60)
    finally:
        server.stop()
    assert "does not take results" in warnings[0], "the second address has nobody"
    assert SECRET not in " ".join([*warnings, *capfd.readouterr()])
    ids = [e.experiment_id for e in client.search_experiments()]
    own = f"tags.`kdsweep.sweep_id` = '{store.meta.sweep_id}'"
    tags = [run.data.tags for run in client.search_runs(ids, own)]
    assert len(tags) == 2
    assert SECRET not in str(tags)
    assert files_with(store.directory, SECRET) == []
    assert SECRET.encode() not in (runs_root / "mlflow.db").read_bytes()
