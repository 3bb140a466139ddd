"""An MLflow server that refuses, and takes five seconds for each answer."""

import socket
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import suppress

import pytest
from finished_sweeps import (
    TWO_LANES,
    begun,
    environment,
    finished,
    kdsweep,
    records,
    until,
)
from mlflow import MlflowClient
from ray_nodes import spare_port

from kdsweep.results.store import RunStore

pytestmark = pytest.mark.ray

SWEEP = """
name: tracked
trial:
  data: {name: digits}
  student: {name: cnn, width: 4, stages: 2, hidden: 12}
  strategy: {name: none}
  train: {epochs: 12, batch_size: 64}
space:
  student.width: {int: [2, 8]}
  train.lr: {loguniform: [1.0e-3, 3.0e-2]}
search: {sampler: random, trials: 7, seed: 1, rungs: null}
"""
PLANNED = 8
SLOW_S = 5.0


class Between:
    """Stands between a client and the server at ``port``; ``how`` is what it does to a call."""

    def __init__(self, port):
        self.how, self.server, self.num_slow = "refuses", port, 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            client, _ = self._listening.accept()
            if self.how == "refuses":
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", self.server))
            for pair in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source, target, is_request):
        with suppress(OSError):
            while data := source.recv(65536):
                if is_request and self.how == "slow":
                    self.num_slow += 1
                    time.sleep(SLOW_S)
                target.sendall(data)
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A real server over HTTP, and what stands before it."""
    place, port = tmp_path_factory.mktemp("server"), spare_port()
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                sys.executable, "-m", "mlflow", "server", "--workers", "1", "--port", str(port),
                "--backend-store-uri", f"sqlite:///{place / 'mlflow.db'}",
                "--artifacts-destination", str(place / "artifacts"),
            ],
            env=environment(MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false"),
            stdout=log,
            stderr=log,
        )  # fmt: skip
    try:

        def answers():
            with suppress(OSError):
                return urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5)

        until(answers, seconds=150, every=0.5)
        yield Between(port)
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def swept(server, tmp_path_factory):
    """The run, how the server behaved when trials ended, and how its command ended."""
    home = tmp_path_factory.mktemp("tracked")
    uri = f"http://127.0.0.1:{server.port}"
    (home / "tracked.yaml").write_text(f"{SWEEP}tracking: {{uri: '{uri}'}}\n{TWO_LANES}")
    run, seen = home / "runs" / "tracked", {}
    process = begun("run", "tracked.yaml", cwd=home)

    def num_ended():
        return (
            sum(r.status == "complete" for r in RunStore.open(run).read())
            if (run / "run.json").exists()
            else 0
        )

    def look():
        seen.setdefault(num_ended(), server.how)
        if num_ended() >= 3:
            server.how = "slow"
        return num_ended() == PLANNED or process.poll() is not None

    try:
        until(look, seconds=170)
        began = time.monotonic()
        out, err = process.communicate(timeout=120)
        closing_s = time.monotonic() - began
    finally:
        process.kill()
    done = subprocess.CompletedProcess(process.args, process.returncode, out, err)
    return home, run, uri, seen, done, closing_s


def test_the_sweep_goes_on_whatever_the_server_does_and_says_so_in_a_line(server, swept):
    _, run, uri, seen, done, closing_s = swept
    finished(done)
    # Two trials may end between two looks.
    assert next(how for num_ended, how in seen.items() if 1 <= num_ended <= 3) == "refuses"
    assert server.num_slow > 0
    meta, trials, _ = records(run)
    assert (meta.status, len(trials)) == ("complete", PLANNED)
    told = [line for line in done.stdout.splitlines() if line.startswith(f"MLflow at {uri}")]
    assert len(told) == 2, done.stdout
    assert "does not take results" in told[0]
    assert told[1].endswith("`kdsweep sync runs/tracked` sends the rest")
    # At the end it gives the server half a minute.
    assert closing_s < 100


def test_what_could_not_be_sent_is_sent_later_and_nothing_twice(server, swept):
    home, run, uri, _, _, _ = swept
    server.how = "passes on"
    for _ in range(2):
        done = finished(kdsweep("sync", "runs/tracked", cwd=home))
        assert done.stdout.splitlines() == [
            f"runs/tracked: sending its records to MLflow at {uri}",
            f"runs/tracked: MLflow at {uri} has all {PLANNED} records",
        ]
    client = MlflowClient(tracking_uri=f"http://127.0.0.1:{server.server}")
    (experiment,) = [e for e in client.search_experiments() if e.name == "kdsweep"]
    runs = client.search_runs([experiment.experiment_id])
    parents = [r for r in runs if r.data.tags.get("role") == "sweep"]
    children = {r.data.tags["kdsweep.trial_id"]: r for r in runs if r not in parents}
    assert (len(parents), len(runs)) == (1, PLANNED + 1)
    assert parents[0].info.status == "FINISHED"
    for trial in records(run)[1]:
        child = children[trial.trial_id]
        points = client.get_metric_history(child.info.run_id, "accuracy")
        assert [(p.step, p.value) for p in points] == [(e.epoch, e.accuracy) for e in trial.epochs]
        assert child.data.metrics["params"] == trial.metrics["params"]
