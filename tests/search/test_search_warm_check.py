"""What ``check`` says of the earlier sweeps that a sweep learns from."""

import json

import pytest
from earlier_sweeps import earlier, learning, written
from typer.testing import CliRunner

from kdsweep.cli import app
from kdsweep.errors import SpecError


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    earlier(tmp_path, written(tmp_path), 6)
    return tmp_path


def check(*arguments):
    return CliRunner().invoke(app, ["check", "sweep.yaml", *arguments], env={"COLUMNS": "80"})


def test_check_counts_what_can_be_learned(home):
    learning(home, ("uniform: [0, 1]", "uniform: [0, 0.9]"))
    found = check()
    assert found.exit_code == 0, found.output
    lines = found.output.splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("  warm start  "))
    assert lines[start] == "  warm start  6 of 6 trials of old"
    assert lines[start + 1] == " " * 14 + "their data are held against these when they are read"
    assert max(map(len, lines[start:])) <= 80
    (run,) = json.loads(check("--json").stdout)["warm_start"]
    assert (run["used"], run["left_out"], run["name"]) == (6, {}, "old")


def test_elsewhere_runs_are_not_looked_for(home):
    learning(home, runs=("runs/on-the-cluster",))
    found = check("--elsewhere")
    assert found.exit_code == 0, found.output
    assert "  warm start  the runs of warm_start were not looked for\n" in found.output
    refused = check()
    assert isinstance(refused.exception, SpecError)
    assert "runs/on-the-cluster: does not exist" in str(refused.exception)


def test_without_a_warm_start_there_is_no_line(home):
    written(home)
    assert "warm start" not in check().output
    assert json.loads(check("--json").stdout)["warm_start"] == []
