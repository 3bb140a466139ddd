"""Where a sweep that has ended says that its trials can be browsed."""

import shlex

import pytest
from small_runs import store_of
from typer.testing import CliRunner

from kdsweep.cli import app
from kdsweep.cli.ended import browsing
from kdsweep.tracking import default_uri


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = store_of(tmp_path)
    store.update_meta(tracking_uri=default_uri(tmp_path / "runs"))
    return store


def test_runs_in_their_usual_place_need_no_option(store):
    assert browsing(store.meta, store.directory.parent) == "kdsweep ui: browse them; "


def test_runs_elsewhere_are_named(store, tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    said = browsing(store.meta, store.directory.parent)
    assert said == f"kdsweep ui --runs-dir {tmp_path / 'runs'}: browse them; "
    # It is a command that there is; only the port keeps it from starting here.
    words = shlex.split(said.partition(":")[0])[1:]
    done = CliRunner().invoke(app, [*words, "--port", "0"])
    assert "Invalid value for '--port'" in done.output


def test_a_server_of_its_own_is_named(store):
    store.update_meta(tracking_uri="http://me:pw@mlflow.example:5000")
    assert (
        browsing(store.meta, store.directory.parent)
        == "MLflow at http://mlflow.example:5000: browse them; "
    )


def test_what_is_not_tracked_cannot_be_browsed(store):
    store.update_meta(tracking_uri=None)
    assert browsing(store.meta, store.directory.parent) == ""
