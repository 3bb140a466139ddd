"""Classes of one's own that fail: a sentence with their file and line, the rest on request."""

import logging
import uuid

import pytest
from calling import run

from kdsweep.cli import failing

SWEEP = """
name: small
trial:
  data: {name: digits}
  teacher: {model: {name: cnn, width: 4, stages: 2}, train: {epochs: 1}}
  student: {name: cnn, width: 2, stages: 2}
  train: {epochs: 1, batch_size: 256}
space:
  train.lr: {choice: [0.1, 0.2]}
tracking: {enabled: false}
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(SWEEP)
    return tmp_path


OWN = """
import logging
from torch import nn
from kdsweep.data.digits import Digits
class InForward(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.layer = nn.Linear(64, num_classes)
    def forward(self, images):
        if self.training and len(images) > 8:
            return self.absent
        return self.layer(images.flatten(1))
class InInit(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.layer = {}["layer"]
class Data(Digits):
    def describe(self):
        return self.absent
class Warns(Digits):
    def load(self, device):
        logging.getLogger("kdsweep.own").warning("the digits are odd")
        return super().load(device)
"""


@pytest.fixture
def own(home, monkeypatch):
    """A module with classes that fail, and files that name them."""
    module = f"own_{uuid.uuid4().hex}"
    (home / f"{module}.py").write_text(OWN.lstrip())
    for name in ("InForward", "InInit"):
        student = f"student: '{module}:{name}'"
        (home / f"{name}.yaml").write_text(
            SWEEP.replace("student: {name: cnn, width: 2, stages: 2}", student)
        )  # fmt: skip
    for name in ("Data", "Warns"):
        (home / f"{name}.yaml").write_text(SWEEP.replace("{name: digits}", f"'{module}:{name}'"))
    monkeypatch.syspath_prepend(str(home))
    # The command line asks for tracebacks for the whole of a process.
    monkeypatch.setattr(failing, "_wanted", False)
    log = logging.getLogger("kdsweep")
    level, handlers = log.level, log.handlers[:]
    yield module
    log.setLevel(level)
    log.handlers[:] = handlers


def test_a_class_of_ones_own_that_fails_in_a_trial_is_told_by_its_place(own, capsys):
    assert run("trial", "InForward.yaml") == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith(f"error: InForward.yaml: {own}.py, line 10, in forward: AttributeError")
    assert hint == "`kdsweep --traceback COMMAND ...` prints the whole traceback"
    assert run("--traceback", "trial", "InForward.yaml") == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("Traceback")
    assert lines[-1] == error


@pytest.mark.parametrize("command", ["check", "trial", "run"])
def test_a_network_of_ones_own_that_cannot_be_built_is_told_by_its_place(own, capsys, command):
    assert run(command, "InInit.yaml") == 2
    err = capsys.readouterr().err
    assert err.splitlines() == [
        f"error: InInit.yaml: trial.student: {own}:InInit cannot be built: {own}.py, line 15, in "
        "__init__: KeyError: 'layer'"
    ]
    assert run("--traceback", command, "InInit.yaml") == 2
    assert "Traceback (most recent call last)" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["check", "trial", "run"])
def test_data_of_ones_own_that_fail_in_a_check_are_told_by_their_place(own, capsys, command):
    assert run(command, "Data.yaml") == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith(f"error: {own}.py, line 18, in describe: AttributeError: 'Data' object")
    assert hint == failing.HINT
    assert run("--traceback", command, "Data.yaml") == 2
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_a_warning_is_shown_once(own, capsys):
    assert run("trial", "Warns.yaml") == 0
    assert capsys.readouterr().err == "warning: the digits are odd\n"


def test_a_mistake_of_the_program_itself_keeps_its_traceback(home, monkeypatch):
    monkeypatch.setattr("kdsweep.sweep_file.load", len)
    with pytest.raises(TypeError, match="has no len"):
        run("check", "small.yaml")
