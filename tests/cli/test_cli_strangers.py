"""Files of strangers: what in them runs is said, and nothing else in them runs."""

import json
import pickle
import sys
import uuid
import zipfile

import pytest
import torch
from calling import run
from run_records import run_meta, trial_result
from test_cli_own import SWEEP

from kdsweep.results.store import RunStore
from kdsweep.sweep_file import load


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Where one works: a module that tells when it is imported lies there, and two sweeps."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    module = f"stranger_{uuid.uuid4().hex}"
    (tmp_path / f"{module}.py").write_text(
        "from pathlib import Path\nfrom torch import nn\nPath('imported').touch()\n"
        "class Own(nn.Module):\n"
        "    def __init__(self, num_classes):\n"
        "        super().__init__()\n"
        "        self.layer = nn.Linear(64, num_classes)\n"
        "    def forward(self, images):\n"
        "        return self.layer(images.flatten(1))\n"
    )
    (tmp_path / "own.yaml").write_text(
        SWEEP.replace("space:", f"space:\n  student: {{choice: [cnn, '{module}:Own']}}")
    )
    (tmp_path / "plain.yaml").write_text(SWEEP)
    return tmp_path, module


def test_check_names_the_code_that_a_sweep_brings_along(home, capsys):
    directory, module = home
    assert run("check", "own.yaml") == 0
    assert f"  own code    {module}:Own" in capsys.readouterr().out.splitlines()
    assert (directory / "imported").exists()
    assert run("check", "own.yaml", "--json") == 0
    assert json.loads(capsys.readouterr().out)["own_code"] == [f"{module}:Own"]
    # What another file has brought is not that of this one.
    assert run("check", "plain.yaml") == 0
    assert "own code" not in capsys.readouterr().out


def test_check_names_the_code_that_a_trial_brings_along(home, capsys):
    directory, module = home
    (directory / "trial.yaml").write_text(
        f"trial:\n  data: digits\n  student: {module}:Own\n  strategy: none\n"
        "  train: {epochs: 1}\n"
    )
    assert run("check", "trial.yaml") == 0
    assert f"  own code    {module}:Own" in capsys.readouterr().out.splitlines()


def test_a_name_of_a_module_alone_imports_nothing(home, capsys):
    directory, module = home
    for name in (module, f"{module}.Own", f"kdsweep.models.{module}", f"../{module}"):
        text = SWEEP.replace("{name: cnn, width: 2, stages: 2}", f"{{name: {name!r}}}")
        (directory / "sweep.yaml").write_text(text)
        assert run("check", "sweep.yaml") == 2
        assert f"no model named {name!r}" in capsys.readouterr().err
    assert not (directory / "imported").exists()


def test_a_record_that_names_a_module_is_shown_and_imports_nothing(home, capsys):
    directory, module = home
    store = RunStore.create(directory / "runs" / "a", meta=run_meta("a"), sweep_text="{}\n")
    own = {"name": f"{module}:Own"}
    for number in range(3):
        store.write(trial_result(number, trial={"student": own, "strategy": own, "data": own}))
    for arguments in (("front",), ("front", "--json"), ("select",), ("select", "--json")):
        assert run(arguments[0], store.directory, *arguments[1:]) == 0
    assert run("list", directory / "runs") == 0
    assert "on the front of 3 complete trials" in capsys.readouterr().out
    assert module not in sys.modules
    assert not (directory / "imported").exists()


@pytest.mark.parametrize(
    "value",
    [
        "!!python/object:kdsweep.spec.TrialSpec {}",
        "!!python/object/apply:os.system ['touch ran']",
        "!!python/object/new:os.system ['touch ran']",
        "!!python/name:os.system",
        "!!python/module:os",
        "!!python/tuple [1]",
    ],
)
@pytest.mark.parametrize("command", ["check", "run", "trial", "resume", "sync"])
def test_a_tag_of_python_in_a_file_makes_nothing(home, capsys, value, command):
    directory, _ = home
    text = f"{SWEEP}description: {value}\n"
    (directory / "sweep.yaml").write_text(text)
    if command in ("resume", "sync"):
        RunStore.create(directory / "runs" / "a", meta=run_meta("a"), sweep_text=text)
    assert run(command, "runs/a" if command in ("resume", "sync") else "sweep.yaml") == 2
    tag = "!!" + value.removeprefix("!!").split(" ")[0]
    error = capsys.readouterr().err
    assert f"the tag {tag} is not allowed: a sweep file holds plain data only" in error
    assert "Traceback" not in error
    assert not (directory / "ran").exists()


class Runs:
    """Runs a command when it is read."""

    def __init__(self, call, *arguments):
        self.call, self.arguments = call, arguments

    def __reduce__(self):
        return self.call, self.arguments


def evil(how):
    import os

    if how == "os.system":
        return Runs(os.system, "touch ran")
    if how == "exec":
        return Runs(exec, "open('ran', 'w').close()")
    if how == "eval":
        return Runs(eval, "open('ran', 'w').close()")
    return Runs(getattr, str, "format")


@pytest.mark.parametrize("how", ["os.system", "exec", "eval", "getattr"])
@pytest.mark.parametrize("form", ["zip", "older", "bare pickle"])
@pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors"])
def test_a_pickle_that_runs_code_is_refused_as_weights(home, capsys, how, form, suffix):
    directory, _ = home
    path = directory / f"teacher{suffix}"
    state = {"weight": torch.zeros(2), "more": evil(how)}
    if form == "bare pickle":
        path.write_bytes(pickle.dumps(state))
    else:
        torch.save(state, path, _use_new_zipfile_serialization=form == "zip")
    assert zipfile.is_zipfile(path) == (form == "zip")
    teacher = "train: {epochs: 1}}"
    text = SWEEP.replace(teacher, f"weights: {path}}}", 1)
    (directory / "sweep.yaml").write_text(text)
    assert run("check", "sweep.yaml") == 2
    error = capsys.readouterr().err
    assert f"trial.teacher.weights: {str(path)!r} cannot be read as weights (" in error
    assert "or a .pt that holds a state dict of tensors and nothing else" in error
    assert "Traceback" not in error
    assert not (directory / "ran").exists()


def test_the_file_without_the_pickle_is_good(home):
    directory, _ = home
    model = "{model: {name: cnn, width: 4, stages: 2}, train: {epochs: 1}}"
    from kdsweep import catalog

    sweep = load(directory / "plain.yaml")
    network = catalog.model_for(sweep.spec.trial.teacher.model, sweep.info)
    path = directory / "teacher.pt"
    torch.save(network.state_dict(), path)
    given = model.replace("train: {epochs: 1}", f"weights: {path}")
    (directory / "sweep.yaml").write_text(SWEEP.replace(model, given))
    assert run("check", "sweep.yaml") == 0
