"""A confirmation in MLflow: under the run of its sweep, without disturbing what that has."""

import math
import uuid
from pathlib import Path

import pytest
from confirmed_runs import all_records, confirmation_in, confirms, sweep_in
from run_records import trial_result

from kdsweep.results.confirms import Opening
from kdsweep.tracking import sync
from kdsweep.tracking.recorder import Recorder


@pytest.fixture
def experiment(client):
    """One for each test: to make another store takes seconds."""
    name = f"confirmed-{uuid.uuid4().hex[:8]}"
    yield name
    # Where there are several the UI opens at the list of them, which others look at.
    client.delete_experiment(client.get_experiment_by_name(name).experiment_id)


def by_role(client, experiment):
    number = client.get_experiment_by_name(experiment).experiment_id
    found = client.search_runs([number], max_results=1000)
    return {role: [r for r in found if r.data.tags["role"] == role]
            for role in ("sweep", "trial", "confirm", "teacher")}  # fmt: skip


def test_it_is_logged_under_the_run_of_its_sweep(tmp_path, uri, client, experiment):
    sweep = sweep_in(tmp_path)
    sweep.write(trial_result(0, trial_id="00000", metrics={"accuracy": 0.9, "params": 50.0}))
    assert sync(sweep, uri, experiment) == 1
    assert sync(confirmation_in(tmp_path), uri, experiment) == 9
    found = by_role(client, experiment)
    (parent,), (trial,) = found["sweep"], found["trial"]
    assert len(found["confirm"]) == 9
    assert {r.data.tags["mlflow.parentRunId"] for r in found["confirm"]} == {parent.info.run_id}
    kinds = sorted(r.data.tags["kind"] for r in found["confirm"])
    assert kinds == [*2 * ["control"], *2 * ["own control"], *4 * ["student"], "teacher"]
    first = next(r for r in found["confirm"] if r.data.tags["kdsweep.trial_id"] == "00000")
    assert first.data.tags["confirms"] == "00005"
    assert first.data.metrics["test_accuracy"] == 0.74
    assert (parent.info.run_name, parent.info.status) == ("digits", "FINISHED")
    assert parent.data.tags["confirmed_by"] == "digits-confirm"
    metrics = parent.data.metrics
    assert metrics["trials.complete"] == 1
    assert metrics["front.max.accuracy"] == 0.9
    assert metrics["confirm.best.test_accuracy"] == pytest.approx(0.88)
    assert metrics["confirm.optimism"] == pytest.approx(0.025)
    assert metrics["confirm.mean.minus_own_control"] == pytest.approx(0.02)
    assert metrics["confirm.teacher.test_accuracy"] == 0.94
    assert "test_accuracy" not in trial.data.metrics


def test_both_can_be_sent_again_and_nothing_doubles(tmp_path, uri, client, experiment):
    sweep, confirmed = sweep_in(tmp_path), confirmation_in(tmp_path)
    sweep.write(trial_result(0, trial_id="00000", metrics={"accuracy": 0.9, "params": 50.0}))
    for store in (sweep, confirmed, sweep, confirmed):
        sync(store, uri, experiment)
    found = by_role(client, experiment)
    assert {role: len(runs) for role, runs in found.items()} == {
        "sweep": 1, "trial": 1, "confirm": 9, "teacher": 0,
    }  # fmt: skip
    # The sweep's trial 00000 and the confirmation's are two.
    assert found["trial"][0].data.metrics["accuracy"] == 0.9


def test_where_its_sweep_is_not_it_has_a_run_of_its_own(tmp_path, uri, client, experiment):
    confirmed = confirmation_in(tmp_path)
    for _ in range(2):
        sync(confirmed, uri, experiment)
    found = by_role(client, experiment)
    (parent,) = found["sweep"]
    assert (parent.info.run_name, parent.info.status) == ("digits-confirm", "FINISHED")
    assert len(found["confirm"]) == 9


def test_the_run_of_the_sweep_has_the_numbers_of_one_confirmation(
    tmp_path, uri, client, experiment
):
    sync(sweep_in(tmp_path), uri, experiment)

    def told():
        ((parent,),) = [by_role(client, experiment)["sweep"]]
        metrics = parent.data.metrics
        ours = {name: value for name, value in metrics.items() if name.startswith("confirm.")}
        return parent.data.tags.get("confirmed_by"), ours

    unfinished = confirmation_in(tmp_path, all_records()[:7], name="a")
    sync(unfinished, uri, experiment)
    assert told() == (None, {})
    before = (Opening(run="elsewhere", when="2026-11-24T10:00:00+00:00"),)
    also = confirms(opened_before=before, with_validation=True)
    learned = [
        each.model_copy(
            update={"metrics": {k: v for k, v in each.metrics.items() if k != "accuracy"}}
        )
        for each in all_records()
    ]
    touched = confirmation_in(tmp_path, all_records(), name="b", confirms=also)
    sync(touched, uri, experiment)
    assert told()[0] == "b"
    assert told()[1]["confirm.optimism"] == pytest.approx(0.025)
    newest = confirmation_in(
        tmp_path, learned, name="c", confirms=also, created="2026-11-25T10:00:00+00:00"
    )
    sync(newest, uri, experiment)
    name, metrics = told()
    assert name == "c"
    assert math.isnan(metrics["confirm.optimism"]), "that of b would stand beside the rest of c"
    untouched = confirmation_in(tmp_path, name="d", created="2026-11-20T10:00:00+00:00")
    for store in (untouched, touched, newest, unfinished):
        sync(store, uri, experiment)
        assert told()[0] == "d"
    assert told()[1]["confirm.optimism"] == pytest.approx(0.025)


def test_the_pictures_of_the_sweep_are_its_own_while_it_is_confirmed(
    tmp_path, uri, client, experiment
):
    sweep, confirmed = sweep_in(tmp_path), confirmation_in(tmp_path)
    for store, said in ((sweep, b"the sweep's"), (confirmed, b"the confirmation's")):
        (store.directory / "front.csv").write_bytes(said)
    Recorder(uri, experiment, sweep).send_files()
    recorder = Recorder(uri, experiment, confirmed)
    recorder.send_files()
    ((parent,),) = [by_role(client, experiment)["sweep"]]
    local = client.download_artifacts(parent.info.run_id, "front.csv", str(tmp_path))
    assert Path(local).read_bytes() == b"the sweep's"
