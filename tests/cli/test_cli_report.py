import json
import os

import pytest
from confirmed_runs import confirmation_in, confirms
from run_records import run_meta, trial_result
from typer.testing import CliRunner

from kdsweep.cli import app
from kdsweep.errors import ResultError
from kdsweep.results.store import RunStore

SPACE = "name: digits\nspace: {train.lr: {loguniform: [1.0e-4, 1.0e-1]}}\n"


@pytest.fixture
def store(tmp_path):
    meta = run_meta(status="complete")
    made = RunStore.create(tmp_path / "runs" / "digits", meta=meta, sweep_text=SPACE)
    for number in range(14):
        lr = 10 ** (-4 + 0.2 * number)
        metrics = {"accuracy": 0.5 + number / 100, "params": 100.0 * (number + 1)}
        made.write(trial_result(number, params={"train.lr": lr}, metrics=metrics))
    return made


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "80"})


def refusal(*arguments):
    result = run(*arguments)
    assert isinstance(result.exception, ResultError), result.output
    return str(result.exception)


def test_a_report_and_the_pictures_of_a_run(store):
    result = run("report", store.directory)
    assert result.exit_code == 0, result.output
    page = store.directory / "report.html"
    assert result.stdout.splitlines()[-1] == f"report  {page}"
    assert result.stdout.startswith("This sweep cannot tell")
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    pictures = {path.name for path in (store.directory / "pictures").iterdir()}
    assert {"front.html", "front.png", "importance.png", "hypervolume.html"} <= pictures


def test_a_report_elsewhere(store, tmp_path):
    result = run("report", store.directory, "--out", tmp_path / "mine.html")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "mine.html").stat().st_size > 1e6
    assert not (store.directory / "report.html").exists()


def test_json_has_the_answers_and_writes_nothing(store, tmp_path):
    before = sorted(store.directory.rglob("*"))
    found = json.loads(run("report", store.directory, "--json").stdout)
    (mattered,) = found["answers"]["mattered"]["importance"]
    assert mattered["chance"] < mattered["share"] == 1
    assert {key: value for key, value in mattered.items() if key != "chance"} == {
        "objective": "accuracy", "setting": "train.lr", "share": 1.0, "above_chance": True,
        "students": 14,
    }  # fmt: skip
    assert found["answers"]["cost"]["num_complete"] == 14
    assert sorted(store.directory.rglob("*")) == before
    both = run("report", store.directory, "--json", "--out", tmp_path / "mine.html")
    assert json.loads(both.stdout) == found
    assert (tmp_path / "mine.html").exists()
    assert sorted(store.directory.rglob("*")) == before


def test_the_last_confirmation_stands_beside_the_numbers_of_the_sweep(store):
    alone = json.loads(run("report", store.directory, "--json").stdout)["answers"]
    assert "confirmed" not in alone
    confirmation_in(store.directory.parent, confirms=confirms(sweep_id=store.meta.sweep_id))
    found = json.loads(run("report", store.directory, "--json").stdout)["answers"]
    # Of the sweep's 80 and 90 %, 77 and 88 are left: 3 and 2 points.
    assert found["confirmed"]["sentences"][0].startswith("The sweep's accuracies were 2.50 ±0.71")
    assert run("report", store.directory).exit_code == 0
    page = (store.directory / "report.html").read_text(encoding="utf-8")
    assert "77.00% ±1.41" in page
    assert "76.00% ±2.83" in page


def test_a_sweep_file_that_cannot_be_read_leaves_importance_out(store):
    (store.directory / "sweep.yaml").write_text("- no sweep")
    result = run("report", store.directory)
    assert result.exit_code == 0, result.output
    assert "importance is left out" in result.stderr
    assert (store.directory / "report.html").exists()
    assert not (store.directory / "pictures" / "importance.png").exists()


def test_a_damaged_record_is_warned_of(store):
    (store.trials_dir / "t0003" / "result.json").write_text("{")
    result = run("report", store.directory)
    assert result.exit_code == 0, result.output
    assert "t0003" in result.stderr


def test_places_that_a_report_cannot_go_to(store, tmp_path):
    assert "is a directory; give the name of a file" in refusal(
        "report", store.directory, "--out", tmp_path
    )
    assert "there is no directory" in refusal(
        "report", store.directory, "--out", tmp_path / "none" / "x.html"
    )
    (store.directory / "report.html").symlink_to(tmp_path / "elsewhere.html")
    assert "is a link" in refusal("report", store.directory)
    assert "no run.json" in refusal("report", tmp_path)
    assert not (tmp_path / "elsewhere.html").exists()
    assert not (store.directory / "pictures").exists()


def test_a_disk_that_is_full_is_told_in_a_line(store, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kdsweep.storage.atomic.os.fsync", full)
    said = refusal("report", store.directory)
    assert said.endswith(
        "the report cannot be written: No space left on device; give another place"
    )
    assert not (store.directory / "report.html").exists()


def test_pictures_that_cannot_be_written_do_not_cost_the_report(store, tmp_path):
    (store.directory / "pictures").symlink_to(tmp_path)
    result = run("report", store.directory, "--out", tmp_path / "mine.html")
    assert result.exit_code == 0, result.output
    assert "the pictures are not written" in result.stderr
    assert "is a link" in result.stderr
    assert (tmp_path / "mine.html").exists()


def test_help_reads_at_eighty_columns():
    said = run("report", "--help").stdout
    assert "kdsweep report runs/digits --out digits.html" in said
    assert max(map(len, said.splitlines())) <= 80


def test_what_is_no_ordinary_file_is_not_replaced(store, tmp_path):
    fifo, link = tmp_path / "fifo", tmp_path / "link"
    os.mkfifo(fifo)
    link.symlink_to(tmp_path / "elsewhere.html")
    for path in (fifo, link):
        said = refusal("report", store.directory, "--out", path)
        assert "is no ordinary file, and would be replaced" in said
    assert fifo.is_fifo()
    assert link.is_symlink()
