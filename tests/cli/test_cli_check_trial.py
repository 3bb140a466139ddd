"""``kdsweep check`` of the file of one trial: what it would train."""

import json

import pytest
from calling import run

from kdsweep.spec import TrialSpec
from kdsweep.sweep_file import resolved, to_yaml
from kdsweep.sweep_file.teachers_said import teacher_words

TRIAL = {
    "data": "digits",
    "teacher": {"model": {"name": "cnn", "width": 8, "stages": 2}, "train": {"epochs": 3}},
    "student": {"name": "cnn", "width": 4, "stages": 2, "hidden": 12},
    "strategy": {"name": "kd", "temperature": 2.5, "extra": {"similarity": {"weight": 0.25}}},
    "train": {"epochs": 1, "batch_size": 64, "optimizer": "sgd"},
    "seed": 7,
}
# 3x3 convolutions of two stages, a hidden layer on 2x2 pixels, ten classes; with biases.
PARAMS = (9 * 4 + 4) + (9 * 4 * 8 + 8) + (8 * 2 * 2 * 12 + 12) + (12 * 10 + 10)


@pytest.fixture
def written(tmp_path, monkeypatch):
    """A function: write the file that a trial of a sweep has."""
    monkeypatch.chdir(tmp_path)

    def write(**changes):
        whole = resolved(TrialSpec.model_validate({**TRIAL, **changes}))
        (tmp_path / "trial.yaml").write_text(to_yaml({"trial": whole}))

    return write


def test_it_says_what_would_be_trained(written, capsys):
    written()
    assert run("check", "trial.yaml") == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert all(len(line) <= 80 for line in out.splitlines())
    first, *lines = out.splitlines()
    assert first == "trial.yaml: good"
    assert lines[:3] == [
        "  data        digits: 10 classes, images of 1x8x8",
        "  teacher     cnn, trained first for 3 epochs",
        f"  student     {PARAMS:,} params, {lines[2].split()[-2]} multiply-adds",
    ]
    text = " ".join(out.split())
    assert "cnn width=4 depth=1 stages=2 hidden=12" in text
    assert "strategy kd temperature=2.5" in text
    assert "extra.similarity.weight=0.25" in text
    assert "null" not in text
    assert "  training    1 epoch, batches of 64, lr 0.001, sgd, cosine, seed 7" in lines
    assert "  computing   float32, contiguous (auto: precision, memory format, compile)" in lines
    assert lines[-1] == "              stored: 560.6 KiB of at most 4.0 GiB"


def test_it_says_it_in_json(written, capsys):
    written()
    assert run("check", "trial.yaml", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["file"], found["num_classes"]) == ("trial.yaml", 10)
    assert found["student"]["params"] == PARAMS
    assert found["student"]["component"]["width"] == 4
    assert found["trial"]["train"]["epochs"] == 1


def test_a_teacher_that_nobody_reads_is_said_so(written, capsys):
    written(strategy="none")
    assert run("check", "trial.yaml") == 0
    assert "trained first for 3 epochs (strategy none: not read)" in capsys.readouterr().out
    written(strategy="none", teacher=None)
    assert run("check", "trial.yaml") == 0
    assert "  teacher     none\n" in capsys.readouterr().out


def test_every_mistake_is_told(written, tmp_path, capsys):
    written()
    path = tmp_path / "trial.yaml"
    path.write_text(
        path.read_text().replace("width: 4", "width: wide").replace("seed: 7", "seed: -7")
    )
    assert run("check", "trial.yaml") == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("error: trial.yaml: trial.seed: -7 is not allowed")
    assert second.startswith("error: trial.yaml: trial.student.width: 'wide' is not allowed")


def test_weights_that_are_elsewhere_are_not_looked_for(written, capsys):
    written(teacher={"model": TRIAL["teacher"]["model"], "weights": "/absent/t.safetensors"})
    assert run("check", "trial.yaml") == 2
    assert "/absent/t.safetensors': no such file" in capsys.readouterr().err
    assert run("check", "trial.yaml", "--elsewhere") == 0
    out = capsys.readouterr().out
    assert "cnn, loaded from /absent/t.safetensors" in " ".join(out.split())
    assert out.endswith("data and weights were not looked for\n")


def test_it_is_not_taken_for_a_sweep(written, capsys):
    written()
    assert run("run", "trial.yaml") == 2
    assert capsys.readouterr().err == (
        "error: trial.yaml: is the file of one trial, with nothing to vary: check it with "
        "`kdsweep check`, train it with `kdsweep trial trial.yaml`, or give it a name and a space\n"
    )


def test_of_several_teachers_each_has_its_name():
    large = {"model": "resnet", "train": {"epochs": 1}}
    trial = TrialSpec.model_validate({**TRIAL, "teachers": {"large": large}})
    assert teacher_words(trial) == (
        "teacher: cnn, trained first for 3 epochs; large: resnet, trained first for 1 epoch"
    )
