"""Writes a sweep's records to MLflow, one call after the other; ``Tracker`` does it in a thread.

A sweep is a parent run, each trial and the teacher a child. Runs are found again by our own ids
in their tags, and how many epochs were sent is a tag of the run, so that a record may be written
any number of times, also after a restart, without anything doubling. Runs that an earlier version
has sent are brought up to the names of this one when their records are written again.
"""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from kdsweep.errors import redacted
from kdsweep.report.picture_files import picture_files, write_pictures
from kdsweep.results.confirmation import confirmation
from kdsweep.results.confirmations import is_best
from kdsweep.results.meta import RunStatus
from kdsweep.results.record import TrialResult
from kdsweep.results.store import RunStore
from kdsweep.storage.copies import address_of
from kdsweep.tracking import entities, notes
from kdsweep.tracking.confirmed import confirmation_points, confirmation_tags
from kdsweep.tracking.entities import (
    EPOCHS,
    NOTE,
    ON_FRONT,
    ON_FRONT_BEFORE,
    PARENT,
    SWEEP_ID,
    TRIAL_ID,
    Point,
)
from kdsweep.tracking.experiment import open_experiment
from kdsweep.tracking.files import Files
from kdsweep.tracking.inputs import data_input
from kdsweep.tracking.tracked import TrackedRun
from kdsweep.tracking.where import artifacts_elsewhere, only_one_creates, prepare_environment

# A call takes 1,000 entries in all, of these 100 params and 100 tags.
_METRICS_PER_CALL, _PARAMS_PER_CALL = 800, 100


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
            self._experiment = open_experiment(self._client, experiment, uri)
        self.warning = artifacts_elsewhere(uri, [self._client.get_experiment(self._experiment)])
        """What the person should know of the store, if anything."""
        # Who reads it is in no directory: a relative path would be of no use.
        at_address = address_of(store.directory) is not None
        self._place = store.place if at_address else str(store.directory.resolve())
        self._begun = round(datetime.fromisoformat(store.meta.created).timestamp() * 1000)
        self._asked = notes.asked_in(store.sweep_text)
        self._common_params: set[str] = set()
        self._told_common = False
        self._on_front: set[str] = set()
        self._parent = self._find_parent()
        self._children = self._find_children()
        self._files = Files(self._client, self._parent.run_id, store)

    def write(self, result: TrialResult) -> None:
        """Bring a trial's run up to its record."""
        child = self._children.get(result.trial_id) or self._create(result)
        self._tell_what_is_common(result, child)
        status, is_new = entities.RUN_STATUS[result.status], child.epochs < 0
        known = len(result.epochs) <= child.epochs and status == child.status
        if known and result.role != "teacher":  # what a teacher reaches on test data comes later
            return
        if is_new:
            self._send_trial_file(child, result)
        ended = result.status != "running"
        points = entities.epoch_points(result, after=max(0, child.epochs))
        tags = {**entities.tags_of(result, self._store.meta), EPOCHS: str(len(result.epochs))}
        if ended:
            points += entities.end_points(result)
            tags[NOTE] = notes.trial_note(result, place=self._place)
        self._send(
            child.run_id, points=points, params=entities.params_of(result) if is_new else {},
            tags=tags,
        )  # fmt: skip
        if child.name_before is not None:
            self._rename(child, result)
        if ended:
            self._client.set_terminated(child.run_id, status, entities.end_ms(result))
        elif status != child.status:
            self._client.update_run(child.run_id, status)
        child.epochs, child.status = len(result.epochs), status

    def _rename(self, child: TrackedRun, result: TrialResult) -> None:
        """Give a run that an earlier version has sent the names of this one."""
        name = entities.run_name(result, self._store.meta.confirms)
        # Unless somebody has called it otherwise.
        if name != child.name_before and child.name_before in entities.names_before(result):
            self._client.update_run(child.run_id, name=name)
        if child.has_error_before and result.status != "failed":
            self._client.delete_tag(child.run_id, "error")
        child.name_before, child.has_error_before = None, False

    def show(
        self,
        results: Sequence[TrialResult],
        front: Sequence[TrialResult],
        *,
        status: RunStatus = "running",
    ) -> None:
        """Say how the sweep stands: its numbers, its description, who is on the front.

        Of the trials only those are told whose place has changed. A confirmation leaves the run of
        its sweep as it is.
        """
        if self._store.meta.confirms is not None:
            return
        on_front = {trial_id for result in front for trial_id in result.trial_ids}
        self._on_front = on_front
        for trial_id, child in self._children.items():
            if (trial_id in on_front) != child.on_front:
                now = trial_id in on_front
                self._client.set_tag(child.run_id, ON_FRONT, str(now).lower())
                child.on_front = now
            if child.has_tag_before:
                self._client.delete_tag(child.run_id, ON_FRONT_BEFORE)
                child.has_tag_before = False
        meta = self._store.meta.model_copy(update={"status": status})
        note = notes.sweep_note(
            meta,
            results,
            front,
            place=self._place,
            asked=self._asked,
            experiment=self._experiment,
            runs={i: self._children[i].run_id for i in on_front if i in self._children},
        )
        points = entities.sweep_points(meta, results, front)
        tags = {**entities.sweep_tags(meta), NOTE: note}
        self._send(self._parent.run_id, points=points, tags=tags)

    def send_files(self) -> None:
        """Send the front as table and pictures, those that have changed since the last time.

        Those of a confirmation stay in its directory: the sweep's run has the sweep's own.
        """
        if self._parent_is_own:
            self._files.send()

    def finish(
        self, status: RunStatus, results: Sequence[TrialResult], front: Sequence[TrialResult]
    ) -> None:
        """Say how the sweep ended, and send its table and pictures.

        They are those of the run directory; they are made where there are none. Of a confirmation
        the parent gets what it has found, and keeps what it has of the sweep.
        """
        if self._store.meta.confirms is not None:
            self._finish_confirmation(status)
            return
        self.show(results, front, status=status)
        if not picture_files(self._store):
            write_pictures(self._store, results, front, None)
        self.send_files()
        if status == "running":
            self._client.update_run(self._parent.run_id, "RUNNING")
        else:
            # Also where the records are sent later: not when, but as long as the sweep has run.
            ended = max([self._begun, *(entities.end_ms(result) for result in results)])
            self._client.set_terminated(self._parent.run_id, entities.RUN_STATUS[status], ended)

    def _finish_confirmation(self, status: RunStatus) -> None:
        found = confirmation(self._store)
        # Of several the sweep's run has the numbers of one, and none of half of one.
        if found.is_whole and is_best(found, self._store):
            known = self._client.get_run(self._parent.run_id).data.metrics
            tags = confirmation_tags(found)
            points = confirmation_points(found, known, now_ms=round(time.time() * 1000))
            self._send(self._parent.run_id, points=points, tags=tags)
        if self._parent_is_own:
            self._client.set_terminated(self._parent.run_id, entities.RUN_STATUS[status])

    def _find_parent(self) -> TrackedRun:
        """The sweep's run; of a confirmation whose sweep is not here one of its own."""
        meta = self._store.meta
        of_sweep = [] if meta.confirms is None else self._runs_of(meta.confirms.sweep_id)
        self._parent_is_own = not of_sweep
        if found := of_sweep or self._runs_of(meta.sweep_id):
            parent, params = TrackedRun.of(found[0]), found[0].data.params
            if self._parent_is_own and meta.status == "running" and parent.status != "RUNNING":
                self._client.update_run(parent.run_id, "RUNNING")
            self._common_params = set(params)
        else:
            made = self._client.create_run(
                self._experiment, start_time=self._begun, tags=entities.sweep_tags(meta),
                run_name=meta.name,
            )  # fmt: skip
            parent, params = TrackedRun(made.info.run_id), {}
        if self._parent_is_own and "sampler" not in params:
            self._send(parent.run_id, params=entities.sweep_params(meta))
            # The file may name a tracking server with its password.
            self._client.log_text(parent.run_id, redacted(self._store.sweep_text), "sweep.yaml")
        if meta.mlflow_run_id != parent.run_id:
            self._store.update_meta(mlflow_run_id=parent.run_id)
        return parent

    def _runs_of(self, sweep_id: str) -> list[Any]:
        """The parent run of a sweep, if it is here."""
        query = f"tags.`{SWEEP_ID}` = '{sweep_id}' AND tags.role = 'sweep'"
        return list(self._client.search_runs([self._experiment], query, max_results=1))

    def _find_children(self) -> dict[str, TrackedRun]:
        """What an earlier process has sent of this sweep."""
        children: dict[str, TrackedRun] = {}
        query, page = f"tags.`{PARENT}` = '{self._parent.run_id}'", None
        while True:
            runs = self._client.search_runs(
                [self._experiment], query, max_results=1000, page_token=page
            )
            for run in runs:
                tags = run.data.tags
                # A sweep and its confirmations have one parent, and trials of the same ids.
                if TRIAL_ID in tags and tags.get(SWEEP_ID) == self._store.meta.sweep_id:
                    children[tags[TRIAL_ID]] = TrackedRun.of(run)
            page = runs.token
            if not page:
                return children

    def _create(self, result: TrialResult) -> TrackedRun:
        tags = {**entities.tags_of(result, self._store.meta), PARENT: self._parent.run_id}
        is_on_front = result.trial_id in self._on_front  # where the front was told before it
        made = self._client.create_run(
            self._experiment, start_time=entities.start_ms(result),
            tags={**tags, ON_FRONT: str(is_on_front).lower()},
            run_name=entities.run_name(result, self._store.meta.confirms),
        )  # fmt: skip
        child = self._children[result.trial_id] = TrackedRun(made.info.run_id, on_front=is_on_front)
        return child

    def _tell_what_is_common(self, result: TrialResult, child: TrackedRun) -> None:
        """The data as an input of the trial and of the sweep; once, the params that all share."""
        if not (child.has_data and self._parent.has_data):
            data = data_input(self._store.meta, result)
            for run in (self._parent, child) if data is not None else ():
                if not run.has_data:
                    self._client.log_inputs(run.run_id, datasets=[data])
                    run.has_data = True
        if self._parent_is_own and not self._told_common and result.role != "teacher":
            # A param never changes: what an earlier process has told stays.
            params = entities.common_params(result)
            new = {key: value for key, value in params.items() if key not in self._common_params}
            if new:
                self._send(self._parent.run_id, params=new)
            self._told_common = True

    def _send_trial_file(self, child: TrackedRun, result: TrialResult) -> None:
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
        settings = [Param(*param) for param in (params or {}).items()]
        while len(metrics) > _METRICS_PER_CALL or len(settings) > _PARAMS_PER_CALL:
            self._client.log_batch(
                run_id, metrics=metrics[:_METRICS_PER_CALL], params=settings[:_PARAMS_PER_CALL]
            )
            metrics, settings = metrics[_METRICS_PER_CALL:], settings[_PARAMS_PER_CALL:]
        tagged = [RunTag(*tag) for tag in (tags or {}).items()]
        self._client.log_batch(run_id, metrics=metrics, params=settings, tags=tagged)
