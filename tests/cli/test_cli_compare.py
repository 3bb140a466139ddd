import json

import pytest
from run_records import run_meta, trial_result
from typer.testing import CliRunner

from kdsweep.cli import app
from kdsweep.errors import ResultError
from kdsweep.results.store import RunStore

FILE = "name: x\ntrial: {train: {lr: 0.1}}\nsearch: {trials: 4, seed: 0}\n"


def made(root, name, accuracies, text=FILE, **meta):
    given = {"status": "complete", "data_fingerprint": "a" * 64, **meta}
    store = RunStore.create(root / name, meta=run_meta(name, **given), sweep_text=text)
    for number, (accuracy, params) in enumerate(accuracies):
        trial = {"student": {"name": "cnn", "width": number}, "strategy": {"name": "kd"}}
        metrics = {"accuracy": accuracy, "params": params}
        store.write(trial_result(number, metrics=metrics, trial=trial, epochs=()))
    return store.directory


@pytest.fixture
def two(tmp_path):
    return (
        made(tmp_path, "one", [(0.5, 100), (1.0, 10_000)]),
        made(tmp_path, "two", [(0.9, 1_000)], FILE.replace("seed: 0", "seed: 1")),
    )


def run(*arguments):
    return CliRunner().invoke(app, ["compare", *map(str, arguments)], env={"COLUMNS": "80"})


def refusal(*arguments):
    result = run(*arguments)
    assert isinstance(result.exception, ResultError), result.output
    return str(result.exception)


def test_two_runs_side_by_side(two):
    result = run(*two)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0].startswith("A  ")
    assert "joint       0.5041" in result.stdout
    assert "  search.seed\n    A  0\n    B  1\n" in result.stdout
    assert max(len(line) for line in lines if str(two[0].parent) not in line) <= 80


def test_the_same_as_json(two):
    found = json.loads(run(*two, "--json").stdout)
    assert [each["run"] for each in found["runs"]] == list(map(str, two))
    assert found["joint_hypervolume"] == pytest.approx(0.61 / 1.21)
    assert [each["runs"] for each in found["joint"]] == [[0], [1], [0]]
    assert found["differences"] == {"search.seed": [0, 1]}


def test_runs_that_are_not_comparable_are_warned_of(two, tmp_path):
    other = made(tmp_path, "other", [(0.9, 500)], data_fingerprint="b" * 64)
    assert run(two[0], other).stderr == (
        "warning: not comparable as they stand: the data or their settings are not the same, and "
        "accuracies on different examples cannot be compared: A aaaaaaaa, B bbbbbbbb\n"
    )


def test_runs_that_have_nothing_yet(tmp_path):
    empty = [made(tmp_path, name, []) for name in ("one", "two")]
    said = run(*empty).stdout
    assert "no run has a complete trial that meets its constraints" in said
    assert "The sweep files ask for the same, and the teacher is the same" in said


def test_a_default_that_one_file_has_written_is_no_difference(tmp_path):
    trial = "name: x\ntrial: {data: digits, student: cnn, strategy: none}\n"
    short = made(tmp_path, "short", [(0.9, 500)], trial + "search: {seed: 1}\n")
    long = made(tmp_path, "long", [(0.9, 500)], trial + "search: {trials: 40, seed: 1}\n")
    assert "The sweep files ask for the same" in run(short, long).stdout
    other = made(tmp_path, "other", [(0.9, 500)], trial + "search: {trials: 9}\n")
    found = json.loads(run(short, other, "--json").stdout)["differences"]
    assert found == {"search.trials": [40, 9], "search.seed": [1, 0]}


def test_two_copies_of_a_run_are_compared_and_named(tmp_path):
    one, two = (made(tmp_path, n, [(0.9, 500)], sweep_id="ab" * 16) for n in ("one", "two"))
    third = made(tmp_path, "three", [(0.9, 600)])
    result = run(one, third, two)
    assert result.exit_code == 0
    assert result.stderr == (
        "warning: A and C are copies of one sweep (id abababab): they differ only by what was "
        "trained in one of them after it was copied\n"
    )
    assert len(json.loads(run(one, two, "--json").stdout)["copies"]) == 1
    assert json.loads(run(one, third, "--json").stdout)["copies"] == []


def test_what_cannot_be_compared_is_refused(two):
    assert refusal(two[0]) == ("give two runs or more to compare; `kdsweep front RUN` shows one")
    assert refusal(two[0], two[1], two[0]) == f"{two[0]}: is named twice: give different runs"
    assert "does not exist" in refusal(two[0], two[0].parent / "nowhere" / "run")
    assert refusal(*[two[0]] * 27) == "27 runs are too many to compare: give 26 at most"
