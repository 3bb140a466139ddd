"""Sweeps as Ray jobs: sent to a cluster, asked after, stopped, and their output read."""

import logging
import os
import shlex
import sys
import textwrap
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from kdsweep.errors import ResultError, SpecError
from kdsweep.search import environment  # noqa: F401  # before ray

JOBS_AT = "http://127.0.0.1:8265"
"""Where ``ray dashboard`` and ``ray attach -p 8265`` put a cluster's job server."""

JOB_PREFIX = "kdsweep-"
LEFT_OUT = (
    "/runs/", ".git/", ".venv/", "venv/", "node_modules/", "__pycache__/", "*.egg-info/",
    ".mypy_cache/", ".ruff_cache/", ".pytest_cache/", ".hypothesis/", ".ipynb_checkpoints/",
)  # fmt: skip
"""Of the working directory, in the manner of .gitignore; what that file names is left out too."""

STOP_WITHIN_S = 600
"""A job that is stopped writes its front and its records; Ray alone would give it three seconds."""

ENDED = ("STOPPED", "SUCCEEDED", "FAILED")
"""What Ray calls jobs that do not run any more."""

_KNOCK_TIMEOUT_S, _LOOK_EVERY_S = 10.0, 1.0
_OF_THE_ENVIRONMENT = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS")


@dataclass(frozen=True)
class Luggage:
    """What a job takes along: the files of a directory that are not left out."""

    num_files: int
    size_bytes: int


def luggage(directory: Path) -> Luggage:
    """Count what would be sent of ``directory``, by Ray's own rules.

    Raises:
        SpecError: it is more than Ray takes.
    """
    from ray._private.runtime_env import packaging

    num_files, size_bytes = 0, 0
    most = packaging.GCS_STORAGE_MAX_SIZE

    def count(path: Path) -> None:
        nonlocal num_files, size_bytes
        if path.is_file():
            num_files, size_bytes = num_files + 1, size_bytes + path.stat().st_size
        if size_bytes > most:
            raise SpecError(
                f"is too large to be sent as the job's working directory: more than "
                f"{most / 2**20:.0f} MiB without {words_left_out()}; call the command from a "
                "directory of its own with the sweep file and your code, or name what is not "
                "needed in .gitignore or .rayignore",
                source=directory,
            )

    quiet = logging.getLogger("kdsweep.luggage")
    quiet.setLevel(logging.CRITICAL)
    rules = [packaging._get_excludes(directory, list(LEFT_OUT))]
    packaging._dir_travel(directory, rules, count, include_gitignore=True, logger=quiet)
    return Luggage(num_files, size_bytes)


def words_left_out() -> str:
    """What is left out, for people."""
    return "runs/, .git, virtual environments, caches and what .gitignore names"


def new_job(run_name: str) -> str:
    """A name for the Ray job of a run that no other has."""
    return f"{JOB_PREFIX}{run_name}-{uuid.uuid4().hex[:8]}"


def entrypoint(arguments: list[str], *, python: str = sys.executable) -> str:
    """The shell's command of a job: ``kdsweep`` under this Python, if the head has it there."""
    own = shlex.quote(python)
    return (
        f"p={own}; command -v {own} >/dev/null || p=python3; "
        f'exec "$p" -m kdsweep {shlex.join(arguments)}'
    )


def check_address(address: str) -> None:
    """Check that a job server answers at ``address``, before anything that takes time.

    Raises:
        SpecError: nobody answers there, it is no address of a job server, or Ray's jobs are not
            installed.
    """
    if not address.startswith(("http://", "https://")):
        raise SpecError(
            f"--address: {address!r} is not allowed: must be of a job server, as {JOBS_AT} "
            "(`ray dashboard cluster.yaml` forwards it); HOST:6379 is for `kdsweep run`"
        )
    if find_spec("aiohttp") is None:
        raise SpecError(
            "Ray's jobs are not installed here; `pip install 'kdsweep[cluster]'` does it"
        )
    try:
        # Ray would wait without end for what does not answer, and its import takes seconds.
        urllib.request.urlopen(f"{address}/api/version", timeout=_KNOCK_TIMEOUT_S).close()
    except urllib.error.HTTPError:
        return  # somebody answers: whether it is a job server is seen when it is asked
    except (OSError, ValueError) as error:
        raise SpecError(_no_server(address, getattr(error, "reason", error))) from None


class Jobs:
    """The job server of a cluster."""

    def __init__(self, address: str) -> None:
        """Connect to it, with the token that is given here.

        Raises:
            SpecError: see ``check_address``; or it is no job server, or wants another token.
        """
        check_address(address)
        self.address = address
        self._has_token = False
        try:
            self._client = self._asked(self._connected)
        except (KeyError, TypeError) as error:
            raise SpecError(_no_server(address, f"what answers is none: {error!r}")) from None

    def submit(self, job: str, arguments: list[str], *, directory: Path) -> None:
        """Send ``directory`` to the cluster and run ``kdsweep`` with the arguments in it."""
        runtime = {
            "working_dir": str(directory),
            "excludes": list(LEFT_OUT),
            "env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": str(STOP_WITHIN_S)},
        }
        self._asked(
            lambda: self._client.submit_job(
                entrypoint=entrypoint(arguments), submission_id=job, runtime_env=runtime
            )
        )

    def state(self, job: str) -> tuple[str, str]:
        """``RUNNING`` and the like, and Ray's sentence about it.

        Raises:
            ResultError: the cluster knows no such job.
        """
        info = self._known(job, lambda: self._client.get_job_info(job))
        return str(getattr(info.status, "value", info.status)), str(info.message or "")

    def output(self, job: str) -> str:
        """All that the job has printed until now."""
        return str(self._known(job, lambda: self._client.get_job_logs(job)))

    def stop(self, job: str) -> bool:
        """Ask the job to end, as Ctrl-C does; whether it was running."""
        return bool(self._known(job, lambda: self._client.stop_job(job)))

    def wait(self, job: str) -> tuple[str, str]:
        """Its ``state`` when it has ended; waits for that."""
        while (found := self.state(job))[0] not in ENDED:
            time.sleep(_LOOK_EVERY_S)
        return found

    def _connected(self) -> Any:
        from kdsweep.search.tokens import use_token

        self._has_token = use_token()
        return _client(self.address)

    def _known(self, job: str, ask: Callable[[], Any]) -> Any:
        try:
            return self._asked(ask)
        except SpecError as error:
            if "does not exist" in str(error) or "404" in str(error):
                raise ResultError(
                    f"the cluster at {self.address} knows no job {job!r}; `ray job list "
                    f"--address {self.address}` has those it knows"
                ) from None
            raise

    def _asked(self, ask: Callable[[], Any]) -> Any:
        from ray import exceptions

        try:
            return ask()
        except exceptions.AuthenticationError:
            from kdsweep.search.tokens import refused

            cluster = f"--address: the Ray cluster at {self.address}"
            raise SpecError(refused(cluster, has_token=self._has_token)) from None
        except ConnectionError as error:
            raise SpecError(_no_server(self.address, error)) from None
        except (RuntimeError, ValueError, OSError, exceptions.RayError) as error:
            said = textwrap.shorten(str(error), 300, placeholder=" ...")
            if "ray[default]" in said:
                raise SpecError(
                    "Ray's jobs are not installed here; `pip install 'kdsweep[cluster]'` does it"
                ) from None
            raise SpecError(
                f"--address: the job server at {self.address} did not do it ({said}); its own logs "
                "are on the cluster's head, dashboard.log and dashboard_agent.log in "
                "ray/session_latest/logs of its temporary directory"
            ) from None


def _no_server(address: str, why: object) -> str:
    said = textwrap.shorten(str(why), 300, placeholder=" ...")
    return (
        f"--address: no job server answers at {address} ({said}); `ray start --head "
        "--include-dashboard=true` starts one, `ray dashboard cluster.yaml` forwards a cluster's"
    )


def _client(address: str) -> Any:
    from ray._private.runtime_env import packaging, working_dir
    from ray.dashboard.modules import dashboard_sdk
    from ray.job_submission import JobSubmissionClient

    # They tell of each package that they send, and of what they leave out, which is told better.
    for module in (packaging, dashboard_sdk, working_dir):
        logging.getLogger(module.__name__).setLevel(logging.ERROR)
    # Ray would prefer what the environment says over what is asked for.
    kept = {name: os.environ.pop(name) for name in _OF_THE_ENVIRONMENT if name in os.environ}
    try:
        return JobSubmissionClient(address)
    finally:
        os.environ.update(kept)
