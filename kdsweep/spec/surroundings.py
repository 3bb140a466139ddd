"""What a sweep runs on, where it is tracked, and what is kept of it."""

import re
from importlib.metadata import entry_points
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from kdsweep.errors import SpecError, holds_secret
from kdsweep.spec.settings import Settings
from kdsweep.storage.address import checked, is_address

RUN_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
BESIDE_RUNS = ("teachers", "mlartifacts", "mlflow.db")
"""What of all runs lies beside their directories; of MLflow's database also what it adds to it."""

_HOST_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9.-]*)(\+[A-Za-z0-9_]+)?:(.*)", re.DOTALL)
_DATABASES = ("postgresql", "mysql", "mssql")


def not_a_run(name: str) -> str | None:
    """Why no run can have this ``name``, in a clause; ``None`` where one may."""
    if not re.fullmatch(RUN_NAME, name):
        return (
            "is not allowed: must be 1 to 64 letters, digits, '.', '_' or '-', a letter or digit "
            "first"
        )
    lower = name.lower()
    if lower in BESIDE_RUNS or lower.startswith(f"{BESIDE_RUNS[-1]}-"):
        return f"is not allowed: {lower} lies beside the runs and belongs to all of them"
    return None


def not_a_cluster(address: str) -> str | None:
    """Why ``address`` is of no Ray cluster, in a clause; ``None`` where it may be of one."""
    found = _HOST_PORT.fullmatch(address)
    if address == "auto" or (found is not None and 0 < int(found[2]) <= 65_535):
        return None
    hint = ""
    if address.startswith(("http://", "https://")):
        hint = "; that of a job server is for `kdsweep submit`"
    elif address.startswith("ray://"):
        hint = "; Ray's client is not used: give the address that `ray start --head` prints"
    elif "@" in address:
        hint = "; no name, no password"
    return f"is not allowed: must be auto, HOST:PORT or [IPV6]:PORT{hint}"


def not_a_tracking_uri(uri: str) -> str | None:
    """Why MLflow would not take ``uri``, in a clause; ``None`` where it may."""
    found = _SCHEME.match(uri)
    if found is None:
        return None if uri.strip() == uri else _TRACKED_AT  # a path, or databricks
    scheme, driver, rest = found[1].lower(), found[2], found[3]
    good = (
        (scheme in ("http", "https") and not driver and re.match("//[^/]", rest))
        or (scheme == "sqlite" and rest.startswith("///"))
        or (scheme in _DATABASES and rest.startswith("//"))
        or scheme in ("file", "databricks", "databricks-uc", "uc")
        or scheme in entry_points(group="mlflow.tracking_store").names
    )
    return None if good else _TRACKED_AT


_TRACKED_AT = (
    "is not allowed: must be a server (http://HOST:PORT, https://HOST), a database "
    "(sqlite:///FILE, postgresql://HOST/NAME, mysql://, mssql://, also with a +DRIVER), "
    "databricks, or a directory"
)


class ClusterSpec(Settings):
    """What a trial runs on, and how many run at once; the defaults fit the machine at hand.

    A lane is a worker, or ``workers_per_trial`` of them, that trains one trial after another;
    ``lanes_per_run`` of them share one Ray Train run. ``address`` is that of a running cluster.
    """

    concurrent_trials: int | None = Field(None, ge=1, le=100_000)
    workers_per_trial: int = Field(1, ge=1, le=10_000)
    cpus_per_worker: float = Field(1, gt=0, le=10_000)
    gpus_per_worker: float | None = Field(
        None, ge=0, le=1000, description="may be a fraction; null takes what the machine has"
    )
    lanes_per_run: int = Field(1, ge=1, le=100_000, description="they start again together")
    address: Annotated[str, Field(min_length=1)] | None = None
    max_failures: int = Field(
        2, ge=0, le=1000, description="of a trial's workers; a node taken away is none"
    )
    cost_per_hour: float | None = Field(
        None, ge=0, le=10**9, description="of all that the sweep runs on, in any currency"
    )

    @field_validator("address")
    @classmethod
    def _of_a_cluster(cls, address: str | None) -> str | None:
        if address is not None and (wrong := not_a_cluster(address)):
            raise ValueError(wrong)
        return address

    @model_validator(mode="after")
    def _whole_gpus(self) -> "ClusterSpec":
        gpus = self.gpus_per_worker
        if gpus is not None and gpus > 1 and gpus != int(gpus):
            raise ValueError(f"gpus_per_worker is {gpus}: above 1 it must be a whole number")
        return self

    @model_validator(mode="after")
    def _one_lane_per_group(self) -> "ClusterSpec":
        if self.workers_per_trial > 1 and self.lanes_per_run > 1:
            raise ValueError(
                f"lanes_per_run is {self.lanes_per_run}: lanes of several workers have a run each, "
                "remove it or set workers_per_trial to 1"
            )
        return self


class TrackingSpec(Settings):
    """Where MLflow keeps the trials; without ``uri`` beside the run directories."""

    enabled: bool = True
    uri: Annotated[str, Field(min_length=1)] | None = None
    experiment: str = Field("kdsweep", min_length=1, max_length=200)

    @field_validator("uri")
    @classmethod
    def _allowed(cls, uri: str | None) -> str | None:
        if uri is not None and holds_secret(uri):
            raise ValueError(
                "is not allowed with a password or token in it, as the run directory keeps the "
                "file: set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or "
                "MLFLOW_TRACKING_TOKEN, in the environment; a database has a file of its own for "
                "them (~/.pgpass, read_default_file)"
            )
        if uri is not None and (wrong := not_a_tracking_uri(uri)):
            raise ValueError(wrong)
        return uri


class StorageSpec(Settings):
    """Where runs and teachers are kept so that nothing is lost, and how much room they may take."""

    path: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="a directory that all nodes share, s3://BUCKET/PATH or gs://BUCKET/PATH"
    )
    checkpoint_every_s: float = Field(
        30.0, ge=0, le=86_400, description="of training; 0 keeps one after each epoch"
    )
    max_bytes: int | None = Field(
        None, ge=1, description="of weights, checkpoints and stored outputs together"
    )

    @field_validator("path")
    @classmethod
    def _checked(cls, path: str | None) -> str | None:
        try:
            return checked(path) if path is not None and is_address(path) else path
        except SpecError as error:
            raise ValueError(str(error)) from None
