"""``kdsweep ui``: all sweeps in the MLflow UI."""

import signal
from typing import Annotated

import typer

from kdsweep.cli.saying import meanwhile, tell, warn
from kdsweep.errors import ResultError
from kdsweep.storage.copies import root_at_hand


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
        store_under,
        warning_of,
    )

    uri = store_under(root)
    # A polite kill must not leave the server behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    server = Server(uri, host=host, port=port)
    try:
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
        server.stop()
