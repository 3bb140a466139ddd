"""A chosen student in MLflow's model registry: loaded and asked where there is no kdsweep."""

import json
import os
import re
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas
import pytest
import torch
from kept_students import TEXTS, kept, stranger
from mlflow import MlflowClient
from run_records import run_meta
from tracking_trials import epochs
from typer.testing import CliRunner

from kdsweep import catalog
from kdsweep.cli import app
from kdsweep.errors import ResultError
from kdsweep.tracking import registry
from kdsweep.tracking.recorder import Recorder
from kdsweep.tracking.registry import Entry, check_names

CPU = torch.device("cpu")
TEXT = (Path(__file__).parent.parent.parent / "docs" / "export.md").read_text()
(BLOCK,) = re.findall(r"^```py\n((?:(?!```).)*models:/digits@chosen.*?)^```", TEXT, re.M | re.S)

(TABLE,) = re.findall(r"^```py\n((?:(?!```).)*images\.csv.*?)^```", TEXT, re.M | re.S)


def tracked(home, uri, trial=None, **more):
    """A run whose one trial is in MLflow, and the trial's network."""
    given = {} if trial is None else {"trial": trial}
    store, result, network = kept(home, meta=run_meta("small"), epochs=epochs(2), **given, **more)
    recorder = Recorder(uri, "small", store)
    recorder.write(result)
    recorder.finish("complete", [result], [result])
    return store, result, network


def select(store, *more):
    arguments = ["select", str(store.directory), "--min-accuracy", "0.2", *map(str, more)]
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "100"})


@pytest.fixture(scope="module")
def digits(tmp_path_factory, uri):
    return tracked(tmp_path_factory.mktemp("digits"), uri, steps=40)


def test_the_chosen_student_is_a_version_that_loads_without_kdsweep(digits, uri, tmp_path):
    store, result, network = digits
    before = run_of(uri, store, result)
    done = select(store, "--register", "digits", "--tracking-uri", uri, "--json")
    assert done.exit_code == 0, (done.output, done.exception)
    said = json.loads(done.stdout)["registered"]
    assert (said["version"], said["is_new"], said["uri"]) == (
        "1", True, "models:/digits@chosen"
    )  # fmt: skip

    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    version = client.get_model_version_by_alias("digits", "chosen")
    assert version.run_id == before.info.run_id
    assert version.tags["kdsweep.trial_id"] == "t0000"
    assert version.tags["on_front"] == "true"
    assert version.tags["constraints"] == "min accuracy 0.2"
    assert float(version.tags["accuracy"]) == pytest.approx(result.metrics["accuracy"], rel=1e-5)
    assert "trial 0 of the sweep small" in version.description
    # That it was registered is no part of the training.
    after = run_of(uri, store, result)
    assert (after.info.status, after.info.end_time) == ("FINISHED", before.info.end_time)

    test = catalog.dataset(catalog.Component(**result.trial["data"])).load(CPU).test
    np.save(tmp_path / "real.npy", test.images[:5].numpy())
    columns = ",".join(f"pixel{number}" for number in range(64))
    np.savetxt(
        tmp_path / "images.csv", test.images[:5].flatten(1).numpy(), fmt="%d", delimiter=",",
        header=columns, comments="",
    )  # fmt: skip
    stranger(ASKED.format(uri=uri, block=BLOCK, table=TABLE), tmp_path)
    wanted = network(next(test.in_order(batch_size=5)).images).detach().numpy()
    np.testing.assert_allclose(np.load(tmp_path / "found.npy"), wanted, rtol=1e-4, atol=1e-4)
    answered = json.loads((tmp_path / "answer.json").read_text())["predictions"]
    np.testing.assert_allclose(np.array(answered), wanted, rtol=1e-4, atol=1e-4)


ASKED = """
import os

os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
os.environ["MLFLOW_TRACKING_URI"] = {uri!r}
{block}
{table}
from mlflow.cli import cli

np.save("found.npy", model.predict(np.load("real.npy")))
needed = mlflow.pyfunc.get_model_dependencies("models:/digits@chosen")
assert "torch==" in open(needed).read()
cli(["models", "predict", "-m", "models:/digits@chosen", "-i", "images.json",
     "-o", "answer.json", "-t", "json", "--env-manager", "local"])
"""


def run_of(uri, store, result):
    client = MlflowClient(tracking_uri=uri)
    query = f"tags.`kdsweep.sweep_id` = '{store.meta.sweep_id}' AND tags.`kdsweep.trial_id` != ''"
    (found,) = client.search_runs([client.get_experiment_by_name("small").experiment_id], query)
    return found


def test_a_trial_is_registered_once_and_another_alias_points_to_it(digits, uri):
    store, _, _ = digits
    options = ("--register", "once", "--tracking-uri", uri)
    assert "registered  once, version 1, as models:/once@chosen" in select(store, *options).stderr
    again = select(store, *options, "--alias", "best")
    assert again.exit_code == 0
    said = " ".join(again.stderr.split())
    assert "this trial is version 1 of once already: no second one is made" in said
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    assert len(client.search_model_versions("name = 'once'")) == 1
    aliases = client.get_registered_model("once").aliases
    assert {name: str(version) for name, version in aliases.items()} == {
        "chosen": "1",
        "best": "1",
    }


def test_an_alias_that_moves_is_said_and_the_earlier_version_is_kept(digits, uri, tmp_path):
    one, result, _ = digits
    registry.register(one, result, Entry("moving"), uri=uri)
    again = registry.register(one, result, Entry("moving"), uri=uri)
    assert (again.version, again.moved_from) == ("1", None)
    two, _, _ = tracked(tmp_path, uri, steps=40)
    done = select(two, "--register", "moving", "--tracking-uri", uri)
    assert done.exit_code == 0, (done.output, done.exception)
    assert "alias `chosen` moved from version 1 to 2" in done.stderr
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    assert str(client.get_model_version_by_alias("moving", "chosen").version) == "2"
    before = client.get_model_version("moving", "1")
    assert before.tags["kdsweep.trial_id"] == "t0000"
    assert datetime.fromisoformat(before.tags["chosen_until"]).tzinfo is not None


def test_one_that_is_chosen_again_says_why_it_is_now(digits, uri, tmp_path):
    store, _, _ = digits
    options = ("--register", "again", "--tracking-uri", uri)
    assert select(store, *options, "--min-accuracy", "0.01").exit_code == 0
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    first = client.get_model_version("again", "1")
    assert first.tags["constraints"].startswith("min accuracy 0.01")
    client.set_model_version_tag("again", "1", "chosen_until", "2026-11-27T10:00:00+00:00")
    assert select(store, *options, "--prefer", "params").exit_code == 0
    now = client.get_model_version("again", "1")
    assert "0.01" not in now.tags["constraints"]
    assert now.tags["prefer"] == "params"
    assert "chosen_until" not in now.tags
    assert "Chosen by kdsweep for its params" in now.description
    client.update_model_version("again", "1", "my own words")
    assert select(store, *options).exit_code == 0
    assert client.get_model_version("again", "1").description == "my own words"


def test_a_store_that_was_copied_is_not_written_beside_its_original(digits, uri, tmp_path):
    store, result, _ = digits
    copied = tmp_path / "mlflow.db"
    copied.write_bytes(Path(uri.removeprefix("sqlite:///")).read_bytes())
    with pytest.raises(ResultError, match=r"would be put beside the original: .* was copied or"):
        registry.register(store, result, Entry("copy"), uri=f"sqlite:///{copied}")


def test_a_text_student_is_registered_with_its_tokenizer(tmp_path, uri):
    store, result, network = tracked(tmp_path, uri, TEXTS)
    done = registry.register(store, result, Entry("texts"), uri=uri)
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    folder = client.get_model_version_download_uri("texts", done.version).removeprefix("file://")
    assert {"tokenizer.json", "trial.yaml"} <= set(os.listdir(f"{folder}/extra_files"))
    import mlflow.pyfunc

    model = mlflow.pyfunc.load_model(folder)
    tokens = np.ones((3, 24), np.int64)
    wanted = network(torch.from_numpy(tokens)).detach().numpy()
    np.testing.assert_allclose(model.predict(tokens), wanted, rtol=1e-4, atol=1e-4)
    # As `mlflow models predict -t csv` reads a file of ids.
    table = pandas.DataFrame(tokens, columns=[f"id{number}" for number in range(24)])
    np.testing.assert_allclose(model.predict(table), wanted, rtol=1e-4, atol=1e-4)


def test_what_fails_on_its_way_leaves_no_version_and_no_model(digits, uri, monkeypatch):
    store, result, _ = digits

    def full(*arguments, **more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(MlflowClient, "create_model_version", full)
    with pytest.raises(OSError, match="No space left"):
        registry.register(store, result, Entry("never"), uri=uri)
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    assert client.search_registered_models("name = 'never'") == []


def test_a_trial_that_mlflow_does_not_know_is_sent_first(tmp_path, uri):
    store, result, _ = kept(tmp_path, meta=run_meta("unsent"))
    with pytest.raises(ResultError) as refused:
        registry.register(store, result, Entry("digits"), uri=uri)
    assert str(refused.value) == (
        f"MLflow at {uri} has no run of trial 0, which the model is to be linked to: "
        f"`kdsweep sync {store.place}` sends all trials, or name the store that has them with "
        "--tracking-uri"
    )
    done = select(store, "--register", "digits", "--tracking-uri", uri)
    assert f"`kdsweep sync {store.place} --uri {uri}` sends all" in str(done.exception)
    nowhere = f"sqlite:///{tmp_path}/nowhere.db"
    with pytest.raises(ResultError, match=r"there is no MLflow store at .*nowhere\.db, which"):
        registry.register(store, result, Entry("digits"), uri=nowhere)
    assert not (tmp_path / "nowhere.db").exists()


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (Entry("a/b"), "--register 'a/b' is not allowed: a name without slashes, colons"),
        (Entry(" "), "--register ' ' is not allowed"),
        (Entry("a", "latest"), "--alias 'latest' is not allowed: letters, digits, - and _"),
        (Entry("a", "v12"), "--alias 'v12' is not allowed"),
        (Entry("a", "my alias"), "--alias 'my alias' is not allowed"),
    ],
)
def test_names_that_mlflow_does_not_take_are_refused_first(entry, said):
    with pytest.raises(ResultError) as refused:
        check_names(entry)
    assert str(refused.value).startswith(said)


def test_options_of_registering_need_a_name(tmp_path):
    store, _, _ = kept(tmp_path)
    for option in (("--alias", "best"), ("--tracking-uri", "sqlite:///x.db")):
        done = select(store, *option)
        assert isinstance(done.exception, ResultError)
        assert f"{option[0]} says how something is registered: give --register NAME" in str(
            done.exception
        )
