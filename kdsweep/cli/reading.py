"""What the commands that read a run have in common: their argument, and how they print."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from kdsweep.cli.saying import warn
from kdsweep.results.at_hand import run_at_hand
from kdsweep.results.record import TrialResult
from kdsweep.results.store import RunStore

RunArgument = Annotated[
    Path,
    typer.Argument(metavar="RUN", parser=run_at_hand, help="A run's directory or address."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def read(store: RunStore) -> list[TrialResult]:
    """Every record of a run; what is wrong with any of them is warned of."""
    results = store.read()
    warn_all(store.problems)
    confirms = store.meta.confirms
    if confirms is not None:
        only = (
            "its students have learned from the validation data, so that they have no accuracy "
            "on them" if confirms.with_validation
            else "what is told of it here is on validation data, by which nothing was confirmed"
        )  # fmt: skip
        warn(
            f"{store.place} confirms {confirms.run}: {only}; "
            f"`kdsweep confirm {store.place} --show` has its numbers on test data"
        )
    return results


def warn_all(problems: Iterable[str]) -> None:
    """A warning for each."""
    for problem in problems:
        warn(problem)


def print_json(value: object) -> None:
    """For scripts; a number that is not finite is a mistake."""
    typer.echo(json.dumps(value, indent=1, allow_nan=False))
