"""The whole of a data-free trial, from files: no training image is opened."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_trials import CPU, go_on

from kdsweep import catalog
from kdsweep.data import image_folder
from kdsweep.spec import Component, TrialSpec
from kdsweep.train.session import Session
from kdsweep.train.weights import save_weights

PARTS = {"train": 6, "validation": 4, "test": 4}
OF_TEACHER = {"name": "cnn", "width": 4, "stages": 2, "batch_norm": True}
SMALL = {"batches_per_epoch": 4, "width": 4, "noise": 8, "least_variety": 0}
SMALL["above_chance"] = None


@pytest.fixture
def opened(monkeypatch) -> list[str]:
    """The images that are read, by their paths."""
    seen: list[str] = []
    read = image_folder._Files.read

    def noted(files, index):
        seen.append(os.fsdecode(files.names[index]))
        return read(files, index)

    monkeypatch.setattr(image_folder._Files, "read", noted)
    return seen


def trial_on(folder: Path, strategy: dict[str, object]) -> TrialSpec:
    random = np.random.default_rng(0)
    for part, number in PARTS.items():
        for label in ("cat", "dog"):
            place = folder / "images" / part / label
            place.mkdir(parents=True)
            for i in range(number):
                pixels = random.integers(0, 256, (8, 8, 3)).astype(np.uint8)
                Image.fromarray(pixels).save(place / f"{i}.png")
    torch.manual_seed(0)
    network = catalog.model(Component(**OF_TEACHER), shape=(3, 8, 8), num_classes=2)
    save_weights(network, folder / "teacher.safetensors")
    return TrialSpec(
        data={
            "name": "image_folder", "path": str(folder / "images"), "size": [8, 8],
            "mean": [0.5, 0.5, 0.5], "std": [0.3, 0.3, 0.3], "max_memory_bytes": 0, "workers": 0,
        },
        teacher={"model": OF_TEACHER, "weights": str(folder / "teacher.safetensors")},
        student={"name": "cnn", "width": 2, "stages": 2},
        strategy=strategy,
        train={"epochs": 1, "batch_size": 4},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("strategy", "parts"),
    [({"name": "data_free", **SMALL}, {"validation"}), ({"name": "kd"}, {"train", "validation"})],
    ids=["data_free", "kd"],
)
def test_which_parts_of_a_streamed_folder_are_opened(strategy, parts, opened, tmp_path):
    done = Session(device=CPU, teachers=tmp_path / "teachers").run(
        trial_on(tmp_path, strategy), go_on
    )
    assert done.status == "complete", done.error
    assert {Path(name).parts[0] for name in opened} == parts
