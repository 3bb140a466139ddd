"""Settings given beside a file, as ``kdsweep trial --set``."""

import pytest

from kdsweep.errors import SpecError
from kdsweep.sweep_file import load_trial, parse_settings, resolved, to_yaml

TRIAL = {
    "data": "digits",
    "teacher": {"model": {"name": "cnn", "width": 4, "stages": 2}},
    "student": {"name": "cnn", "width": 4, "stages": 2},
    "strategy": {"name": "kd", "temperature": 2.5},
    "train": {"optimizer": "sgd"},
}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "trial.yaml"
    path.write_text(to_yaml({"trial": TRIAL}))
    return path


def refusal(file, *given):
    with pytest.raises(SpecError) as refused:
        load_trial(file, parse_settings(given))
    return str(refused.value).removeprefix(f"{file}: ")


def test_values_are_read_as_in_a_file():
    given = ["a=1", "b.c=1e-3", "d=true", "e=", "f=text = more", "g=[1, 2]", "h={name: kd}", "i=no"]
    assert parse_settings(given) == {
        "a": 1, "b.c": 1e-3, "d": True, "e": None, "f": "text = more", "g": [1, 2],
        "h": {"name": "kd"}, "i": "no",
    }  # fmt: skip


def test_they_are_put_into_the_trial(file):
    given = [
        "student.width=16",
        "strategy=none",
        "train.optimizer.momentum=0.5",
        "data.split_seed=3",
    ]
    trial = load_trial(file, parse_settings(given))
    whole = resolved(trial)
    assert (whole["student"]["width"], whole["student"]["stages"]) == (16, 2)
    assert whole["strategy"] == {"name": "none"}
    # What was given by its name alone keeps it.
    assert (trial.train.optimizer.name, trial.train.optimizer.momentum) == ("sgd", 0.5)
    assert (whole["data"]["name"], whole["data"]["split_seed"]) == ("digits", 3)


def test_of_a_sweep_file_too(tmp_path):
    whole = {"name": "s", "trial": TRIAL, "space": {"train.lr": {"choice": [0.1, 0.2]}}}
    path = tmp_path / "sweep.yaml"
    path.write_text(to_yaml(whole))
    assert load_trial(path, parse_settings(["train.lr=0.5"])).train.lr == 0.5


def test_a_name_that_is_not_there_is_refused_with_the_nearest(file):
    assert "trial.student.widht: unknown key 'widht'; did you mean 'width'?" in refusal(
        file, "student.widht=4"
    )
    assert "trial.studnt: unknown key 'studnt'; did you mean 'student'?" in refusal(
        file, "studnt.width=4"
    )
    assert refusal(file, "student.width=-1").startswith("trial.student.width: ")


def test_forms_that_are_refused(file):
    assert refusal(file, "student.width") == (
        "--set: 'student.width' is not allowed: must be PATH=VALUE, as student.width=16"
    )
    assert refusal(file, "=4", "seed=1", "seed=2").splitlines() == [
        "--set: '=4' is not allowed: must be PATH=VALUE, as student.width=16",
        "--set: seed is given twice: keep one of the two",
    ]
    assert refusal(file, "trial.seed=1") == (
        "--set: trial.seed is not allowed: paths are of the trial, as seed"
    )


def test_a_path_below_a_number_leads_nowhere(file):
    assert refusal(file, "student.width.x=1") == (
        "--set: student.width.x leads nowhere: student.width is 4, with nothing below it"
    )


@pytest.mark.parametrize("value", ["[1", "a: b", "1\nother: 2", "!!python/name:os.system"])
def test_values_that_are_not_one_plain_value_are_refused(file, value):
    said = refusal(file, f"seed={value}")
    assert said.startswith(f"--set: seed: {value!r} is not ")


def test_the_file_is_left_as_it_is(file):
    before = file.read_text()
    load_trial(file, parse_settings(["seed=4"]))
    assert file.read_text() == before
    assert load_trial(file).seed == 0
