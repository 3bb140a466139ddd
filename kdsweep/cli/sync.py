"""``kdsweep sync``: what MLflow has not got of a run, from the run's own records."""

from pathlib import Path
from typing import Annotated

import typer

from kdsweep.cli.saying import say, warn
from kdsweep.results.at_hand import run_at_hand


def sync(
    directory: Annotated[
        Path,
        typer.Argument(metavar="RUN", parser=run_at_hand, help="A run's directory or address."),
    ],
    uri: Annotated[
        str | None, typer.Option("--uri", help="Send it there; else where the sweep file says.")
    ] = None,
) -> None:
    """Send to MLflow what it lacks of a run; nothing is sent twice.

    A sweep never waits for MLflow: what it could not send stays in its records.

    \b
    Example:
      kdsweep sync runs/digits
    """
    from kdsweep.cli.tracked import refuse_other_uri, tracking_of
    from kdsweep.errors import redacted
    from kdsweep.results.store import RunStore
    from kdsweep.tracking.tracker import sync as send
    from kdsweep.tracking.where import refuse_silence

    refuse_other_uri(uri, option="--uri")
    store = RunStore.open(directory)
    if uri is not None:
        refuse_silence(uri)
    # Of torch, which takes seconds: after what is cheap to find.
    place, experiment = tracking_of(store, uri, option="--uri")
    if uri is None:
        refuse_silence(place)
    say(f"{store.place}: sending its records to MLflow at {redacted(place)}")
    sent = send(store, place, experiment, warn=warn)
    for problem in store.problems:
        warn(problem)
    say(f"{store.place}: MLflow at {redacted(place)} has all {sent} records")
