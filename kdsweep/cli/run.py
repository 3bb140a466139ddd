"""``kdsweep run``: a sweep from its beginning to its end."""

import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kdsweep.cli import ended
from kdsweep.cli.early import check_cluster_option, check_place, checked_name, checking
from kdsweep.cli.outlasting import outlasting
from kdsweep.cli.saying import tell

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kdsweep.errors import TrialError
    from kdsweep.results.meta import RunMeta
    from kdsweep.results.record import TrialResult
    from kdsweep.results.store import RunStore
    from kdsweep.search.warm_start import WarmStart
    from kdsweep.sweep_file import Sweep

BEGAN = time.monotonic()
"""When the command began, but for Python's own start."""

INTERRUPTED = 130
"""The exit code of a command that Ctrl-C ended, as shells have it."""

_RunsDir = Annotated[
    str | None,
    typer.Option(
        "--runs-dir",
        help="Where runs, teachers and mlflow.db are kept, a directory or an address (s3://, "
        "gs://); the sweep's storage.path, or runs.",
    ),
]


def run(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A sweep file (YAML).")],
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the run; the sweep's own if not given.")
    ] = None,
    runs_dir: _RunsDir = None,
    address: Annotated[
        str | None, typer.Option("--address", help="A running Ray cluster: auto, or HOST:PORT.")
    ] = None,
) -> None:
    """Run a sweep: train its students, and print the front.

    The whole file is checked first; with a mistake in it nothing is started and
    nothing written. Ctrl-C ends the sweep cleanly: what is done is kept.

    \b
    Examples:
      kdsweep run search_spaces/digits.yaml
      kdsweep run search_spaces/digits.yaml --name digits-2
      kdsweep run search_spaces/digits.yaml --runs-dir s3://bucket/sweeps
    """
    check_cluster_option(address)
    check_place(file, name, runs_dir, elsewhere=False)
    checking(file)
    # Of torch, which takes seconds.
    from kdsweep.cli.check import bound_lines, clash_lines
    from kdsweep.cli.check_stored import refusals
    from kdsweep.results.store import RunStore
    from kdsweep.search.provenance import describe_run
    from kdsweep.search.warm_start import warm_start_of
    from kdsweep.storage.copies import root_at_hand
    from kdsweep.sweep_file import check_room, load

    sweep = load(file)
    run_name = checked_name(sweep.spec.name if name is None else name)
    root = root_at_hand(runs_dir or sweep.spec.storage.path or "runs")
    directory = root / run_name
    sweep = at_address(sweep, address)
    check_room(sweep)
    warm = warm_start_of(sweep)
    tell(f"sampler {sweep.sampler.name}: {sweep.sampler.why}")
    told = (*bound_lines(sweep), *clash_lines(sweep.pairing), *refusals(sweep.outputs))
    for line in told:
        tell(line, err=True, indent=_below_label(line))
    meta = describe_run(sweep, name=run_name, tracking_uri=tracking_uri(sweep, root))
    drive(
        sweep,
        meta,
        lambda: RunStore.create(directory, meta=meta, sweep_text=sweep.text),
        done=[],
        expected=None if warm is None else warm.expected,
        warm=warm,
    )


@outlasting()
def drive(
    sweep: "Sweep",
    meta: "RunMeta",
    open_store: "Callable[[], RunStore]",
    *,
    done: "list[TrialResult]",
    expected: "Mapping[str, Any] | None" = None,
    changes: "Mapping[str, Any]" = MappingProxyType({}),
    warm: "WarmStart | None" = None,
) -> None:
    """Run what is left of a sweep, show how it goes, and print the front.

    ``expected`` is what its lanes must find as it was, ``changes`` are of its meta data, ``warm``
    is what it learns from earlier sweeps: see ``search.run.run``.
    """
    from kdsweep.errors import TrialError
    from kdsweep.report.progress import Progress
    from kdsweep.results.record import ENDED
    from kdsweep.search.surroundings import StoppedEarlyError, interruptible

    in_a_hurry = False
    opened: list[RunStore] = []

    def opening() -> "RunStore":
        opened.append(open_store())
        return opened[0]

    num_done = sum(r.role != "teacher" and r.status in ENDED for r in done)
    with (
        interruptible(),
        Progress(meta.name, meta.trials, sweep.spec.objectives, done=num_done) as progress,
    ):
        from kdsweep.search.run import run as run_sweep

        try:
            status, store = run_sweep(
                sweep, opening, progress=progress, done=done, began=BEGAN, expected=expected,
                changes=changes, warm=warm,
            )  # fmt: skip
        except StoppedEarlyError:
            progress.message("stopped before it began: nothing was written")
            in_a_hurry = True
        except KeyboardInterrupt:
            progress.message("stopped at once")
            in_a_hurry = True
        except TrialError as error:
            raise _of_the_run(error, opened) from None
    if in_a_hurry:
        leave_at_once()
    results = store.read()
    ended.print_spent(store, results)
    ended.print_front(store, results)
    trials = [each for each in results if each.role != "teacher"]
    if trials and all(each.status == "failed" for each in trials):
        raise TrialError(
            f"every trial has failed; the first one: {trials[0].error}", source=store.place
        )
    if status == "stopped":
        tell(f"stopped; `kdsweep resume {store.place}` goes on", err=True)
        raise typer.Exit(INTERRUPTED)


def _below_label(line: str) -> int:
    """How far in a line of ``kdsweep check`` goes on, which has a label or stands below one."""
    from kdsweep.cli.wrapped import LABEL

    return LABEL - (len(line) - len(line.lstrip())) if line.startswith(" ") else 2


def leave_at_once() -> None:
    """End this process without waiting for a Ray that is half started or that others still ask."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(INTERRUPTED)


def _of_the_run(error: "TrialError", opened: "list[RunStore]") -> "TrialError":
    """Why a sweep failed, with the name of its run; noted there as well, for who looks later."""
    from kdsweep.errors import TrialError
    from kdsweep.storage.copies import address_of

    if not opened or error.source is not None:
        return error
    store = opened[0]
    here = "" if address_of(store.directory) is None else f" (here {store.directory})"
    # Where the disk is full this may not be written either; a run in a store has its own driver.
    with suppress(OSError):
        if not here and not store.is_held():
            store.update_meta(ended_by=error.problems[0])
    named = TrialError(error.problems, source=f"{store.place}{here}")
    for note in getattr(error, "__notes__", ()):
        named.add_note(note)
    return named


def at_address(sweep: "Sweep", address: str | None) -> "Sweep":
    """The sweep on the cluster at ``address``, if one is given."""
    if address is None:
        return sweep
    from dataclasses import replace

    cluster = sweep.spec.cluster.model_copy(update={"address": address})
    return replace(sweep, spec=sweep.spec.model_copy(update={"cluster": cluster}))


def tracking_uri(sweep: "Sweep", root: Path) -> str | None:
    """Where MLflow hears of a sweep whose run lies in ``root``; none where it does not."""
    from kdsweep.tracking.where import uri_of

    if not sweep.spec.tracking.enabled:
        return None
    return uri_of(sweep.spec.tracking, root)


def register(app: typer.Typer) -> None:
    """Put the command of this file into the application."""
    app.command()(run)
