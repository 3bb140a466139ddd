"""Data sets without their training split: what is opened, what is the same, what is refused."""

import copy
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from kdsweep.data.base import Split, Splits
from kdsweep.data.digits import Digits
from kdsweep.data.image_folder import ImageFolder
from kdsweep.data.withheld import WithheldSplit
from kdsweep.errors import SpecError, TrialError

CPU = torch.device("cpu")
GIVEN = {"mean": (0.5,) * 3, "std": (0.25,) * 3}
KINDS = {"in memory": {}, "streamed": {"max_memory_bytes": 0, "workers": 0}}
LAYOUTS = {
    "parts": ("train", "val", "test"),
    "no validation": ("train", "test"),
    "no test": ("train", "validation"),
    "classes alone": ("",),
}
every_kind = pytest.mark.parametrize("kind", KINDS)
every_layout = pytest.mark.parametrize("layout", LAYOUTS)


def fill(root: Path, parts: tuple[str, ...]) -> Path:
    """Ten images of noise in each of two classes of each part, none like another."""
    for number, part in enumerate(parts):
        for label, name in enumerate(("cat", "dog")):
            folder = root / part / name
            folder.mkdir(parents=True)
            random = np.random.default_rng(10 * number + label)
            for k, pixels in enumerate(random.integers(0, 256, (10, 6, 6, 3)).astype(np.uint8)):
                Image.fromarray(pixels).save(folder / f"{k}.png")
    return root


def data(path: Path, **settings: object) -> ImageFolder:
    return ImageFolder(ImageFolder.Params(path=str(path), **{"size": 6, **settings}))


def contents(split: Split) -> list[tuple[bytes, int]]:
    (batch,) = split.in_order(batch_size=1000)
    return [
        (image.numpy().tobytes(), label)
        for image, label in zip(batch.images, batch.labels.tolist(), strict=True)
    ]


def held_out(splits: Splits) -> list[list[tuple[bytes, int]]]:
    return [contents(splits.validation), contents(splits.test)]


@every_kind
@every_layout
def test_no_training_image_is_opened_and_the_rest_is_the_same(kind, layout, tmp_path, opened):
    made = data(fill(tmp_path, LAYOUTS[layout]), **GIVEN, **KINDS[kind])
    whole = held_out(made.load(CPU))
    opened.paths.clear()
    splits = made.load_without_training(CPU)
    assert held_out(splits) == whole
    assert splits.info == made.describe()
    images = opened.below(tmp_path)
    assert len(images) == splits.validation.num_samples + splits.test.num_samples
    if layout == "parts":
        assert {Path(name).parts[0] for name in images} == {"val", "test"}


@every_kind
@every_layout
def test_training_images_that_are_damaged_are_not_noticed(kind, layout, tmp_path, opened):
    made = data(fill(tmp_path, LAYOUTS[layout]), **GIVEN, **KINDS[kind])
    opened.paths.clear()
    held_out(made.load_without_training(CPU))
    kept = opened.below(tmp_path)
    damaged = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.png")} - kept
    assert len(damaged) == made.load(CPU).train.num_samples
    for name in damaged:
        (tmp_path / name).write_text("no image")
    held_out(made.load_without_training(CPU))
    with pytest.raises(SpecError, match="cannot be read as an image"):
        contents(made.load(CPU).train)


@every_kind
def test_a_folder_without_train_gives_what_one_with_train_gives(kind, tmp_path):
    made = data(fill(tmp_path, LAYOUTS["parts"]), **GIVEN, **KINDS[kind])
    before = made.load_without_training(CPU)
    expected, info = held_out(before), made.describe()
    shutil.rmtree(tmp_path / "train")
    after = made.load_without_training(CPU)
    assert held_out(after) == expected
    assert after.fingerprint == before.fingerprint
    assert made.describe().identity == info.identity
    assert (info.no_training, made.describe().no_training) == (
        "",
        f"data.path: {tmp_path} has test/, val/ but no train/; add it, or use a strategy that "
        "reads no training data (data_free), and give every teacher its weights",
    )


def test_without_train_there_is_nothing_to_load_for_training(tmp_path):
    made = data(fill(tmp_path, ("validation", "test")))
    with pytest.raises(SpecError) as caught:
        made.load(CPU)
    assert caught.value.problems == (made.describe().no_training,)
    assert "has test/, validation/ but no train/; add it, or" in caught.value.problems[0]


def test_without_train_the_two_others_must_have_the_same_classes(tmp_path):
    fill(tmp_path, ("validation", "test"))
    (tmp_path / "test" / "dog").rename(tmp_path / "test" / "emu")
    with pytest.raises(SpecError) as caught:
        data(tmp_path).describe()
    assert caught.value.problems == (
        f"data.path: {tmp_path / 'test'} lacks class folders of validation: ['dog']",
        f"data.path: {tmp_path / 'test'} has class folders that validation has not: ['emu']",
    )


@every_kind
def test_the_fingerprint_is_stable_and_not_that_of_the_whole(kind, tmp_path):
    def name(**settings: object) -> str:
        made = data(tmp_path, **{**GIVEN, **KINDS[kind], **settings})
        return made.load_without_training(CPU).fingerprint

    fill(tmp_path, LAYOUTS["parts"])
    first = name()
    assert first == name()
    whole = data(tmp_path, **GIVEN, **KINDS[kind]).load(CPU).fingerprint
    assert len({first, whole, name(mean=(0.25,) * 3), name(size=4)}) == 4
    Image.new("RGB", (6, 6)).save(tmp_path / "train" / "cat" / "0.png")
    assert name() == first
    Image.new("RGB", (6, 6)).save(tmp_path / "val" / "cat" / "0.png")
    assert name() != first


@every_kind
@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({}, "data.mean: is missing, as is data.std"),
        ({"mean": GIVEN["mean"]}, "data.std: is missing"),
        ({"std": GIVEN["std"]}, "data.mean: is missing"),
    ],
)
def test_mean_and_std_that_would_be_measured_are_asked_for(kind, given, missing, tmp_path):
    made = data(fill(tmp_path, LAYOUTS["parts"]), **given, **KINDS[kind])
    problem = (
        f"{missing}, and cannot be measured: this trial opens no training image; give those that "
        "the teacher was trained with, one value per channel, pixels in 0..1"
    )
    assert made.problems_without_training() == [problem]
    with pytest.raises(SpecError) as caught:
        made.load_without_training(CPU)
    assert caught.value.problems == (problem,)
    assert data(tmp_path, **GIVEN).problems_without_training() == []


def test_a_set_of_one_file_is_loaded_and_its_training_split_withheld():
    whole, made = Digits(Digits.Params()).load(CPU), Digits(Digits.Params())
    splits, again = (made.load_without_training(CPU) for _ in range(2))
    assert made.problems_without_training() == []
    assert held_out(splits) == held_out(whole)
    assert (splits.info, splits.num_views) == (whole.info, whole.num_views)
    assert splits.fingerprint == again.fingerprint != whole.fingerprint


@pytest.mark.parametrize(
    ("touch", "what"),
    [
        (lambda split: split.num_samples, "num_samples"),
        (lambda split: split.labels, "labels"),
        (lambda split: split.images, "images"),
        (lambda split: split.shuffled(batch_size=2, epoch=0, seed=0), "batches"),
        (lambda split: split.in_order(batch_size=2), "batches"),
    ],
)
def test_nothing_of_a_withheld_split_can_be_had(touch, what):
    with pytest.raises(TrialError) as caught:
        touch(WithheldSplit())
    assert caught.value.problems == (
        f"the training data are withheld, and something asked for their {what}: the strategy of "
        "this trial says that it learns without them (needs.data is false)",
    )


def test_a_withheld_split_can_be_copied():
    assert isinstance(copy.deepcopy(WithheldSplit()), WithheldSplit)
