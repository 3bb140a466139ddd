"""What tells one process from another: its machine, when it began, the Ray job that it is."""

import json
import os
import platform
import time
import uuid
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict


def boot_id() -> str:
    """Of this machine since it was last started; empty where it has none."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


def began(pid: int) -> str | None:
    """When a process began, as ``/proc`` has it; none where there is no such process."""
    try:
        # The name of the command, in brackets, may hold anything; the 22nd field is the start.
        said = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if said[0] == "Z" else said[19]
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return None
    except (OSError, IndexError):
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except OSError:
        pass
    return ""


def ray_job() -> str:
    """The Ray job that this process was started as, as Ray tells its jobs."""
    try:
        told = json.loads(os.environ.get("RAY_JOB_CONFIG_JSON_ENV_VAR") or "{}")
        return str((told.get("metadata") or {}).get("job_submission_id") or "")
    except (ValueError, AttributeError):
        return ""


class Holder(BaseModel):
    """The driver of a run, as it described itself."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    host: str
    boot: str = ""
    """Of the machine since it was last started: machines may have one name."""
    pid: int
    pid_began: str = ""
    """When the process began, in the machine's own count: numbers of processes come again."""
    since: float
    """Seconds since 1970."""
    job: str = ""
    """The Ray job that it is, if it is one."""
    token: str

    @classmethod
    def this_process(cls) -> "Holder":
        """The one that asks."""
        return cls(
            host=platform.node(),
            boot=boot_id(),
            pid=os.getpid(),
            pid_began=began(os.getpid()) or "",
            since=time.time(),
            job=ray_job(),
            token=uuid.uuid4().hex,
        )

    @property
    def words(self) -> str:
        """``kdsweep on HOST, process 4711, since 2026-11-26 19:20:07 (Ray job ID)``."""
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.since))
        job = f" (Ray job {self.job})" if self.job else ""
        return f"kdsweep on {self.host}, process {self.pid}, since {since}{job}"

    @property
    def is_here(self) -> bool:
        """Whether it runs, or ran, on this machine."""
        return (self.host, self.boot) == (platform.node(), boot_id())

    @property
    def process_lives(self) -> bool:
        """Whether its process is there; asked on its own machine alone."""
        found = began(self.pid)
        return found is not None and found == (self.pid_began or found)
