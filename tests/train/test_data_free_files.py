"""The whole of a data-free trial, from files: no training image is opened, or needs to be there."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from calling import run as kdsweep
from PIL import Image
from tiny_trials import CPU, go_on, never

from kdsweep import catalog
from kdsweep.data.withheld import WithheldSplit
from kdsweep.results.record import EpochMetrics
from kdsweep.spec import Component, TrialSpec
from kdsweep.sweep_file import resolved, to_yaml
from kdsweep.train.loop import Verdict
from kdsweep.train.session import Session
from kdsweep.train.weights import save_weights

PARTS = {"train": 6, "validation": 4, "test": 4}
OF_TEACHER = {"name": "cnn", "width": 4, "stages": 2, "batch_norm": True}
DATA_FREE = {
    "name": "data_free", "batches_per_epoch": 4, "width": 4, "noise": 8, "least_variety": 0,
    "above_chance": None,
}  # fmt: skip
GIVEN = {"mean": [0.5, 0.5, 0.5], "std": [0.3, 0.3, 0.3]}
STREAMED = {"max_memory_bytes": 0, "workers": 0}
every_kind = pytest.mark.parametrize("kind", [{}, STREAMED], ids=["in memory", "streamed"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures of noise in three parts, and the weights of a teacher for them."""
    random = np.random.default_rng(0)
    for part, number in PARTS.items():
        for label in ("cat", "dog"):
            place = tmp_path / "images" / part / label
            place.mkdir(parents=True)
            for i in range(number):
                pixels = random.integers(0, 256, (8, 8, 3)).astype(np.uint8)
                Image.fromarray(pixels).save(place / f"{i}.png")
    torch.manual_seed(0)
    network = catalog.model(Component(**OF_TEACHER), shape=(3, 8, 8), num_classes=2)
    save_weights(network, tmp_path / "teacher.safetensors")
    return tmp_path


def trial_on(
    folder: Path, strategy: dict[str, Any], *, trained: bool = False, **data: Any
) -> TrialSpec:
    """A trial whose teacher is loaded, or ``trained`` first."""
    origin = (
        {"train": {"epochs": 1}} if trained else {"weights": str(folder / "teacher.safetensors")}
    )
    return TrialSpec(
        data={"name": "image_folder", "path": str(folder / "images"), "size": [8, 8], **data},
        teacher={"model": OF_TEACHER, **origin},
        student={"name": "cnn", "width": 2, "stages": 2},
        strategy=strategy,
        train={"epochs": 1, "batch_size": 4},
    )


@pytest.fixture
def session(folder: Path) -> Session:
    return Session(device=CPU, teachers=folder / "teachers")


def parts_in(opened: Any, folder: Path) -> set[str]:
    return {Path(name).parts[0] for name in opened.below(folder / "images")}


@every_kind
@pytest.mark.parametrize("strategy", [DATA_FREE, {"name": "kd"}], ids=lambda s: s["name"])
def test_which_images_a_trial_opens(strategy, kind, session, folder, opened):
    opened.paths.clear()
    done = session.run(trial_on(folder, strategy, **GIVEN, **kind), go_on)
    assert done.status == "complete", done.error
    reads = strategy["name"] == "kd"
    assert ("train" in parts_in(opened, folder)) == reads
    assert "validation" in parts_in(opened, folder)


@every_kind
def test_a_trial_on_a_folder_without_train_is_the_same(kind, session, folder):
    epochs: list[EpochMetrics] = []

    def report(epoch: EpochMetrics) -> Verdict:
        epochs.append(epoch)
        return Verdict.CONTINUE

    trial = trial_on(folder, DATA_FREE, **GIVEN, **kind)
    done = session.run(trial, report)
    assert done.status == "complete", done.error
    shutil.rmtree(folder / "images" / "train")
    again = Session(device=CPU, teachers=folder / "teachers").run(trial, report)
    assert again.status == "complete", again.error
    assert again.teachers[0] == done.teachers[0] | {"reused": True, "epochs": ()}
    first, second = (epoch.model_dump(exclude={"seconds"}) for epoch in epochs)
    assert first == second


def test_workers_that_decode_open_no_training_image(session, folder):
    """What they open is not heard of here, but a training image would break them."""
    for image in (folder / "images" / "train").rglob("*.png"):
        image.write_text("no image")
    done = session.run(trial_on(folder, DATA_FREE, **GIVEN, max_memory_bytes=0, workers=1), go_on)
    assert done.status == "complete", done.error
    trains = trial_on(folder, {"name": "kd"}, **GIVEN, max_memory_bytes=0, workers=1)
    assert "cannot be read as an image" in (session.run(trains, go_on).error or "")


def test_trials_with_and_without_data_take_turns_in_a_session(session, folder):
    """Neither gets what was made for the other."""
    free, kd = (trial_on(folder, strategy, **GIVEN) for strategy in (DATA_FREE, {"name": "kd"}))
    found = []
    for trial in (free, kd, free, kd):
        assert session.run(trial, go_on).status == "complete"
        withheld = isinstance(session.splits(trial).train, WithheldSplit)
        source, card = session.teachers(trial, never)["teacher"]
        found.append((withheld, source.store is None, card.data, card.accuracy))
    assert found[0] == found[2]
    assert found[1] == found[3]
    assert [each[:2] for each in found[:2]] == [(True, True), (False, False)]
    assert found[0][2] != found[1][2]
    assert found[0][3] == found[1][3]


def test_a_teacher_that_is_trained_first_has_the_data_and_the_student_has_not(
    session, folder, opened
):
    free, kd = (
        trial_on(folder, strategy, trained=True) for strategy in (DATA_FREE, {"name": "kd"})
    )
    opened.paths.clear()
    done = session.run(free, go_on)
    assert done.status == "complete", done.error
    assert "train" in parts_in(opened, folder)
    assert isinstance(session.splits(free).train, WithheldSplit)
    assert session.splits(free).validation is session.splits(kd).validation
    assert session.teachers(free, never)["teacher"][0] is session.teachers(kd, never)["teacher"][0]


def test_a_loaded_teacher_is_prepared_without_the_training_data(session, folder, opened):
    opened.paths.clear()
    trial = trial_on(folder, DATA_FREE, **GIVEN)
    made = session.prepare(trial, never)
    assert made.status == "complete", made.error
    assert "train" not in parts_in(opened, folder)
    assert session.run(trial, go_on).teachers[0]["digest"] == made.teachers[0]["digest"]


def test_mean_and_std_that_are_missing_end_the_trial(session, folder):
    done = session.run(trial_on(folder, DATA_FREE), go_on)
    assert done.status == "failed"
    assert (done.error or "").startswith(
        "data.mean: is missing, as is data.std, and cannot be measured"
    )


@every_kind
def test_the_command_trains_without_a_training_folder(kind, folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    shutil.rmtree(folder / "images" / "train")
    trial = trial_on(folder, DATA_FREE, **GIVEN, **kind)
    Path("trial.yaml").write_text(to_yaml({"trial": resolved(trial)}))
    assert kdsweep("trial", "trial.yaml", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["status"] == "complete"
    assert 0 <= said["metrics"]["accuracy"] <= 1


def test_the_command_tells_of_a_student_at_chance(folder, capsys, monkeypatch):
    """Of 24 images luck explains 1/2 + 2 sqrt(1/4 / 24) = 70.4%; here no weight moves."""
    monkeypatch.chdir(folder)
    for label in ("cat", "dog"):
        place = folder / "images" / "validation" / label
        for i in range(8):
            shutil.copy(place / f"{i % 4}.png", place / f"more{i}.png")
    still = {"epochs": 1, "batch_size": 4, "lr": 1e-30}
    trial = trial_on(folder, {**DATA_FREE, "above_chance": 2.0}, **GIVEN)
    trial = trial.model_copy(update={"train": trial.train.model_copy(update=still)})
    Path("trial.yaml").write_text(to_yaml({"trial": resolved(trial)}))
    assert kdsweep("trial", "trial.yaml") == 2
    err = capsys.readouterr().err
    assert err.startswith("error: trial.yaml: epoch 1: the student is at chance: ")
    assert "of 24 validation images are right; the most frequent class alone is 50.0%" in err
    assert "and above 70.4% (2 standard errors more)" in err
    assert "Traceback" not in err
