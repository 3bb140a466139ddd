"""A store of MLflow's that was copied: its experiments refer to where the original is."""

import shutil
from types import SimpleNamespace

import pytest
from run_records import run_meta, trial_result
from typer.testing import CliRunner

from kdsweep.cli import app
from kdsweep.results.store import RunStore
from kdsweep.tracking import Tracker, default_uri, sync
from kdsweep.tracking.server import warning_of
from kdsweep.tracking.where import artifacts_elsewhere


def at(location, name="kdsweep"):
    return SimpleNamespace(name=name, artifact_location=location)


def test_what_lies_below_the_runs_is_no_copy(tmp_path):
    uri = default_uri(tmp_path)
    for place in (f"file://{tmp_path}/mlartifacts", f"{tmp_path}/a%20b", "s3://bucket/x",
                  "mlflow-artifacts:/1", "dbfs:/1"):  # fmt: skip
        assert artifacts_elsewhere(uri, [at(place)]) is None, place
    assert artifacts_elsewhere(uri, [at("/elsewhere/mlruns/0", "Default")]) is None
    assert artifacts_elsewhere("http://127.0.0.1:5000", [at("/elsewhere")]) is None


@pytest.mark.parametrize("place", ["file:///elsewhere/of%20mine", "/elsewhere/of mine"])
def test_a_copy_is_told_with_what_to_do(tmp_path, place):
    said = artifacts_elsewhere(default_uri(tmp_path), [at("s3://x"), at(place)])
    assert said == (
        f"{tmp_path}/mlflow.db was copied or moved: the files and pictures of its experiment "
        f"'kdsweep' are kept at /elsewhere/of mine, not here; remove {tmp_path}/mlflow.db and "
        "run `kdsweep sync RUN` for each run, which makes it anew with all of them here"
    )


@pytest.fixture
def copied(tmp_path):
    """A directory of runs, copied with its store."""
    store = RunStore.create(
        tmp_path / "runs" / "digits", meta=run_meta(), sweep_text="name: digits\n"
    )
    store.write(trial_result(1, metrics={"accuracy": 0.9, "params": 50.0}))
    sync(store, default_uri(tmp_path / "runs"), "kdsweep")
    shutil.copytree(tmp_path / "runs", tmp_path / "copy")
    return tmp_path / "copy"


def test_a_copy_is_told_by_all_that_write_and_show_and_mended_as_told(tmp_path, copied):
    uri, store = default_uri(copied), RunStore.open(copied / "digits")
    said = warning_of(uri)
    assert f"kept at {tmp_path}/runs/mlartifacts, not here" in said
    done = CliRunner().invoke(app, ["sync", str(copied / "digits")])
    assert f"warning: {said}" in done.stderr.replace("\n", "")
    told = []
    beside = Tracker(uri, "kdsweep", store, warn=told.append)
    beside.start()
    assert beside.close(60)
    assert told == [said]

    # A store that was open in this process stays so: where there has been none the file is missing.
    again = tmp_path / "again"
    shutil.copytree(copied, again, ignore=shutil.ignore_patterns("mlflow.db"))
    done = CliRunner().invoke(app, ["sync", str(again / "digits")])
    assert (done.exit_code, "warning" in done.stderr) == (0, False)
    assert warning_of(default_uri(again)) is None
    assert warning_of(default_uri(tmp_path / "runs")) is None
