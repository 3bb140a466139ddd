"""What every data set must do: a new file in the room is tested by being there.

One that needs files, or that has more than one way to be read, is made here by ``made_here``.
"""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from kdsweep import catalog
from kdsweep.data.base import DataSet, Split, Splits
from kdsweep.errors import SpecError
from kdsweep.results.record import EpochMetrics
from kdsweep.spec import Component, TrialSpec
from kdsweep.train.loop import Verdict, train
from kdsweep.train.teacher import RememberedLogits, Teacher

CPU = torch.device("cpu")
NAMES = catalog.names("data")
VIEWS = {"crop": 2, "flip": True, "cutout": 2, "views": 3}
FEW_SCRIPTS = ["braille", "greek", "hebrew"]


def class_folders(root: Path) -> dict[str, Any]:
    """Pictures of noise in three class folders, none like another."""
    noise = np.random.default_rng(0).integers(0, 256, (3, 9, 12, 10, 3)).astype(np.uint8)
    for name, images in zip(("cat", "dog", "emu"), noise, strict=True):
        (root / name).mkdir(parents=True)
        for number, pixels in enumerate(images):
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return {"name": "image_folder", "path": str(root), "size": [8, 8]}


def fake(root: Path) -> dict[str, Any]:
    options = {"size": 60, "image_size": [3, 8, 8], "num_classes": 3}
    return {"name": "torchvision", "dataset": "FakeData", "root": str(root), "options": options}


def streamed(make: Callable[[Path], dict[str, Any]]) -> Callable[[Path], dict[str, Any]]:
    return lambda root: {**make(root), "max_memory_bytes": 0, "workers": 0}


def augmented(make: Callable[[Path], dict[str, Any]]) -> Callable[[Path], dict[str, Any]]:
    return lambda root: {**make(root), "augment": VIEWS}


def glyphs(root: Path) -> dict[str, Any]:
    return {"name": "glyphs", "limit": 60, "classes": FEW_SCRIPTS}


def made_here() -> dict[str, Callable[[Path], dict[str, Any]]]:
    """Every data set with settings that need nothing from elsewhere; by its name alone at least."""
    own = {
        "digits, augmented": augmented(lambda root: {"name": "digits"}),
        "glyphs": glyphs,
        "image_folder": class_folders,
        "image_folder, streamed": augmented(streamed(class_folders)),
        "torchvision": fake,
        "torchvision, streamed": streamed(fake),
    }
    return {name: lambda root, name=name: {"name": name} for name in NAMES} | own


@pytest.fixture(scope="module", params=made_here())
def component(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Component:
    """The settings of a data set that is there."""
    root = tmp_path_factory.mktemp("data") / "images"
    return Component(**made_here()[request.param](root))


@pytest.fixture(scope="module", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What a data set renders once, this run of the tests renders for itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KDSWEEP_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def splits(component: Component) -> Splits:
    return catalog.dataset(component).load(CPU)


def parts(splits: Splits) -> dict[str, Split]:
    return {"train": splits.train, "validation": splits.validation, "test": splits.test}


def contents(split: Split) -> list[bytes]:
    return [
        image.numpy().tobytes()
        for batch in split.in_order(batch_size=512)
        for image in batch.images
    ]


def test_the_data_sets_of_the_first_release_are_all_found():
    assert {"digits", "glyphs", "image_folder", "torchvision"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_it_says_what_it_is_and_where_it_is_from(name):
    cls = catalog.find("data", name)
    assert issubclass(cls, DataSet)
    for part in (cls, cls.Params):
        assert len(vars(part)["__doc__"].split()) > 5
    assert cls.source.strip()
    with pytest.raises(SpecError, match=r"data\.lmit: unknown"):
        catalog.params("data", Component(name=name, lmit=3), at="data")


def test_it_is_what_it_says_before_it_is_read(component, splits):
    info = catalog.dataset(component).describe()
    assert info == splits.info
    assert len(info.class_names) == len(set(info.class_names)) == info.num_classes >= 2
    labels = set()
    for split in parts(splits).values():
        for batch in split.in_order(batch_size=300):
            assert batch.images.shape == (len(batch), *info.shape)
            assert (batch.images.dtype, batch.labels.dtype) == (torch.float32, torch.int64)
            assert batch.images.isfinite().all()
            labels |= set(batch.labels.tolist())
    assert labels == set(range(info.num_classes))


def test_every_class_is_trained_and_every_split_is_read_whole(splits):
    for name, split in parts(splits).items():
        batches = list(split.in_order(batch_size=37))
        assert torch.cat([b.ids for b in batches]).tolist() == list(range(split.num_samples))
        assert split.num_samples > 1
        if name == "train":
            found = torch.cat([b.labels for b in batches]).unique()
            assert len(found) == splits.info.num_classes


def test_no_picture_is_in_two_splits(splits):
    found = {name: set(contents(split)) for name, split in parts(splits).items()}
    assert not found["train"] & found["validation"]
    assert not (found["train"] | found["validation"]) & found["test"]


def test_images_are_normalised_by_the_training_split(splits):
    (batch,) = splits.train.in_order(batch_size=splits.train.num_samples)
    std, mean = torch.std_mean(batch.images, dim=(0, 2, 3), correction=0)
    torch.testing.assert_close(mean, torch.zeros_like(mean), rtol=0, atol=1e-4)
    torch.testing.assert_close(std, torch.ones_like(std), rtol=1e-4, atol=0)


def test_a_view_shows_the_same_pixels_in_order_and_shuffled(splits):
    for epoch in range(splits.num_views + 1):
        for batch in splits.train.shuffled(batch_size=400, epoch=epoch, seed=epoch):
            ordered = splits.train.in_order(batch_size=123, view=batch.view)
            images = torch.cat([each.images for each in ordered])
            assert torch.equal(batch.images, images[batch.ids])
            assert 0 <= batch.view < splits.num_views


def test_views_differ_where_there_are_several(splits):
    (plain,) = splits.train.in_order(batch_size=splits.train.num_samples)
    seen = [
        next(splits.train.in_order(batch_size=splits.train.num_samples, view=view)).images
        for view in range(splits.num_views)
    ]
    if splits.num_views == 1:
        assert torch.equal(seen[0], plain.images)
    else:
        assert not any(torch.equal(one, two) for one, two in pairwise(seen))


def test_reading_it_again_gives_the_same(component, splits):
    again = catalog.dataset(component).load(CPU)
    assert again.fingerprint == splits.fingerprint
    for one, other in zip(parts(splits).values(), parts(again).values(), strict=True):
        assert contents(one) == contents(other)
    first, second = (s.train.shuffled(batch_size=50, epoch=3, seed=7) for s in (splits, again))
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.labels, other.labels)


def test_another_split_has_another_name(component, splits):
    other = Component(**{**component.settings, "name": component.name, "split_seed": 1})
    assert catalog.dataset(other).load(CPU).fingerprint != splits.fingerprint


def test_a_student_is_distilled_on_it(component, splits):
    info, network = splits.info, {"name": "cnn", "stages": 2, "hidden": 8}
    trial = TrialSpec(
        data=component,
        student={**network, "width": 2},
        strategy="kd",
        train={"epochs": 1, "batch_size": 64},
    )
    torch.manual_seed(0)
    big = catalog.model(
        Component(**network, width=4), shape=info.shape, num_classes=info.num_classes
    )
    teacher = Teacher(big, digest="drawn", accuracy=0.0)
    seen: list[EpochMetrics] = []

    def report(epoch: EpochMetrics) -> Verdict:
        seen.append(epoch)
        return Verdict.CONTINUE

    live = train(trial, report, splits=splits, device=CPU, teacher=teacher)
    assert list(seen[0].train) == ["total", "hard", "soft"]
    assert not any(parameter.isnan().any() for parameter in live.student.parameters())
    remembered = RememberedLogits(teacher, splits.train)
    train(trial, report, splits=splits, device=CPU, teacher=teacher, remembered=remembered)
    assert seen[1].train == pytest.approx(seen[0].train, rel=1e-4)
    assert (seen[1].accuracy, seen[1].loss) == pytest.approx(
        (seen[0].accuracy, seen[0].loss), rel=1e-3
    )
