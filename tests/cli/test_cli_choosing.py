"""The commands of docs/choosing.md, each run on two small runs."""

import re
import shlex
from pathlib import Path

import pytest
from calling import run
from confirmed_runs import confirmation_in, sweep_in
from run_records import run_meta, trial_result

from kdsweep.report.choice import Facts, why
from kdsweep.results.select import select
from kdsweep.results.store import RunStore

TEXT = (Path(__file__).parents[2] / "docs" / "choosing.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^    kdsweep (.+)$", TEXT, re.M)
OF_RUNS = [line for line in COMMANDS if not line.startswith("trial ")]


@pytest.fixture
def two_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("digits", "digits-2"):
        meta = run_meta(name, status="complete", data_fingerprint="a" * 64)
        store = RunStore.create(tmp_path / "runs" / name, meta=meta, sweep_text="search: {}\n")
        for number, (accuracy, params) in enumerate([(0.99, 90_000), (0.5, 100), (0.985, 9_000)]):
            metrics = {
                "accuracy": accuracy, "params": params, "size_bytes": 4.0 * params,
                "latency_ms": params / 1e5,
            }  # fmt: skip
            role = "trial" if number else "teacher"
            store.write(trial_result(number, metrics=metrics, role=role))


def test_there_are_commands():
    assert {line.split()[0] for line in OF_RUNS} == {"front", "select", "compare"}
    assert sum("select" in line for line in OF_RUNS) >= 5


@pytest.mark.parametrize("line", OF_RUNS)
def test_a_printed_command_does_what_it_is_for(line, two_runs, capsys):
    assert run(*shlex.split(line)) == 0
    out, err = capsys.readouterr()
    assert "t0002" in out
    assert err == ""


def test_the_knee_that_the_document_works_out():
    three = [
        trial_result(number, metrics={"accuracy": accuracy, "params": params})
        for number, (params, accuracy) in enumerate([(100, 0.5), (10_000, 0.9), (1_000_000, 1.0)])
    ]
    two = {"accuracy": "max", "params": "min"}
    choice = select(three, two, prefer="knee")
    assert choice.chosen is three[1]
    assert "(1 - 0.5 - 0.2) / √2 = 0.21" in TEXT
    assert ": 0.21 from the line" in why(choice, Facts(two))


def test_select_says_what_has_been_found_since_and_that_more_may_come(tmp_path, capsys):
    sweep = sweep_in(tmp_path)
    best = trial_result(9, trial_id="00009", metrics={"accuracy": 0.9, "params": 200.0})
    sweep.write(best)
    confirmation_in(tmp_path)
    assert run("select", sweep.directory) == 0
    said = capsys.readouterr().out
    assert "\nconfirmed   digits-confirm: 88.00% ±2.83 on test data over 2 seeds" in said
    assert "still runs" not in said
    with sweep.hold():
        assert run("select", sweep.directory) == 0
    assert "\nstill runs  what comes may be better" in capsys.readouterr().out
