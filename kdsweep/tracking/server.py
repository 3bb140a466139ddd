"""MLflow's own server over the local store, for the UI."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from kdsweep.errors import ResultError
from kdsweep.tracking.experiment import runs_route
from kdsweep.tracking.first_visit import APP, STORE
from kdsweep.tracking.where import (
    artifact_location,
    artifacts_elsewhere,
    default_uri,
    prepare_environment,
    sqlite_file,
)

_STARTS_WITHIN_S = 120.0
_WITHOUT = "run one with `kdsweep run FILE`, or name the directory of the runs with `--runs-dir`"
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "localhost"}


def store_under(runs_root: Path, advice: str | None = None) -> str:
    """The URI of the store of the runs under ``runs_root``; ``advice`` is what to do without.

    Raises:
        ResultError: no sweep was tracked there.
    """
    uri = default_uri(runs_root)
    path = sqlite_file(uri)
    if path is None or not path.exists():
        raise ResultError(
            f"no sweep has been tracked here yet (no mlflow.db): {advice or _WITHOUT}",
            source=runs_root,
        )
    return uri


def runs_page(uri: str, address: str) -> str:
    """Where the UI lists the runs: of the only experiment, or the list of experiments.

    Raises:
        ResultError: the store cannot be read.
    """
    found = _experiments(uri)
    if len(found) == 1:
        return f"{address}/#/{runs_route(found[0])}"
    return f"{address}/#/experiments"


def warning_of(uri: str) -> str | None:
    """What the person should know of the store before they look at it, if anything.

    Raises:
        ResultError: the store cannot be read.
    """
    return artifacts_elsewhere(uri, _experiments(uri))


def _experiments(uri: str) -> list[Any]:
    prepare_environment()
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    try:
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        return [each for each in client.search_experiments() if each.name != "Default"]
    except MlflowException as error:
        raise ResultError(f"MLflow cannot read its store: {error}", source=uri) from error


def is_reached_by_others(host: str) -> bool:
    """Whether a server that listens on ``host`` answers other machines too."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return False  # nothing can listen there: `Server` says so
    return not all(ip_address(str(place[4][0]).partition("%")[0]).is_loopback for place in found)


class Server:
    """A running server, a group of processes; whoever starts it must ``stop`` it."""

    def __init__(self, uri: str, *, host: str, port: int) -> None:
        """Start it; its own words go to ``mlflow-server.log`` beside the store.

        Raises:
            ResultError: the port is taken or the host is not one of this machine.
        """
        _check_free(host, port)
        self.address = f"http://{_ANYWHERE.get(host, host)}:{port}"
        path = sqlite_file(uri)
        self.log = (path.parent if path else Path()) / "mlflow-server.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command(uri, host=host, port=port),
                env=_environment(uri),
                stdout=log,
                stderr=subprocess.STDOUT,
                # A group of its own: Ctrl-C reaches this process, which ends all of the group.
                start_new_session=True,
            )

    def wait_until_up(self) -> None:
        """Return when the server answers.

        Raises:
            ResultError: it ended, or did not answer in two minutes.
        """
        until = time.monotonic() + _STARTS_WITHIN_S
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise ResultError(f"the MLflow server ended at once; see {self.log}")
            try:
                with urllib.request.urlopen(f"{self.address}/health", timeout=5):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
        self.stop()
        raise ResultError(f"the MLflow server does not answer; see {self.log}")

    def stop(self) -> None:
        """End it and its workers."""
        for how in (signal.SIGTERM, signal.SIGKILL):
            if self.process.poll() is not None:
                return
            os.killpg(self.process.pid, how)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(10)


def command(uri: str, *, host: str, port: int) -> list[str]:
    """What starts the server: it reads the artifacts where the driver has put them."""
    given = [sys.executable, "-m", "mlflow", "server", "--app-name", APP]
    given += ["--backend-store-uri", uri]
    root = artifact_location(uri)
    given += ["--default-artifact-root", root] if root else []
    return [
        *given, "--no-serve-artifacts", "--host", host, "--port", str(port), "--workers", "1"
    ]  # fmt: skip


def _environment(uri: str) -> dict[str, str]:
    prepare_environment()
    # Jobs and pickles would let whoever reaches the port run code here.
    return {**os.environ, STORE: uri, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def _check_free(host: str, port: int) -> None:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(found[0], found[1]) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(found[4])
    except OSError as error:
        raise ResultError(
            f"cannot listen on {host}:{port}: {error.strerror or error}; "
            "choose another with `--port` or `--host`"
        ) from error
