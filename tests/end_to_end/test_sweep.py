"""One sweep through the command line on real local Ray, and what it leaves in its directory."""

import itertools
import re
import shutil

import pytest
import torch
from finished_sweeps import as_json, finished, kdsweep, records
from safetensors.torch import load_file

from kdsweep import catalog
from kdsweep.sweep_file import load_trial
from kdsweep.train.evaluate import evaluate

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def run(home, swept):
    return records(home / "runs" / "digits")


def feasible(trials):
    return [trial for trial in trials if trial.metrics["params"] <= 1200]


def undominated(trials):
    """The front by its definition: nothing is at least as good in both and better in one."""

    def dominates(one, other):
        ours = (one.metrics["accuracy"], -one.metrics["params"])
        theirs = (other.metrics["accuracy"], -other.metrics["params"])
        no_worse = all(a >= b for a, b in zip(ours, theirs, strict=True))
        return no_worse and (ours != theirs or one.number < other.number)

    return {
        trial.trial_id for trial in trials if not any(dominates(each, trial) for each in trials)
    }


def test_the_screen_holds_the_sweep_and_nothing_of_the_libraries(swept):
    lines = swept.stdout.splitlines()
    ended = [line for line in lines if re.match(r"\[ ?\d+/8\] complete  ", line)]
    assert len(ended) == 8
    assert any(re.match(r"teacher ready: accuracy \d\d\.\d\d%, ", line) for line in lines)
    assert any("digits: the front" in line for line in lines)
    assert lines[-1].startswith("runs/digits: the records; kdsweep ui: browse them")
    assert swept.stderr == ""
    noise = re.compile(r"WARNING|INFO|Traceback|raylet|pid=|Tune|Warning|\x1b|optuna|mlflow\.")
    assert [line for line in lines if noise.search(line)] == []


def test_the_chatter_is_in_a_file(home, swept):
    assert "ray" in (home / "runs" / "digits" / "logs" / "driver.log").read_text()


def test_every_trial_is_recorded_and_complete(run):
    meta, trials, _ = run
    assert meta.status == "complete"
    assert (meta.trials, meta.name) == (8, "digits")
    assert [trial.number for trial in trials] == list(range(8))
    assert [trial.role for trial in trials] == ["control"] * 2 + ["trial"] * 6
    assert {trial.status for trial in trials} == {"complete"}
    assert [len(trial.epochs) for trial in trials] == [3] * 8
    for trial in trials:
        assert trial.metrics["accuracy"] == trial.epochs[-1].accuracy
        assert trial.metrics["latency_ms"] > 0
        assert {"total", "hard"} <= set(trial.epochs[0].train)
        assert trial.lane in ("lane-000", "lane-001")
    assert meta.wall_seconds > max(trial.seconds for trial in trials)


def test_only_the_settings_of_the_strategy_that_is_taken_are_sampled(run):
    _, trials, _ = run
    strategies = {trial.trial["strategy"]["name"] for trial in trials}
    assert strategies == {"none", "kd", "fitnet"}
    for trial in trials:
        taken = trial.params["strategy"]
        inner = [name for name in trial.params if name.startswith("strategy[")]
        assert all(name.startswith(f"strategy[{taken}]") for name in inner)
        assert bool(inner) == (taken != "none")


def test_the_teacher_was_trained_once_and_is_kept(home, run):
    meta, _, teachers = run
    (teacher,) = teachers
    assert len(teacher.epochs) == 4
    assert not meta.teacher.reused
    assert meta.teacher.accuracy == teacher.metrics["accuracy"] == teacher.epochs[-1].accuracy
    stored = list((home / "runs" / "teachers").glob("*/teacher.safetensors"))
    assert [path.parent.name for path in stored] == [meta.teacher.hash]


def test_front_list_and_select_agree_with_the_records(home, run):
    _, trials, _ = run
    # Of three sizes the largest breaks the constraint, which is known before it is trained.
    assert feasible(trials) == trials
    assert {trial.trial["student"]["width"] for trial in trials} == {2, 4}
    shown = as_json(kdsweep("front", "runs/digits", "--json", cwd=home))
    on_front = {row["trial_id"] for row in shown["front"]}
    assert on_front == undominated(feasible(trials))
    table = (home / "runs" / "digits" / "front.csv").read_text().splitlines()
    assert {line.split(",")[1] for line in table[1:]} == on_front
    assert (home / "runs" / "digits" / "front.png").read_bytes().startswith(b"\x89PNG")
    (listed,) = as_json(kdsweep("list", "--json", cwd=home))[:1]
    assert (listed["complete"], listed["planned"], listed["status"]) == (8, 8, "complete")
    assert listed["front_size"] == len(on_front)
    best = max(feasible(trials), key=lambda t: (t.metrics["accuracy"], -t.metrics["params"]))
    arguments = ("select", "runs/digits", "--max-params", "1200", "--json")
    chosen = as_json(kdsweep(*arguments, cwd=home))
    assert chosen["chosen"]["trial_id"] == best.trial_id


def test_the_weights_of_every_trial_give_its_accuracy(home, run):
    _, trials, _ = run
    splits = catalog.dataset(load_trial(home / "digits.yaml").data).load(torch.device("cpu"))
    for trial in trials:
        directory = home / "runs" / "digits"
        spec = load_trial(directory / "trials" / trial.trial_id / "trial.yaml")
        network = catalog.model(
            spec.student, shape=splits.info.shape, num_classes=splits.info.num_classes
        )
        network.load_state_dict(load_file(directory / trial.weights))
        accuracy, loss = evaluate(network.eval(), splits.validation)
        assert accuracy == trial.metrics["accuracy"]
        assert loss == pytest.approx(trial.metrics["loss"], rel=1e-6)


def test_a_trial_file_runs_again_to_the_same_student(home, run, tmp_path):
    _, trials, _ = run
    taught = max(
        (t for t in trials if t.trial["strategy"]["name"] == "fitnet"), key=lambda t: t.number
    )
    file = home / "runs" / "digits" / "trials" / taught.trial_id / "trial.yaml"
    again = as_json(
        kdsweep("trial", file, "--json", "--weights", tmp_path / "again.safetensors", cwd=home)
    )
    del again["metrics"]["latency_ms"]
    first = {name: value for name, value in taught.metrics.items() if name != "latency_ms"}
    assert again["metrics"] == first
    assert again["raw_weights"] == taught.weights_of_terms
    assert again["teachers"][0]["reused"] is True
    old = load_file(home / "runs" / "digits" / taught.weights)
    new = load_file(tmp_path / "again.safetensors")
    assert old.keys() == new.keys()
    assert all(torch.equal(old[name], new[name]) for name in old)


def test_a_second_run_into_the_same_directory_is_refused_and_touches_nothing(home, run):
    def everything():
        paths = itertools.chain(
            [home / "runs" / "mlflow.db"], (home / "runs" / "digits").rglob("*")
        )
        return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in paths}

    before = everything()
    refused = kdsweep("run", "digits.yaml", cwd=home)
    assert refused.returncode == 2
    assert refused.stdout == ""
    assert refused.stderr == (
        "error: runs/digits: already holds a run; `kdsweep resume runs/digits` goes on with it, "
        "`--name NAME` starts another beside it (for example `--name digits-2`)\n"
    )
    assert everything() == before


def test_a_sweep_that_is_complete_is_not_resumed(home, run):
    refused = kdsweep("resume", "runs/digits", cwd=home)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("error: runs/digits: is complete; ")


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_the_record_says_with_what_it_ran(run):
    meta, _, _ = run
    assert set(meta.packages) == {"torch", "torchvision", "ray", "optuna", "mlflow", "numpy"}
    assert re.fullmatch(r"[0-9a-f]{40}", meta.git_commit)


def test_the_same_sweep_again_gives_the_same_trials_and_numbers(home, run, swept_again):
    """With ``search.batch`` nothing depends on which trial finished first."""
    _, trials, _ = run
    _, again, _ = records(home / "runs" / "digits-2")

    def numbers(found):
        kept = ("accuracy", "loss", "params", "macs", "size_bytes")
        return [
            (
                t.number, t.role, t.changes, t.params, t.weights_of_terms,
                {name: t.metrics[name] for name in kept},
                [(e.accuracy, e.loss, e.train) for e in t.epochs],
            )
            for t in found
        ]  # fmt: skip

    assert numbers(again) == numbers(trials)


def test_another_sweep_finds_the_teacher(home, run, swept_again):
    meta, _, _ = run
    other, _, teachers = records(home / "runs" / "digits-2")
    assert other.teacher.reused
    assert other.teacher.hash == meta.teacher.hash
    assert other.sweep_id != meta.sweep_id
    assert any(line.startswith("teacher found: ") for line in swept_again.stdout.splitlines())
    assert len(list((home / "runs" / "teachers").iterdir())) == 1
    (teacher,) = teachers
    assert teacher.metrics["accuracy"] == meta.teacher.accuracy


def test_both_sweeps_are_listed(home, swept_again):
    listed = as_json(kdsweep("list", "--json", cwd=home))
    assert {"digits", "digits-2"} <= {row["name"] for row in listed}
    assert finished(kdsweep("front", "runs/digits-2", cwd=home)).stdout.startswith("digits-2")
