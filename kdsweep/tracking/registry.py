"""A student in MLflow's model registry, as a model that loads without kdsweep."""

import logging
import re
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kdsweep.errors import ResultError, redacted
from kdsweep.results.record import TrialResult
from kdsweep.results.store import RunStore
from kdsweep.tracking.entities import SWEEP_ID, TRIAL_ID
from kdsweep.tracking.packed_model import pack
from kdsweep.tracking.where import (
    artifacts_elsewhere,
    only_one_creates,
    prepare_environment,
    refuse_silence,
    sqlite_file,
)

_ALIAS = re.compile(r"[\w-]{1,255}")
_VERSION = re.compile(r"[vV]\d+")
_READY, _MODEL = "READY", "student"
_OF_THE_CHOICE = ("on_front", "prefer", "constraints", "latency_ms")
"""Tags that say why a student was chosen, not what it is; a latency is as it was measured last."""
CHOSEN_BY = "Chosen by kdsweep for its"
"""What is in every description that was not written by a person."""


@dataclass(frozen=True)
class Entry:
    """How a student is called in the registry, and what is said of it there."""

    name: str
    alias: str = "chosen"
    tags: Mapping[str, str] = field(default_factory=dict)
    description: str = ""


@dataclass(frozen=True)
class Registered:
    """A version in the registry; ``is_new`` if it was made now, ``run_id`` is of its trial."""

    name: str
    version: str
    alias: str
    run_id: str
    is_new: bool
    moved_from: str | None = None
    """The version that had the alias before."""

    @property
    def uri(self) -> str:
        """What loads it."""
        return f"models:/{self.name}@{self.alias}"


def check_names(entry: Entry) -> None:
    """Pass if MLflow takes the name and the alias.

    Raises:
        ResultError: it does not; says what is allowed.
    """
    problems = []
    if not entry.name.strip() or any(each in entry.name for each in "/:@'\"`"):
        problems.append(
            f"--register {entry.name!r} is not allowed: a name without slashes, colons, quotes "
            "and @"
        )
    reserved = entry.alias.casefold() == "latest" or _VERSION.fullmatch(entry.alias)
    if reserved or not _ALIAS.fullmatch(entry.alias):
        problems.append(
            f"--alias {entry.alias!r} is not allowed: letters, digits, - and _, and neither "
            "'latest' nor a version such as v1"
        )
    if problems:
        raise ResultError(problems)


def register(
    store: RunStore,
    result: TrialResult,
    entry: Entry,
    *,
    uri: str,
    sync: str = "",
    tell: Callable[[str], object] = lambda sentence: None,
) -> Registered:
    """Put the student of ``result`` into the registry at ``uri``, once; the alias points to it.

    It is a pt2 archive of PyTorch in MLflow's form, asked for the whole validation split before
    anything is sent. What is there already of this trial stays as it is but for the tags and the
    description that say why it was chosen, and gets the alias. A version that had it before keeps
    all else, and a tag ``ALIAS_until`` with the time.
    ``sync`` is the command that sends a run's trials there, for messages.

    Raises:
        ResultError: a name is not allowed, MLflow has no run of the trial or refuses, its store is
            a copy that writes beside the original, or the student cannot be exported.
        StorageError: the weights are in an object store that does not answer.
    """
    check_names(entry)
    refuse_silence(uri, option="--tracking-uri")
    sync = sync or f"kdsweep sync {store.place}"
    file = sqlite_file(uri)
    if file is not None and not file.is_file():
        raise ResultError(_never_sent(sync, f"there is no MLflow store at {redacted(uri)}"))
    prepare_environment()
    for noisy in ("alembic", "mlflow"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    try:
        with only_one_creates(uri):
            client: Any = MlflowClient(tracking_uri=uri, registry_uri=uri)
            run = _run_of(client, store, result)
        if run is None:
            what = f"MLflow at {redacted(uri)} has no run of trial {result.number}"
            raise ResultError(_never_sent(sync, what))
        experiment = client.get_experiment(run.info.experiment_id)
        if copied := artifacts_elsewhere(uri, [experiment]):
            raise ResultError(f"the model would be put beside the original: {copied}")
        known = _version_of(client, store, result, entry.name)
        is_new = known is None
        version = known or _made(client, run, store, result, entry, tell)
        if known is not None:
            _chosen_again(client, entry, known)
        moved_from = _moved(client, entry, version)
    except MlflowException as error:
        raise ResultError(f"MLflow at {redacted(uri)} refuses: {error.message}") from error
    return Registered(entry.name, version, entry.alias, run.info.run_id, is_new, moved_from)


def _chosen_again(client: Any, entry: Entry, version: str) -> None:
    """Why it was chosen is now as this time, and it is no longer one that was."""
    for name in _OF_THE_CHOICE:
        if name in entry.tags:
            client.set_model_version_tag(entry.name, version, name, entry.tags[name])
    there, until = client.get_model_version(entry.name, version), f"{entry.alias}_until"
    if until in there.tags:
        client.delete_model_version_tag(entry.name, version, until)
    if CHOSEN_BY in (there.description or ""):
        client.update_model_version(entry.name, version, entry.description)


def _moved(client: Any, entry: Entry, version: str) -> str | None:
    """Give ``version`` the alias; which other version had it, which is told until when."""
    aliases = client.get_registered_model(entry.name).aliases
    before = aliases.get(entry.alias)
    client.set_registered_model_alias(entry.name, entry.alias, version)
    if before is None or str(before) == version:
        return None
    until = datetime.now(UTC).astimezone().isoformat(timespec="seconds")
    client.set_model_version_tag(entry.name, before, f"{entry.alias}_until", until)
    return str(before)


def _run_of(client: Any, store: RunStore, result: TrialResult) -> Any | None:
    """The trial's run, by our ids in its tags; none where it was not sent."""
    query = (
        f"tags.`{SWEEP_ID}` = '{store.meta.sweep_id}' AND tags.`{TRIAL_ID}` = '{result.trial_id}'"
    )
    experiments, page = list[str](), None
    while True:
        found = client.search_experiments(max_results=1000, page_token=page)
        experiments += [each.experiment_id for each in found]
        page = found.token
        if not page:
            break
    runs = client.search_runs(experiments, query, max_results=1) if experiments else []
    return runs[0] if runs else None


def _never_sent(sync: str, what: str) -> str:
    return (
        f"{what}, which the model is to be linked to: `{sync}` sends all trials, or name the store "
        "that has them with --tracking-uri"
    )


def _version_of(client: Any, store: RunStore, result: TrialResult, name: str) -> str | None:
    """The version of this very trial, where there is one that is whole."""
    for each in client.search_model_versions(f"name = '{name}'"):
        same = each.tags.get(TRIAL_ID) == result.trial_id
        if same and each.tags.get(SWEEP_ID) == store.meta.sweep_id and each.status == _READY:
            return str(each.version)
    return None


def _made(
    client: Any,
    run: Any,
    store: RunStore,
    result: TrialResult,
    entry: Entry,
    tell: Callable[[str], object],
) -> str:
    """A new version; of one that fails nothing is left but what MLflow itself keeps."""
    from mlflow.entities import LoggedModelOutput

    own = {TRIAL_ID: result.trial_id, SWEEP_ID: store.meta.sweep_id}
    tags = {**entry.tags, **own}
    with tempfile.TemporaryDirectory() as folder:
        packed = Path(folder) / "model"
        pack(store, result, packed, run_id=run.info.run_id, tell=tell)
        tell("sending it to MLflow")
        logged = client.create_logged_model(
            run.info.experiment_id, name=_MODEL, source_run_id=run.info.run_id, tags=tags
        )
        try:
            client.log_model_artifacts(logged.model_id, str(packed))
            client.finalize_logged_model(logged.model_id, _READY)
            version = _version(client, run, logged, entry, tags)
        except BaseException:
            with suppress(Exception):
                client.delete_logged_model(logged.model_id)
            raise
        # Last: a run does not forget a model that it once had.
        client.log_outputs(run.info.run_id, [LoggedModelOutput(logged.model_id, step=0)])
        return version


def _version(client: Any, run: Any, logged: Any, entry: Entry, tags: Mapping[str, str]) -> str:
    is_new = not client.search_registered_models(f"name = '{entry.name}'", max_results=1)
    if is_new:
        client.create_registered_model(entry.name)
    try:
        made = client.create_model_version(
            entry.name, logged.artifact_location, run_id=run.info.run_id, tags=dict(tags),
            description=entry.description, model_id=logged.model_id,
        )  # fmt: skip
    except BaseException:
        if is_new:
            with suppress(Exception):
                client.delete_registered_model(entry.name)
        raise
    return str(made.version)
