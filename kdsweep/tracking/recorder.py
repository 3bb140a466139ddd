"""Writes a sweep's records to MLflow, one call after the other; ``Tracker`` does it in a thread.

A sweep is a parent run, each trial and the teacher a child. Runs are found again by our own ids
in their tags, and how many epochs were sent is a tag of the run, so that a record may be written
any number of times, also after a restart, without anything doubling.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kdsweep.errors import ResultError, redacted
from kdsweep.report.front_files import front_files, write_front
from kdsweep.results.confirmation import confirmation
from kdsweep.results.meta import RunStatus
from kdsweep.results.record import TrialResult
from kdsweep.results.store import RunStore
from kdsweep.tracking import entities
from kdsweep.tracking.entities import EPOCHS, ON_FRONT, PARENT, SWEEP_ID, TRIAL_ID, Point
from kdsweep.tracking.where import artifact_location, only_one_creates, prepare_environment

# Without the tag the UI opens the experiment in its view for language models.
_EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
# A call takes 1,000 entries in all, of these 100 params and 100 tags.
_METRICS_PER_CALL = 800


@dataclass
class _Child:
    """A trial's run, as far as it was sent."""

    run_id: str
    epochs: int = -1
    """Sent so far; -1 while the settings are not there."""
    status: str = "RUNNING"
    on_front: bool = False


class Recorder:
    """An open experiment with the sweep's parent run in it.

    Raises:
        ResultError: the experiment was deleted.
        Exception: whatever MLflow, its store or the network raise, here and in every method.
    """

    def __init__(self, uri: str, experiment: str, store: RunStore) -> None:
        prepare_environment()
        import logging

        from mlflow import MlflowClient

        # Creating the tables of a new SQLite file is told step by step.
        logging.getLogger("alembic").setLevel(logging.WARNING)
        self._store = store
        with only_one_creates(uri):
            self._client: Any = MlflowClient(tracking_uri=uri, registry_uri=uri)
            self._experiment = self._find_experiment(experiment, uri)
        self._parent = self._find_parent()
        self._children = self._find_children()

    def write(self, result: TrialResult) -> None:
        """Bring a trial's run up to its record."""
        child = self._children.get(result.trial_id) or self._create(result)
        status, is_new = entities.RUN_STATUS[result.status], child.epochs < 0
        if len(result.epochs) <= child.epochs and status == child.status:
            return
        if is_new:
            self._send_trial_file(child, result)
        ended = result.status != "running"
        points = entities.epoch_points(result, after=max(0, child.epochs))
        self._send(
            child.run_id,
            points=[*points, *entities.end_points(result)] if ended else points,
            params=entities.params_of(result) if is_new else {},
            tags={**entities.tags_of(result, self._store.meta), EPOCHS: str(len(result.epochs))},
        )
        if ended:
            self._client.set_terminated(child.run_id, status, entities.end_ms(result))
        elif status != child.status:
            self._client.update_run(child.run_id, status)
        child.epochs, child.status = len(result.epochs), status

    def finish(
        self, status: RunStatus, results: Sequence[TrialResult], front: Sequence[TrialResult]
    ) -> None:
        """Say how the sweep ended: its numbers, the front as table and picture, who is on it.

        Table and picture are those of the run directory; they are made where there are none. Of a
        confirmation the parent gets what it has found, and keeps what it has of the sweep.
        """
        if self._store.meta.confirms is not None:
            self._finish_confirmation(status)
            return
        on_front = {trial_id for result in front for trial_id in result.trial_ids}
        for trial_id, child in self._children.items():
            if (trial_id in on_front) != child.on_front:
                child.on_front = trial_id in on_front
                self._client.set_tag(child.run_id, ON_FRONT, str(child.on_front).lower())
        meta = self._store.meta
        tags = {**entities.sweep_tags(meta), "status": status}
        points = entities.sweep_points(meta, results, front)
        self._send(self._parent, points=points, tags=tags)
        if not all(p.is_file() and not p.is_symlink() for p in front_files(self._store)):
            write_front(self._store, results, front)
        for path in front_files(self._store):
            self._client.log_artifact(self._parent, str(path))
        if status == "running":
            self._client.update_run(self._parent, "RUNNING")
        else:
            self._client.set_terminated(self._parent, entities.RUN_STATUS[status])

    def _finish_confirmation(self, status: RunStatus) -> None:
        found = confirmation(self._store)
        tags = entities.confirmation_tags(found)
        self._send(self._parent, points=entities.confirmation_points(found), tags=tags)
        if self._parent_is_own:
            self._client.set_terminated(self._parent, entities.RUN_STATUS[status])

    def _find_experiment(self, name: str, uri: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is None:
            made: str = self._client.create_experiment(
                name, artifact_location=artifact_location(uri), tags=_EXPERIMENT_TAGS
            )
            return made
        if found.lifecycle_stage != "active":
            raise ResultError(
                f"the MLflow experiment {name!r} was deleted; restore it, "
                "or name another as tracking.experiment"
            )
        return str(found.experiment_id)

    def _find_parent(self) -> str:
        """The sweep's run; of a confirmation whose sweep is not here one of its own."""
        meta = self._store.meta
        of_sweep = [] if meta.confirms is None else self._runs_of(meta.confirms.sweep_id)
        self._parent_is_own = not of_sweep
        if of_sweep:
            run_id = str(of_sweep[0].info.run_id)
        elif found := self._runs_of(meta.sweep_id):
            run_id = str(found[0].info.run_id)
            if meta.status == "running" and found[0].info.status != "RUNNING":
                self._client.update_run(run_id, "RUNNING")
        else:
            tags = entities.sweep_tags(meta)
            begun = round(datetime.fromisoformat(meta.created).timestamp() * 1000)
            run_id = self._client.create_run(
                self._experiment, start_time=begun, tags=tags, run_name=meta.name
            ).info.run_id
            self._send(run_id, params=entities.sweep_params(meta))
            # The file may name a tracking server with its password.
            self._client.log_text(run_id, redacted(self._store.sweep_text), "sweep.yaml")
        if meta.mlflow_run_id != run_id:
            self._store.update_meta(mlflow_run_id=run_id)
        return run_id

    def _runs_of(self, sweep_id: str) -> list[Any]:
        """The parent run of a sweep, if it is here."""
        query = f"tags.`{SWEEP_ID}` = '{sweep_id}' AND tags.role = 'sweep'"
        return list(self._client.search_runs([self._experiment], query, max_results=1))

    def _find_children(self) -> dict[str, _Child]:
        """What an earlier process has sent of this sweep."""
        children: dict[str, _Child] = {}
        query, page = f"tags.`{PARENT}` = '{self._parent}'", None
        while True:
            runs = self._client.search_runs(
                [self._experiment], query, max_results=1000, page_token=page
            )
            for run in runs:
                tags = run.data.tags
                # A sweep and its confirmations have one parent, and trials of the same ids.
                if TRIAL_ID not in tags or tags.get(SWEEP_ID) != self._store.meta.sweep_id:
                    continue
                children[tags[TRIAL_ID]] = _Child(
                    run.info.run_id, epochs=int(tags.get(EPOCHS, -1)),
                    status=run.info.status, on_front=tags.get(ON_FRONT) == "true",
                )  # fmt: skip
            page = runs.token
            if not page:
                return children

    def _create(self, result: TrialResult) -> _Child:
        tags = {**entities.tags_of(result, self._store.meta), PARENT: self._parent}
        made = self._client.create_run(
            self._experiment, start_time=entities.start_ms(result),
            tags={**tags, ON_FRONT: "false"}, run_name=result.label,
        )  # fmt: skip
        child = self._children[result.trial_id] = _Child(made.info.run_id)
        return child

    def _send_trial_file(self, child: _Child, result: TrialResult) -> None:
        path = self._store.trial_file(result.trial_id)
        # What a link leads to is not the run's.
        if path.is_file() and not path.is_symlink():
            self._client.log_artifact(child.run_id, str(path))

    def _send(
        self,
        run_id: str,
        *,
        points: Sequence[Point] = (),
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Everything in one call where MLflow's limits allow; the tags in the last one.

        A store writes the tags of a call after its metrics: what dies in between is sent again,
        and points that are there already are kept once.
        """
        from mlflow.entities import Metric, Param, RunTag

        metrics = [Metric(*point) for point in points]
        while len(metrics) > _METRICS_PER_CALL:
            self._client.log_batch(run_id, metrics=metrics[:_METRICS_PER_CALL])
            metrics = metrics[_METRICS_PER_CALL:]
        self._client.log_batch(
            run_id,
            metrics=metrics,
            params=[Param(*param) for param in (params or {}).items()],
            tags=[RunTag(*tag) for tag in (tags or {}).items()],
        )
