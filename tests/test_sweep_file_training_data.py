"""Sweeps and trials on data without a training part, or that leave it closed."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from calling import run as kdsweep
from PIL import Image

from kdsweep import catalog
from kdsweep.errors import SpecError
from kdsweep.search.starts import starts
from kdsweep.spec import Component
from kdsweep.sweep_file import load, load_for_elsewhere, load_trial, plan
from kdsweep.train.weights import save_weights

OF_TEACHER = {"name": "cnn", "width": 4, "stages": 2}
SWEEP = """
name: free
trial:
  data: {name: image_folder, path: images, size: 8, mean: [0.5, 0.5, 0.5], std: [0.3, 0.3, 0.3]}
  teacher: {model: {name: cnn, width: 4, stages: 2}, weights: teacher.safetensors}
  student: {name: cnn, width: 2, stages: 2}
  strategy: {name: data_free, batches_per_epoch: 2}
  train: {epochs: 1}
space:
  student.width: {choice: [2, 4]}
search: {sampler: random, trials: 3}
cluster: {concurrent_trials: 1}
"""
MEASURED = SWEEP.replace(", mean: [0.5, 0.5, 0.5], std: [0.3, 0.3, 0.3]", "")
TRAINED = SWEEP.replace("weights: teacher.safetensors", "train: {epochs: 1}")
NO_TRAIN = (
    "has test/, val/ but no train/; add it, or use a strategy that reads no training data "
    "(data_free), and give every teacher its weights"
)
NO_MEAN = (
    "is missing, as is data.std, and cannot be measured: this trial opens no training image; give "
    "those that the teacher was trained with, one value per channel, pixels in 0..1"
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with all three parts, and a teacher's weights."""
    monkeypatch.chdir(tmp_path)
    for number, part in enumerate(("train", "val", "test")):
        for label in ("cat", "dog"):
            folder = tmp_path / "images" / part / label
            folder.mkdir(parents=True)
            Image.fromarray(np.full((8, 8, 3), 40 * number, np.uint8)).save(folder / "1.png")
    network = catalog.model(Component(**OF_TEACHER), shape=(3, 8, 8), num_classes=2)
    save_weights(network, tmp_path / "teacher.safetensors")
    return tmp_path


@pytest.fixture
def without_train(home: Path) -> Path:
    shutil.rmtree(home / "images" / "train")
    return home


def written(text: str) -> Path:
    Path("free.yaml").write_text(text)
    return Path("free.yaml")


def problems(text: str, loader=load) -> list[str]:
    with pytest.raises(SpecError) as caught:
        loader(written(text))
    return list(caught.value.problems)


def test_a_sweep_without_training_data_has_no_controls_and_says_so(without_train, capsys):
    sweep = load(written(SWEEP))
    assert plan(sweep).controls == ()
    # Of two widths no point comes twice.
    assert plan(sweep).total == 2
    assert [start.role for start in starts(sweep)] == ["trial"]
    assert kdsweep("check", "free.yaml") == 0
    out = capsys.readouterr().out
    assert "\n  trials      2: 2 by random + no controls (there are no training data)\n" in out


def test_with_training_data_the_controls_are_as_ever(home):
    sweep = load(written(SWEEP))
    assert plan(sweep).controls == ("none", "kd")
    controls = [start for start in starts(sweep) if start.role == "control"]
    assert [start.changes["strategy"]["name"] for start in controls] == ["none", "kd"]


def test_a_trial_that_learns_from_training_data_is_refused_where_there_are_none(without_train):
    kd = SWEEP.replace("{name: data_free, batches_per_epoch: 2}", "{name: kd}")
    assert problems(kd) == [f"trial.data.path: {without_train}/images {NO_TRAIN}"]
    assert problems(kd, load_trial) == [f"trial.data.path: {without_train}/images {NO_TRAIN}"]
    assert problems(kd, load_for_elsewhere) == [
        f"trial.data.path: {without_train}/images {NO_TRAIN}"
    ]


def test_so_is_one_whose_teacher_must_be_trained(without_train):
    assert problems(TRAINED) == [f"trial.data.path: {without_train}/images {NO_TRAIN}"]
    two = SWEEP.replace("  train:", "  teachers: {other: {model: {name: cnn}}}\n  train:", 1)
    assert problems(two) == [f"trial.data.path: {without_train}/images {NO_TRAIN}"]


def test_a_strategy_of_the_space_that_needs_training_data_is_named(without_train):
    choice = "space:\n  strategy: {choice: [{name: data_free}, {name: kd}]}"
    assert problems(SWEEP.replace("space:", choice)) == [
        f"trial.data.path: {without_train}/images {NO_TRAIN} (with strategy=kd)"
    ]


def test_mean_and_std_are_asked_for_before_anything_runs(home, capsys):
    for loader in (load, load_trial, load_for_elsewhere):
        assert problems(MEASURED, loader) == [f"trial.data.mean: {NO_MEAN}"]
    assert kdsweep("check", "free.yaml") == 2
    assert f"trial.data.mean: {NO_MEAN}" in capsys.readouterr().err


def test_a_data_free_choice_among_others_asks_for_them_too(home):
    kd = MEASURED.replace("{name: data_free, batches_per_epoch: 2}", "{name: kd}")
    assert load(written(kd)).info.num_classes == 2
    choice = "space:\n  strategy: {choice: [{name: kd}, {name: data_free}]}"
    assert problems(kd.replace("space:", choice)) == [
        f"trial.data.mean: {NO_MEAN} (with strategy=data_free)"
    ]


@pytest.mark.parametrize("origin", ["train: {epochs: 1}", "seed: 0"])
def test_a_teacher_that_is_trained_first_opens_the_data_and_they_are_measured(home, origin):
    text = MEASURED.replace("weights: teacher.safetensors", origin)
    assert load(written(text)).info.num_classes == 2


def test_a_data_set_of_one_file_measures_them(home):
    network = catalog.model(Component(**OF_TEACHER), shape=(1, 8, 8), num_classes=10)
    save_weights(network, home / "teacher.safetensors")
    start, end = MEASURED.index("{name: image_folder"), MEASURED.index("}\n  teacher")
    text = MEASURED[:start] + "{name: digits" + MEASURED[end:]
    assert plan(load(written(text))).controls == ("none", "kd")


def test_what_cannot_be_known_is_not_complained_of(home):
    """A name that is wrong is the one problem."""
    wrong = MEASURED.replace("name: data_free, batches_per_epoch: 2", "name: datafree")
    (said,) = problems(wrong)
    assert said.startswith("trial.strategy.name: no strategy named 'datafree'")
    missing = SWEEP.replace("path: images", "path: nowhere")
    (said,) = problems(missing)
    assert said.startswith(f"trial.data.path: '{home / 'nowhere'}' does not exist")


def test_a_damaged_training_image_is_told_only_to_those_that_read_it(home: Path) -> None:
    (home / "images" / "train" / "cat" / "1.png").write_text("junk")
    (home / "free.yaml").write_text(SWEEP)
    assert load_trial(home / "free.yaml").strategy.name == "data_free"
    (home / "trained.yaml").write_text(TRAINED)
    with pytest.raises(SpecError) as caught:
        load_trial(home / "trained.yaml")
    (problem,) = caught.value.problems
    assert "train/cat/1.png cannot be read as an image" in problem
