"""``kdsweep ui``: all sweeps in the MLflow UI."""

import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from kdsweep.cli.saying import meanwhile, tell, warn
from kdsweep.cli.tracked import asked_tracking
from kdsweep.errors import ResultError
from kdsweep.results.runs import find_runs
from kdsweep.results.store import RunStore
from kdsweep.storage.copies import root_at_hand

_LOOK_EVERY_S = 1.0


def serve_ui(
    runs_dir: Annotated[
        str, typer.Option(help="The directory or address that holds the runs.")
    ] = "runs",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")] = 5000,
    host: Annotated[
        str, typer.Option(help="The address to listen on; the default is this machine alone.")
    ] = "127.0.0.1",
) -> None:
    """Browse all sweeps in the MLflow UI; Ctrl-C ends it.

    It reads the mlflow.db that lies beside the runs. Sweeps that were sent to a
    server of their own (tracking.uri) are seen there.

    \b
    Example:
      kdsweep ui --port 5001
    """
    root = root_at_hand(runs_dir)
    meanwhile("loading MLflow")
    from kdsweep.tracking.server import (
        Server,
        is_reached_by_others,
        runs_page,
        warning_of,
    )

    # A polite kill must not leave the server behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    server = None
    try:
        uri = _tracked_under(root)
        server = Server(uri, host=host, port=port)
        tell(f"starting the MLflow UI (its log: {server.log})")
        if is_reached_by_others(host):
            warn(
                f"other machines can reach it at {host}:{port}, and it asks nobody for a "
                "password: they can read, change and delete all that is tracked here"
            )
        if warning := warning_of(uri):
            warn(warning)
        page = runs_page(uri, server.address)
        server.wait_until_up()
        tell(f"open {page}   (Ctrl-C ends it)")
        code = server.process.wait()
        raise ResultError(f"the MLflow server ended with code {code}; see {server.log}")
    except KeyboardInterrupt:
        typer.echo("ended")
    finally:
        if server is not None:
            server.stop()


def _tracked_under(root: Path) -> str:
    """The store of the runs; that of a sweep which has just begun is waited for.

    Raises:
        ResultError: there is none, and no sweep is about to make it.
        SpecError: a run's sweep file says nothing of use on where it is tracked.
    """
    from kdsweep.tracking.server import store_under
    from kdsweep.tracking.where import default_uri, sqlite_file

    file, told = sqlite_file(default_uri(root)), False
    while file is not None and not file.exists():
        runs = find_runs(root)[0] if root.is_dir() else []
        begun = next((run for run in runs if run.is_held() and _is_tracked_here(run)), None)
        if begun is None:
            return store_under(root, _advice(runs))
        if not told:
            tell(f"waiting for {begun.place}, which has begun and sends its first trial soon")
        told = True
        time.sleep(_LOOK_EVERY_S)
    return store_under(root)


def _is_tracked_here(run: RunStore) -> bool:
    tracking = asked_tracking(run)
    return tracking.enabled and tracking.uri is None


def _advice(runs: Sequence[RunStore]) -> str | None:
    """What to do with the newest of the runs, none of which is tracked; none where there is none.

    Raises:
        SpecError: its sweep file says nothing of use on where it is tracked.
    """
    if not runs:
        return None
    elsewhere = asked_tracking(runs[0]).uri
    if elsewhere is None:
        return f"`kdsweep sync {runs[0].place}` sends what is in it"
    return f"{runs[0].place} is tracked at {elsewhere}, which has a UI of its own"
