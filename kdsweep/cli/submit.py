"""``kdsweep submit``: a sweep as a Ray job, which goes on without this machine."""

from pathlib import Path
from typing import Annotated

import typer

from kdsweep.cli.early import check_place, checked_name, checking, refuse_place


def submit(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A sweep file (YAML).")],
    address: Annotated[
        str,
        typer.Option(
            "--address", envvar="RAY_API_SERVER_ADDRESS", help="The cluster's job server."
        ),
    ] = "http://127.0.0.1:8265",
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the run; the sweep's own if not given.")
    ] = None,
    runs_dir: Annotated[
        str | None,
        typer.Option(
            "--runs-dir",
            help="Where runs are kept, as the cluster's nodes see it; see run.",
        ),
    ] = None,
    elsewhere: Annotated[
        bool,
        typer.Option("--elsewhere", help="Do not look for data and weights: the cluster has them."),
    ] = False,
) -> None:
    """Send a sweep to a Ray cluster as a job.

    It runs there without this machine. The file is checked first. The current
    directory goes along, with the sweep file and your own classes in it; runs/,
    .git, virtual environments, caches and what .gitignore names stay here. Data
    do not go along.

    \b
    Examples:
      kdsweep submit search_spaces/digits.yaml
      kdsweep submit digits.yaml --runs-dir /shared/runs --name digits-2
      kdsweep submit digits.yaml --runs-dir s3://bucket/sweeps
    """
    from kdsweep.search.ray_jobs import Jobs, check_address, luggage, new_job, words_left_out
    from kdsweep.storage.address import is_address, place_of, under

    here = Path.cwd()
    sent = _inside(file, here)
    check_place(file, name, runs_dir, elsewhere=True)
    check_address(address)
    found = luggage(here)
    checking(file)
    from kdsweep.sweep_file import load, load_for_elsewhere

    sweep = load_for_elsewhere(file) if elsewhere else load(file)
    run_name = checked_name(sweep.spec.name if name is None else name)
    given = place_of(runs_dir or sweep.spec.storage.path or "runs")
    runs = given.absolute() if isinstance(given, Path) else given
    refuse_place(runs, run_name, elsewhere=True)
    server, job = Jobs(address), new_job(run_name)
    arguments = ["run", sent, "--address", "auto", "--runs-dir", str(runs), "--name", run_name]
    server.submit(job, arguments, directory=here)
    run = under(runs, run_name)
    files = "1 file" if found.num_files == 1 else f"{found.num_files} files"
    typer.echo(
        f"sent {files}, {found.size_bytes / 1e6:.1f} MB, of {here}; without {words_left_out()}"
    )
    typer.echo(f"submitted {job} to {server.address}; its records will be in {run}")
    for command, what in (("status", "how it is doing"), ("logs", "what it says"),
                          ("stop", "end it cleanly")):  # fmt: skip
        typer.echo(f"  kdsweep {command} {run}   {what}")
    if not is_address(runs):
        typer.echo(f"where {runs} is not seen, name the job instead: kdsweep status {job}")


def _inside(file: Path, here: Path) -> str:
    """The path of the sweep file as the job sees it.

    Raises:
        SpecError: it lies where it is not sent from.
    """
    from kdsweep.errors import SpecError

    if not file.exists():
        return str(file)  # said better when it is loaded
    try:
        return file.resolve().relative_to(here.resolve()).as_posix()
    except ValueError:
        raise SpecError(
            f"is not in the current directory, {here}, which is what is sent to the cluster; "
            "call the command from a directory that holds it",
            source=file,
        ) from None
