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
    from pydantic import ValidationError

    from kdsweep.errors import SpecError, redacted
    from kdsweep.results.names import SWEEP_FILE
    from kdsweep.results.store import RunStore
    from kdsweep.spec import TrackingSpec
    from kdsweep.spec.problems import sentences
    from kdsweep.spec.surroundings import not_a_tracking_uri
    from kdsweep.tracking.tracker import sync as send
    from kdsweep.tracking.where import refuse_silence, uri_of

    if uri is not None and (wrong := not_a_tracking_uri(uri)):
        raise SpecError(f"--uri: {uri!r} {wrong}")
    store = RunStore.open(directory)
    if uri is not None:
        refuse_silence(uri)
    # Of torch, which takes seconds: after what is cheap to find.
    from kdsweep.sweep_file.read import parse_yaml

    raw, _ = parse_yaml(store.sweep_text)
    given = raw.get("tracking") or {}
    if uri is not None and isinstance(given, dict):
        given = {**given, "uri": None}
    try:
        tracking = TrackingSpec.model_validate(given)
    except ValidationError as error:
        problems = sentences(error, TrackingSpec, at="tracking")
        raise SpecError(problems, source=f"{store.place}/{SWEEP_FILE}") from None
    place = uri or uri_of(tracking, directory.parent)
    if uri is None:
        refuse_silence(place)
    say(f"{store.place}: sending its records to MLflow at {redacted(place)}")
    sent = send(store, place, tracking.experiment)
    for problem in store.problems:
        warn(problem)
    say(f"{store.place}: MLflow at {redacted(place)} has all {sent} records")
