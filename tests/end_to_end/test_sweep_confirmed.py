"""``confirm`` after a real sweep: cut short, gone on with, and its test numbers measured again."""

import hashlib
import os
import shutil
import signal

import pytest
import torch
from finished_sweeps import as_json, begun, finished, kdsweep, records, until
from mlflow import MlflowClient
from safetensors.torch import load_file

from kdsweep import catalog
from kdsweep.sweep_file import load_trial
from kdsweep.tracking.where import default_uri
from kdsweep.train.evaluate import evaluate

pytestmark = pytest.mark.ray

SEEDS = 5


def digests(directory):
    return {
        path.relative_to(directory).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in directory.rglob("*")
        if path.is_file() and not path.name.startswith(".") and path.suffix != ".lock"
    }


def ended(run):
    if not (run / "run.json").exists():
        return 0
    return sum(trial.status == "complete" for trial in records(run)[1])


def chosen(trials):
    """The most accurate of those that learn from the teacher's maps, and of all others."""
    by_maps = [t.trial["strategy"]["name"] == "fitnet" for t in trials]
    return [
        max((t for t, is_one in zip(trials, by_maps, strict=True) if is_one == wanted
             and t.role == "trial"), key=lambda t: t.metrics["accuracy"]).number
        for wanted in (True, False)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def confirmed(home, swept, tmp_path_factory):
    """Home, what was there before, how ``confirm`` ended when it was cut short, and ``resume``."""
    there = tmp_path_factory.mktemp("confirmed") / "home"
    shutil.copytree(home, there)
    runs = there / "runs"
    before = digests(runs / "digits"), digests(runs / "teachers")
    named = ",".join(str(number) for number in chosen(records(runs / "digits")[1]))
    process = begun("confirm", "runs/digits", "--trials", named, "--seeds", SEEDS, cwd=there)
    try:
        until(lambda: ended(runs / "digits-confirm") >= 1 or process.poll() is not None)
        os.kill(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=120)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert (process.returncode, err) == (
        130, "stopped; `kdsweep resume runs/digits-confirm` goes on\n"
    ), out + err  # fmt: skip
    kept = ended(runs / "digits-confirm")
    return there, before, kept, finished(kdsweep("resume", "runs/digits-confirm", cwd=there))


def test_it_trains_all_with_the_same_fresh_seeds(confirmed):
    home, _, kept, done = confirmed
    meta, trials, _ = records(home / "runs" / "digits-confirm")
    confirms = meta.confirms
    assert confirms.seeds == tuple(range(1, 1 + SEEDS))
    assert 1 <= kept < confirms.num_trials
    assert f"{kept} trial{'s' * (kept != 1)} kept, " in done.stdout
    assert (meta.status, len(trials)) == ("complete", confirms.num_trials)
    assert {trial.status for trial in trials} == {"complete"}
    for place in range(len(confirms.points)):
        of_point = [trial for trial in trials if trial.point == place]
        assert tuple(trial.trial["seed"] for trial in of_point) == confirms.seeds
        alike = [{**trial.trial, "seed": None} for trial in of_point]
        assert all(each == alike[0] for each in alike)
        assert len(of_point[0].epochs) == 3


def test_the_sweep_and_its_teacher_are_as_they_were(confirmed):
    home, (sweep, teachers), *_ = confirmed
    assert digests(home / "runs" / "digits") == sweep
    # What the teacher said of the training data was stored already.
    assert digests(home / "runs" / "teachers") == teachers


def test_the_test_numbers_are_those_of_the_weights_on_test_data(confirmed):
    home = confirmed[0]
    run = home / "runs" / "digits-confirm"
    meta, trials, (teacher,) = records(run)
    splits = catalog.dataset(load_trial(home / "digits.yaml").data).load(torch.device("cpu"))

    def measured(component, weights):
        network = catalog.model_for(component, splits.info)
        network.load_state_dict(load_file(weights))
        return evaluate(network.eval(), splits.test)

    for trial in trials[:: len(meta.confirms.seeds)]:
        spec = load_trial(run / "trials" / trial.trial_id / "trial.yaml")
        accuracy, loss = measured(spec.student, run / trial.weights)
        assert trial.metrics["test_accuracy"] == accuracy
        assert trial.metrics["test_loss"] == pytest.approx(loss, rel=1e-6)
    spec = load_trial(home / "digits.yaml").teacher
    weights = home / "runs" / "teachers" / meta.teacher.hash / "teacher.safetensors"
    assert teacher.metrics["test_accuracy"] == measured(spec.model, weights)[0]


def test_what_is_printed_follows_from_the_records(confirmed):
    home, *_, done = confirmed
    row = as_json(kdsweep("confirm", "runs/digits-confirm", "--json", cwd=home))
    _, trials, _ = records(home / "runs" / "digits-confirm")
    by_seed = [t.metrics["test_accuracy"] for t in trials if t.point == 0]
    assert row["students"][0]["test_accuracy"]["values"] == by_seed
    assert f"{100 * sum(by_seed) / SEEDS:.2f}" in done.stdout
    _, swept, _ = records(home / "runs" / "digits")
    of_sweep = {trial.trial_id: trial.metrics["accuracy"] for trial in swept}
    for student in row["students"]:
        assert student["swept_accuracy"] == of_sweep[student["sweep_trial_ids"][0]]
        assert 0 <= student["on_front"] <= 1
    assert all("test_accuracy" not in trial.metrics for trial in swept)


def test_it_is_in_mlflow_under_the_sweep(confirmed):
    home = confirmed[0]
    sweep, _, _ = records(home / "runs" / "digits")
    _, trials, teachers = records(home / "runs" / "digits-confirm")
    uri = default_uri(home / "runs")
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    parent = client.get_run(sweep.mlflow_run_id)
    query = f"tags.`mlflow.parentRunId` = '{parent.info.run_id}' AND tags.role = 'confirm'"
    children = client.search_runs([parent.info.experiment_id], query)
    found = {c.data.tags["kdsweep.trial_id"]: c.data.metrics["test_accuracy"] for c in children}
    own = [*trials, *teachers]
    assert found == {each.trial_id: each.metrics["test_accuracy"] for each in own}
    assert [c.data.tags["kind"] for c in children].count("teacher") == len(teachers) == 1
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics["confirm.students"] == 2
