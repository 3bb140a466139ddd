"""What is taken out of a notebook: the files of a student, and a report."""

import json

import pytest
import torch
from noted_sweeps import run_of, with_network
from safetensors.torch import load_file

import kdsweep
from kdsweep.errors import ResultError


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with_network(run_of(home=tmp_path))
    return kdsweep.load("runs/digits")


def test_a_student_is_exported_as_the_command_does_it(sweep, tmp_path):
    folder = sweep.export(9, "safetensors", out="student", licence="CC0-1.0")
    assert folder.resolve() == tmp_path / "student"
    card = json.loads((folder / "card.json").read_text())
    assert "CC0-1.0" in json.dumps(card)
    assert (folder / "README.md").is_file()
    (file,) = folder.glob("*.safetensors")
    weights = load_file(file)
    own = dict(sweep.student(9).network.state_dict())
    for name, value in own.items():
        assert any(torch.equal(value, each) for each in weights.values()), name


def test_what_is_there_is_replaced_on_request_alone(sweep, tmp_path):
    sweep.export(9, ["safetensors"], out=tmp_path / "student")
    with pytest.raises(ResultError, match=r"is there already.*force"):
        sweep.export(9, ["safetensors"], out=tmp_path / "student")
    sweep.export(9, format=["safetensors"], out=tmp_path / "student", force=True)


def test_a_format_that_there_is_not_is_refused(sweep, tmp_path):
    with pytest.raises(ResultError, match=r"'onx' is not allowed \(allowed: "):
        sweep.export(9, "onx", out="student")
    with pytest.raises(ResultError, match="there is no trial 77"):
        sweep.export(77)
    assert not (tmp_path / "student").exists()


def test_a_report_is_a_page_of_its_own(sweep, tmp_path):
    page = sweep.report("digits.html")
    text = page.read_text()
    assert text.startswith("<!")
    assert "digits" in text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["digits.html", "runs"]


def test_a_report_that_cannot_be_written_says_why(sweep, tmp_path):
    with pytest.raises(ResultError, match="is a directory; give the name of a file"):
        sweep.report("runs")
    with pytest.raises(
        ResultError, match="there is no directory absent; make it, or give another place"
    ):
        sweep.report("absent/digits.html")
