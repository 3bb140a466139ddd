"""``kdsweep status``: how a run is doing, and who drives it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kdsweep.cli.early import said_in
from kdsweep.cli.saying import say, tell, warn
from kdsweep.results.at_hand import run_at_hand, runs_at_hand

if TYPE_CHECKING:
    from kdsweep.results.store import RunStore

JobsAddress = Annotated[
    str | None,
    typer.Option(
        "--address",
        envvar="RAY_API_SERVER_ADDRESS",
        help="The cluster's job server; http://127.0.0.1:8265 if not given.",
    ),
]
RunOrJob = Annotated[
    Path,
    typer.Argument(
        metavar="RUN",
        parser=run_at_hand,
        help="A run's directory or address, or the name of a job of `submit`.",
    ),
]


def status(
    run: Annotated[
        Path | None,
        typer.Argument(
            metavar="RUN",
            parser=run_at_hand,
            help="A run's directory or address, or a job; all that run if not given.",
        ),
    ] = None,
    runs_dir: Annotated[
        str, typer.Option("--runs-dir", help="Where the runs are, if none is named.")
    ] = "runs",
    every: Annotated[
        bool, typer.Option("--all", help="Also runs that have ended, if none is named.")
    ] = False,
    address: JobsAddress = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    """Say how a run is doing, who drives it, and what it trains now.

    Without a RUN it is of all that run now, or that have died: their records say
    that they run, but nobody drives them (`kdsweep resume` goes on). It reads the
    run directory alone, from any machine that sees it.

    \b
    Examples:
      kdsweep status
      kdsweep status runs/digits
      kdsweep status kdsweep-digits-1a2b3c4d     a job, where runs/ is not seen
    """
    from kdsweep.report.run_status import status_lines
    from kdsweep.results.runs import find_runs
    from kdsweep.results.store import RunStore

    if run is not None and is_job(run):
        told, sentence = jobs_at(address).state(str(run))
        row = {"job": {"id": str(run), "status": told, "message": sentence}}
        say(json.dumps(row, indent=1) if as_json else f"{run}: {told}; {sentence}")
        return
    stores, problems = (
        ([RunStore.open(run)], []) if run is not None else find_runs(runs_at_hand(runs_dir))
    )
    for problem in problems:
        warn(problem)
    shown = stores if run is not None or every else [s for s in stores if _has_not_ended(s)]
    rows = [_row(store) for store in shown]
    for row in rows:
        if row["job"] and (address is not None or (run is not None and row["driver"])):
            row["job"] |= _told_of(row["job"]["id"], address)
    if as_json:
        typer.echo(json.dumps(rows if run is None else rows[0], indent=1, allow_nan=False))
        return
    for row in rows:
        tell("\n".join(status_lines(row)), 10)
    if told := _left_out(len(rows), len(stores), runs_dir):
        tell(told)


def _has_not_ended(store: "RunStore") -> bool:
    """Whether its records say that it runs, or somebody drives it all the same."""
    return store.meta.status == "running" or store.is_held()


def _left_out(shown: int, runs: int, runs_dir: str) -> str:
    """That there is nothing to show, or that some runs are not shown; else nothing."""
    ended = runs - shown
    if not runs:
        return f"no runs in {runs_dir}"
    if not ended:
        return ""
    are = "1 run has" if ended == 1 else f"{ended} runs have"
    none = "" if shown else f"no run in {runs_dir} is running; "
    return f"{none}{are} ended: `kdsweep list` names them, `kdsweep status --all` shows them"


def is_job(run: Path) -> bool:
    """Whether a command's RUN names a job rather than a directory."""
    return str(run).startswith("kdsweep-") and not run.exists()


def jobs_at(address: str | None) -> Any:
    """The job server that is meant."""
    from kdsweep.search.ray_jobs import JOBS_AT, Jobs

    return Jobs(address or JOBS_AT)


def _row(store: "RunStore") -> dict[str, Any]:
    from kdsweep.report.run_status import run_status
    from kdsweep.results.pareto import front

    results, meta = store.read(), store.meta
    for problem in store.problems:
        warn(problem)
    found = front(results, meta.objectives, constraints=meta.constraints)
    return run_status(store, results, found, budget=_budget(store.sweep_text))


def _budget(text: str) -> dict[str, Any] | None:
    """What the sweep may spend, from its file as it was given, which was checked then."""
    search = said_in(text).get("search")
    found = search.get("budget") if isinstance(search, dict) else None
    return found if isinstance(found, dict) else None


def _told_of(job: str, address: str | None) -> dict[str, str]:
    """What the job server says of it; that it says nothing is no reason to say nothing else."""
    from kdsweep.errors import KdsweepError

    try:
        told, sentence = jobs_at(address).state(job)
    except KdsweepError as error:
        return {"status": "not known", "message": str(error)}
    return {"status": told, "message": sentence}
