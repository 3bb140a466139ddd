"""Where MLflow keeps its runs, and the environment that it is imported with."""

import os
import socket
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from filelock import FileLock

from kdsweep.errors import ResultError, redacted
from kdsweep.spec import TrackingSpec
from kdsweep.storage.atomic import sync_directory

_SQLITE = "sqlite:///"
_PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}
_KNOCK_TIMEOUT_S = 5.0
_ENVIRONMENT = {
    # With its defaults the client tries for about four minutes per call when a server is down.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    # Its records go where ours do, not to the screen.
    "MLFLOW_CONFIGURE_LOGGING": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # With a server it would print two lines for each trial, the password that it was given in them,
    # and draw bars, into the live display.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


def default_uri(runs_root: Path) -> str:
    """One SQLite store for all runs under ``runs_root``: the UI shows all sweeps at once."""
    return f"{_SQLITE}{(runs_root / 'mlflow.db').resolve()}"


def uri_of(tracking: TrackingSpec, runs_root: Path) -> str:
    """Where the runs under ``runs_root`` are tracked, as the sweep file says or by default."""
    return tracking.uri or default_uri(runs_root)


def sqlite_file(uri: str) -> Path | None:
    """The file of a local store; none for a server."""
    return Path(uri.removeprefix(_SQLITE)) if uri.startswith(_SQLITE) else None


def refuse_silence(uri: str, *, option: str = "--uri") -> None:
    """Check that somebody listens where MLflow's server or database should be.

    MLflow itself would try for minutes, and then quote the insides of its HTTP client. ``option``
    is what names another.

    Raises:
        ResultError: nobody does.
    """
    parts = urlsplit(uri)
    scheme, host = parts.scheme.partition("+")[0], parts.hostname
    if scheme not in _PORTS or not host or _is_behind_a_proxy(scheme, host):
        return
    what = "server" if scheme.startswith("http") else "database"
    try:
        port = parts.port or _PORTS[scheme]
        socket.create_connection((host, port), timeout=_KNOCK_TIMEOUT_S).close()
    except (OSError, ValueError) as error:
        start = "start it (`mlflow server`)" if what == "server" else "start it"
        raise ResultError(
            f"no MLflow {what} answers at {redacted(uri)} ({error}); {start}, or name another "
            f"with {option}"
        ) from None


def _is_behind_a_proxy(scheme: str, host: str) -> bool:
    return scheme in getproxies() and not proxy_bypass(host)


def artifact_location(uri: str) -> str | None:
    """Where a local store's artifacts go: beside it. A server decides for itself."""
    path = sqlite_file(uri)
    return None if path is None else (path.parent / "mlartifacts").resolve().as_uri()


def artifacts_elsewhere(uri: str, experiments: Iterable[Any]) -> str | None:
    """What to say where a local store was copied or moved without what its experiments refer to.

    The store has the place of an experiment's artifacts as a whole path, so that those of a copy
    are read from, and written to, where the original is.
    """
    path = sqlite_file(uri)
    if path is None:
        return None
    here = path.parent.resolve()
    for experiment in experiments:
        place = _local_path(experiment.artifact_location)
        # MLflow itself makes one called Default, in whatever directory it is started.
        if experiment.name == "Default" or place is None or place.resolve().is_relative_to(here):
            continue
        return (
            f"{path} was copied or moved: the files and pictures of its experiment "
            f"{experiment.name!r} are kept at {place}, not here; remove {path} and "
            "run `kdsweep sync RUN` for each run, which makes it anew with all of them here"
        )
    return None


def _local_path(location: str) -> Path | None:
    parts = urlsplit(location)
    return Path(unquote(parts.path)) if parts.scheme in ("", "file") else None


def prepare_environment() -> None:
    """Set what MLflow reads when it is imported; what a person has set stays, but for pickles."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"


@contextmanager
def only_one_creates(uri: str) -> Iterator[None]:
    """Two processes that create the tables of one SQLite file at once get in each other's way."""
    path = sqlite_file(uri)
    if path is None:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{path.name}.lock"), timeout=120):
        if not path.exists():
            _create(path)
        yield


def _create(path: Path) -> None:
    """A file with all of MLflow's tables, there whole or not at all.

    A process that dies while it makes them one by one would leave a file that MLflow can neither
    use nor mend.
    """
    from mlflow import MlflowClient

    for left in path.parent.glob(f".{path.name}.*.new*"):
        left.unlink(missing_ok=True)  # of one that died; whoever is here has the lock
    new = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.new")
    client = MlflowClient(tracking_uri=f"{_SQLITE}{new.resolve()}")
    client.search_experiments(max_results=1)
    client._tracking_client.store.engine.dispose()
    os.replace(new, path)
    sync_directory(path.parent)
