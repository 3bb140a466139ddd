"""What ``kdsweep ui`` does where no sweep has been tracked, or not yet."""

import sys
from types import SimpleNamespace

import pytest
from calling import run
from run_records import run_meta

from kdsweep.results.store import RunStore
from kdsweep.tracking.recorder import Recorder
from kdsweep.tracking.where import default_uri

BEFORE = "no sweep has been tracked here yet (no mlflow.db): "


def made(root, name, tracking=""):
    return RunStore.create(
        root / name, meta=run_meta(name=name), sweep_text=f"name: {name}\n{tracking}"
    )


def refusal(root, capsys):
    assert run("ui", "--runs-dir", root) == 2
    return capsys.readouterr().err


def test_before_any_sweep_it_says_how_to_begin(tmp_path, capsys):
    assert refusal(tmp_path, capsys) == (
        f"error: {tmp_path}: {BEFORE}run one with `kdsweep run FILE`, or name the directory of the "
        "runs with `--runs-dir`\n"
    )


@pytest.mark.parametrize("tracking", ["", "tracking: {enabled: false}"])
def test_runs_that_were_not_sent_can_be(tmp_path, capsys, tracking):
    made(tmp_path, "digits", tracking)
    said = f"error: {tmp_path}: {BEFORE}`kdsweep sync {tmp_path}/digits` sends what is in it\n"
    assert refusal(tmp_path, capsys) == said


def test_runs_that_are_tracked_elsewhere_are_seen_there(tmp_path, capsys):
    made(tmp_path, "digits", "tracking: {uri: 'http://there:5000'}")
    assert refusal(tmp_path, capsys) == (
        f"error: {tmp_path}: {BEFORE}{tmp_path}/digits is tracked at "
        "http://there:5000, which has a UI of its own\n"
    )


@pytest.mark.parametrize(
    "tracking", ["tracking: {enabled: false}", "tracking: {uri: 'http://there:5000'}"]
)
def test_a_sweep_that_makes_no_store_here_is_not_waited_for(tmp_path, capsys, tracking):
    with made(tmp_path, "digits", tracking).hold():
        assert BEFORE in refusal(tmp_path, capsys)


def test_a_sweep_that_has_begun_is_waited_for(tmp_path, capsys, monkeypatch):
    ends = [sys.executable, "-c", "raise SystemExit(3)"]
    monkeypatch.setattr("kdsweep.tracking.server.command", lambda uri, host, port: ends)
    store = made(tmp_path, "digits")
    looks = []

    def look(seconds):
        looks.append(seconds)
        if len(looks) == 2:
            Recorder(default_uri(tmp_path), "kdsweep", store)

    monkeypatch.setattr("kdsweep.cli.ui.time", SimpleNamespace(sleep=look))
    with store.hold():
        assert run("ui", "--runs-dir", tmp_path) == 2
    assert looks == [1.0, 1.0]
    heard = capsys.readouterr()
    waiting = f"waiting for {tmp_path}/digits, which has begun and sends its first trial soon\n"
    assert heard.out.count(waiting) == 1
    assert "the MLflow server ended" in heard.err
