"""What tells one process from another: its machine, when it began, the Ray job that it is."""

import json
import os
from contextlib import suppress
from pathlib import Path


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
