"""``kdsweep logs``: what a run, its Ray job or one of its trials has said."""

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kdsweep.cli.saying import say, warn
from kdsweep.cli.status import JobsAddress, RunOrJob, is_job, jobs_at
from kdsweep.cli.wrapped import as_shown

if TYPE_CHECKING:
    from kdsweep.results.record import TrialResult

LOOK_EVERY_S, STORE_EVERY_S = 0.5, 5.0
"""How often it is looked for more, in a directory and in an object store."""


def logs(
    run: RunOrJob,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Print what comes until the run has ended.")
    ] = False,
    trial: Annotated[
        str | None, typer.Option("--trial", metavar="ID", help="What is known of one trial.")
    ] = None,
    address: JobsAddress = None,
) -> None:
    """Print the log of a run; of a Ray job its own output as well.

    The log has what Ray, Tune and the other libraries said. With --trial it is
    the record of that trial: its epochs, and why it failed.

    \b
    Examples:
      kdsweep logs runs/digits --follow
      kdsweep logs runs/digits --trial 7
      kdsweep logs kdsweep-digits-1a2b3c4d     a job, where runs/ is not seen
    """
    if is_job(run):
        server = jobs_at(address)
        _print([_Source("", lambda: server.output(str(run)))], _job_runs(server, str(run)), follow)
        return
    from kdsweep.results.at_hand import up_to_date
    from kdsweep.results.holder import living_holder
    from kdsweep.results.names import LOG_FILE
    from kdsweep.results.store import RunStore
    from kdsweep.storage.copies import address_of

    RunStore.open(run)
    if trial is not None:
        sources = [_Source("", lambda: _trial_text(run, trial))]
    else:
        log = run / LOG_FILE
        sources = [_Source(f"==> {log} <==", lambda: _text(log)), *_of_the_job(run, address)]

    def goes_on() -> bool:
        driven = living_holder(run) is not None
        up_to_date(run)
        return driven

    every_s = LOOK_EVERY_S if address_of(run) is None else STORE_EVERY_S
    _print(sources, goes_on, follow, every_s)


class _Source:
    """Text that grows; ``title`` is printed before what comes after another source."""

    def __init__(self, title: str, read: Callable[[], str]) -> None:
        self.title, self._read, self._told = title, read, 0

    def news(self) -> str:
        """What has come since the last call."""
        text = self._read()
        new, self._told = text[self._told :], len(text)
        return new


def _print(
    sources: list[_Source],
    goes_on: Callable[[], bool],
    follow: bool,
    every_s: float = LOOK_EVERY_S,
) -> None:
    last: _Source | None = None
    while True:
        # Asked first: what is said until then is printed below.
        more = follow and goes_on()
        for source in sources:
            if not (new := source.news()):
                continue
            if len(sources) > 1 and source is not last:
                say(source.title)
            say(new, nl=not new.endswith("\n") and not follow)
            last = source
        if not more:
            return
        time.sleep(every_s)


def _of_the_job(run: Path, address: str | None) -> list[_Source]:
    """The output of the run's Ray job, if it is one and its cluster answers."""
    from kdsweep.errors import KdsweepError
    from kdsweep.results.holder import read_job

    job = read_job(run)
    if not job:
        return []
    try:
        server = jobs_at(address)
        server.state(job)
    except KdsweepError as error:
        warn(f"the output of Ray job {job} is left out: {error}")
        return []
    return [_Source(f"==> output of Ray job {job} <==", lambda: server.output(job))]


def _job_runs(server: Any, job: str) -> Callable[[], bool]:
    return lambda: server.state(job)[0] in ("PENDING", "RUNNING")


def _text(log: Path) -> str:
    try:
        return log.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""


def _trial_text(run: Path, trial: str) -> str:
    """The record of a trial in lines."""
    from kdsweep.errors import ResultError
    from kdsweep.results.names import RESULT_FILE
    from kdsweep.results.store import RunStore

    store = RunStore.open(run)
    results = {result.trial_id: result for result in store.read()}
    found = results.get(trial) or results.get(trial.zfill(5))
    if found is None:
        names = {f"/{name}/{RESULT_FILE}" for name in (trial, trial.zfill(5))}
        if damaged := [each for each in store.problems if any(name in each for name in names)]:
            raise ResultError(f"{damaged[0]}; `kdsweep resume {store.place}` trains it again")
        if aside := _set_aside(run, (trial, trial.zfill(5))):
            raise ResultError(
                f"the record of trial {trial!r} could not be read when the sweep went on, and "
                f"another is trained in its place; what there was of it is in {aside}",
                source=store.place,
            )
        ids = sorted(results)
        have = f"{len(ids)} of them, {ids[0]} to {ids[-1]}" if ids else "none yet"
        raise ResultError(f"has no trial {trial!r} (have: {have})", source=run)
    return "".join(f"{as_shown(line)}\n" for line in _trial_lines(found))


def _set_aside(run: Path, names: tuple[str, str]) -> str:
    """Where the directories of a trial are that was set aside; empty if it was not."""
    from kdsweep.results.names import DAMAGED
    from kdsweep.storage.copies import name_of
    from kdsweep.storage.sizes import folders_in

    # The second of a name has a number after it.
    found = [
        each for each in folders_in(run / DAMAGED) if re.sub(r"-\d+$", "", each) in names
        or each in names
    ]  # fmt: skip
    return " and ".join(name_of(run / DAMAGED / each) for each in sorted(found))


def _trial_lines(result: "TrialResult") -> list[str]:
    from kdsweep.report.trial_line import epoch_words

    where = ", ".join(each for each in (result.lane, result.device, result.computed) if each)
    lines = [f"{result.trial_id} {result.label}" + (f" ({where})" if where else "")]
    lines += [f"  {path} = {json.dumps(value)}" for path, value in result.changes.items()]
    for epoch in result.epochs:
        lines.append(f"epoch {epoch.epoch}: {epoch_words(epoch)}")
    if result.status != "running":
        lines.append(result.status + (f": {result.error}" if result.error else ""))
    return lines + result.traceback.splitlines()
