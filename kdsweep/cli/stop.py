"""``kdsweep stop``: end a sweep cleanly, from any machine that sees its records."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kdsweep.cli.saying import say
from kdsweep.cli.status import JobsAddress, RunOrJob, is_job, jobs_at

if TYPE_CHECKING:
    from kdsweep.results.processes import Holder

LOOK_EVERY_S, STORE_EVERY_S = 0.5, 3.0
"""How often a run is looked at, in a directory and in an object store."""


def stop(
    run: RunOrJob,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Wait until it has ended, and say how.")
    ] = True,
    address: JobsAddress = None,
) -> None:
    """Stop a sweep as Ctrl-C does.

    What is done is kept, and resume goes on. The request is a file of the run,
    which whoever drives the sweep sees within seconds, on whatever machine.

    \b
    Examples:
      kdsweep stop runs/digits
      kdsweep stop runs/digits --no-wait
      kdsweep stop kdsweep-digits-1a2b3c4d     a job, where runs/ is not seen
    """
    if is_job(run):
        _stop_job(str(run), address, wait=wait)
        return
    from kdsweep.errors import ResultError
    from kdsweep.results.holder import living_holder
    from kdsweep.results.stopping import ask_to_stop
    from kdsweep.results.store import RunStore

    store = RunStore.open(run)
    status, place = store.meta.status, store.place
    holder = living_holder(run)
    if holder is None:
        died = f"; `kdsweep resume {place}` goes on with it"
        raise ResultError(
            "nobody drives it, so there is nothing to stop: "
            + (f"it has died{died}" if status == "running" else f"it is {status}"),
            source=place,
        )
    try:
        ask_to_stop(run)
    except OSError as error:
        raise ResultError(f"cannot be written to: {error}", source=place) from error
    say(f"{place}: asked {holder.words} to stop")
    if wait:
        say(f"{place}: {_ended(run, holder)}")


def _ended(run: Path, holder: "Holder") -> str:
    """How the sweep ended that ``holder`` drives; waits for it."""
    from kdsweep.results.at_hand import up_to_date
    from kdsweep.results.holder import living_holder
    from kdsweep.results.store import RunStore
    from kdsweep.storage.copies import address_of

    while (now := living_holder(run)) is not None and now.token == holder.token:
        time.sleep(LOOK_EVERY_S if address_of(run) is None else STORE_EVERY_S)
    up_to_date(run)
    store = RunStore.open(run)
    meta, place = store.meta, store.place
    if meta.status == "running":
        return f"its driver died; `kdsweep resume {place}` goes on"
    if meta.status == "stopped":
        return f"stopped; `kdsweep resume {place}` goes on"
    return f"{meta.status} before it could be stopped"


def _stop_job(job: str, address: str | None, *, wait: bool) -> None:
    from kdsweep.errors import ResultError

    server = jobs_at(address)
    if not server.stop(job):
        told, _ = server.state(job)
        raise ResultError(f"{job}: does not run, so there is nothing to stop: it is {told}")
    if not wait:
        typer.echo(f"{job}: asked to stop; `kdsweep status {job}` says when it has")
        return
    typer.echo(f"{job}: asked to stop")
    told, sentence = server.wait(job)
    if told == "STOPPED":
        say(f"{job}: {told}; `kdsweep resume RUN` goes on, where its records are seen")
    else:
        say(f"{job}: {told} before it could be stopped; {sentence}")
