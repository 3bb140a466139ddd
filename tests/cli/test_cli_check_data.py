"""``kdsweep check`` of data of one's own: what it counts, what it refuses, how teachers see it."""

import json
import shutil

import numpy as np
import pytest
import torch
from calling import run
from PIL import Image

from kdsweep import catalog
from kdsweep.data import image_folder
from kdsweep.spec import Component

TEACHER = {"name": "cnn", "width": 4, "stages": 2}
SWEEP = """
name: shapes
trial:
  data: {name: image_folder, path: photos, size: 8}
  teacher: {model: {name: cnn, width: 4, stages: 2}, weights: teacher.pt}
  student: {name: cnn, width: 2, stages: 2}
  train: {epochs: 1}
space:
  student.width: {choice: [2, 4]}
search: {trials: 2}
"""
TRIAL = SWEEP[SWEEP.index("trial:") : SWEEP.index("space:")]


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Five classes of ten images, and a teacher of these."""
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(("circle", "cross", "ring", "square", "star")):
        folder = tmp_path / "photos" / name
        folder.mkdir(parents=True)
        for k in range(10):
            Image.fromarray(np.full((8, 8, 3), 10 * number + k, np.uint8)).save(folder / f"{k}.png")
    network = catalog.model(Component(**TEACHER), shape=(3, 8, 8), num_classes=5)
    torch.save(network.state_dict(), tmp_path / "teacher.pt")
    return tmp_path


@pytest.fixture
def check(home, capsys):
    """A function: the exit code of ``kdsweep check`` on such a file, its lines, its complaints."""

    def checked(text=SWEEP, *options):
        (home / "file.yaml").write_text(text)
        code = run("check", "file.yaml", *options)
        out, err = capsys.readouterr()
        return code, " ".join(out.split()), err.splitlines()

    return checked


@pytest.mark.parametrize("text", [SWEEP, TRIAL])
def test_it_counts_the_images_of_each_part(check, text):
    code, out, _ = check(text)
    assert code == 0
    said = "image_folder: 5 classes, images of 3x8x8; train 30, validation 10, test 10 teacher"
    assert said in out
    found = json.loads(run_json(check, text))["data"]
    assert found["samples"] == {"train": 30, "validation": 10, "test": 10}
    assert (found["num_classes"], found["files_opened"]) == (5, 50)


def run_json(check, text):
    return check(text, "--json")[1]


def test_it_says_when_only_a_sample_was_looked_at(check, monkeypatch):
    monkeypatch.setattr(image_folder, "_MOST_OPENED", 20)
    said = "of these 50 files 20, spread evenly over them, were opened to see whether they are"
    assert said in check()[1]


@pytest.mark.parametrize("text", [SWEEP, TRIAL])
def test_whatever_is_wrong_with_the_folder_it_says(check, home, text):
    (home / "photos" / "star" / "1.png").write_text("junk")
    code, out, err = check(text)
    assert (code, out) == (2, "")
    assert err == [
        f"error: file.yaml: trial.data: {home / 'photos' / 'star' / '1.png'} cannot be read as an "
        "image: its format is not known; mend it or remove it"
    ]


def test_a_folder_of_no_images_is_named_before_the_teacher_that_lacks_it(check, home):
    for name in ("empty", "__MACOSX"):
        (home / "photos" / name).mkdir()
    code, _, err = check()
    assert code == 2
    first, second, third = err
    assert first.startswith(f"error: file.yaml: trial.data.path: {home / 'photos' / '__MACOSX'} ")
    assert f"{home / 'photos' / 'empty'} has no images; fill it or remove it" in second
    assert "the data have 7 classes: __MACOSX, circle, cross, empty, ring, square, star" in third
    assert check(SWEEP.replace("weights: teacher.pt", "train: {epochs: 1}"))[2] == [first, second]


def test_a_folder_that_only_one_end_of_the_space_names_is_looked_at(check, home):
    shutil.copytree(home / "photos", home / "others")
    (home / "others" / "star" / "1.png").write_text("junk")
    code, _, err = check(SWEEP.replace("space:", "space:\n  data.path: {choice: [photos, others]}"))
    assert code == 2
    assert "others/star/1.png cannot be read as an image" in err[0]
    assert len(err) == 1


def test_a_loaded_teacher_is_said_to_see_normalised_images(check):
    mean_and_std = "normalised by the mean and std of the training part: it must have been trained"
    others = "(if it was trained with others, give data.mean and data.std)"
    for text in (SWEEP, TRIAL):
        _, out, _ = check(text)
        assert mean_and_std in out
        assert others in out
    given = SWEEP.replace("size: 8", "size: 8, mean: [0.5, 0.5, 0.4], std: [0.2, 0.2, 0.2]")
    said = (
        "a loaded teacher sees pixels in 0..1, normalised by mean [0.5, 0.5, 0.4] and std [0.2, "
        "0.2, 0.2]: it must have been trained so"
    )
    assert f"{said} space" in check(given)[1]
    assert json.loads(run_json(check, given))["normalisation"] == [said]
    half = SWEEP.replace("size: 8", "size: 8, mean: [0.5, 0.5, 0.4]")
    assert "by mean [0.5, 0.5, 0.4] and the std of the training part" in check(half)[1]
    trained = SWEEP.replace("weights: teacher.pt", "train: {epochs: 1}")
    assert "normalised" not in check(trained)[1]
    unread = TRIAL.replace("  train:", "  strategy: none\n  train:")
    assert "normalised" not in check(unread)[1]


def test_one_number_for_a_size_is_refused_once(check):
    assert check(SWEEP.replace("size: 8", "size: 0"))[2] == [
        "error: file.yaml: trial.data.size: 0 is not allowed: must be at least 1"
    ]


def test_elsewhere_no_image_is_opened(check, home):
    (home / "photos" / "star" / "1.png").write_text("junk")
    code, out, _ = check(SWEEP, "--elsewhere")
    assert code == 0
    assert "5 classes, images of 3x8x8 teacher" in out
