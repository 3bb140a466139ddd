"""Where and with what a sweep runs, for its record."""

import hashlib
import os
import platform
import subprocess
import uuid
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from kdsweep import __version__
from kdsweep.results.meta import RunMeta
from kdsweep.results.store import RunStore
from kdsweep.sweep_file import Sweep, plan

ONLY_WHAT_WAS_SWEPT = "put it back: only what was swept can be confirmed"
"""What to do where a sweep's file, data or teacher are others when it is confirmed."""

PACKAGES = ("torch", "torchvision", "ray", "optuna", "mlflow", "numpy")


def describe_run(sweep: Sweep, *, name: str, tracking_uri: str | None) -> RunMeta:
    """The meta data of a sweep that is about to start."""
    spec, planned = sweep.spec, plan(sweep)
    machine = planned.resources.machine
    cores = f", {machine.cpus} CPUs, {machine.gpus} GPUs" if machine else ""
    return RunMeta(
        sweep_id=uuid.uuid4().hex,
        name=name,
        created=datetime.now(UTC).astimezone().isoformat(timespec="seconds"),
        objectives=spec.objectives,
        constraints={
            metric: bound.model_dump(exclude_none=True)
            for metric, bound in spec.constraints.items()
        },
        sampler=sweep.sampler.name,
        seed=spec.search.seed,
        replicates=planned.replicates,
        trials=planned.total,
        version=__version__,
        packages={package: version(package) for package in PACKAGES},
        git_commit=git_commit(),
        python=platform.python_version(),
        host=f"{platform.node()}: {platform.system()} {platform.machine()}{cores}",
        address=spec.cluster.address,
        started_in=os.getcwd(),
        sweep_sha256=hashlib.sha256(sweep.text.encode()).hexdigest(),
        tracking_uri=tracking_uri,
    )


def git_commit() -> str | None:
    """The commit of the working directory, ``-dirty`` if something differs; none outside git."""
    quiet = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=10,
            env=quiet,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None


def what_must_not_change(store: RunStore) -> dict[str, Any]:
    """What a run has found of its data and teachers, for ``Session.prepare`` to compare with."""
    meta, found = store.meta, {}
    if meta.data_fingerprint is not None:
        found["data"] = meta.data_fingerprint
    if meta.teacher is not None:
        found["teacher"] = meta.teacher.hash
    if meta.confirms is not None:
        found["advice"] = ONLY_WHAT_WAS_SWEPT
    return found
