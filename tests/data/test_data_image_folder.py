import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from kdsweep.data.base import Splits
from kdsweep.data.image_folder import ImageFolder
from kdsweep.data.memory import InMemorySplit
from kdsweep.data.stream import StreamedSplit
from kdsweep.errors import SpecError

CPU = torch.device("cpu")


def fill(folder: Path, num: int, *, seed: int = 0, side: int = 12) -> None:
    """``num`` images of noise that no two calls with different seeds share."""
    folder.mkdir(parents=True)
    noise = np.random.default_rng(seed).integers(0, 256, (num, side, side + 2, 3)).astype(np.uint8)
    for k, pixels in enumerate(noise):
        Image.fromarray(pixels).save(folder / f"{k}.png")


def data(path: Path, **settings: object) -> ImageFolder:
    return ImageFolder(ImageFolder.Params(path=str(path), **{"size": 8, **settings}))


def problems(path: Path, **settings: object) -> tuple[str, ...]:
    with pytest.raises(SpecError) as caught:
        data(path, **settings).load(CPU)
    return caught.value.problems


def plain(splits: Splits) -> list[torch.Tensor]:
    parts = (splits.train, splits.validation, splits.test)
    return [torch.cat([b.images for b in part.in_order(batch_size=4)]) for part in parts]


@pytest.fixture
def flowers(tmp_path: Path) -> Path:
    for seed, name in enumerate(("rose", "aster", "iris")):
        fill(tmp_path / name, 10, seed=seed)
    return tmp_path


def test_class_folders_are_split_by_shares(flowers: Path) -> None:
    (flowers / ".git").mkdir()
    (flowers / "rose" / ".hidden.png").write_text("x")
    (flowers / "rose" / "Thumbs.db").write_text("x")
    (flowers / "README.txt").write_text("x")
    assert data(flowers).describe().class_names == ("aster", "iris", "rose")
    splits = data(flowers).load(CPU)
    assert isinstance(splits.train, InMemorySplit)
    assert torch.bincount(splits.train.labels).tolist() == [6, 6, 6]
    images = torch.cat(plain(splits))
    assert images.shape == (30, 3, 8, 8)
    assert len(torch.unique(images.flatten(1), dim=0)) == 30


def test_parts_as_they_lie(tmp_path: Path) -> None:
    for seed, (part, num) in enumerate((("train", 6), ("val", 3), ("test", 2))):
        for label, name in enumerate(("a", "b")):
            fill(tmp_path / part / name, num, seed=10 * seed + label)
    splits = data(tmp_path).load(CPU)
    assert [len(each) for each in plain(splits)] == [12, 6, 4]


def test_a_part_without_a_folder_is_taken_from_train(tmp_path: Path) -> None:
    for seed, (part, num) in enumerate((("train", 10), ("test", 3))):
        for label, name in enumerate(("a", "b")):
            fill(tmp_path / part / name, num, seed=10 * seed + label)
    splits = data(tmp_path).load(CPU)
    train, validation, test = plain(splits)
    assert [len(train), len(validation), len(test)] == [16, 4, 6]
    assert len(torch.unique(torch.cat([train, validation, test]).flatten(1), dim=0)) == 26
    assert problems(tmp_path, test=0.3) == (
        f"data.test: 0.3 is not allowed: {tmp_path} has a test part of its own",
    )


def test_streamed_and_in_memory_give_the_same_batches(flowers: Path) -> None:
    augment = {"crop": 2, "flip": True, "views": 4}
    held = data(flowers, augment=augment).load(CPU)
    streamed = data(flowers, augment=augment, max_memory_bytes=100, workers=1).load(CPU)
    assert isinstance(held.train, InMemorySplit)
    assert isinstance(streamed.train, StreamedSplit)
    for one, other in zip(
        held.train.shuffled(batch_size=5, epoch=3, seed=1),
        streamed.train.shuffled(batch_size=5, epoch=3, seed=1),
        strict=True,
    ):
        assert torch.equal(one.ids, other.ids)
        assert torch.equal(one.labels, other.labels)
        assert torch.equal(one.images, other.images)


def test_fingerprint_of_a_streamed_set_follows_its_files(flowers: Path) -> None:
    def name(**settings: object) -> str:
        return data(flowers, max_memory_bytes=0, workers=0, **settings).load(CPU).fingerprint

    before = name()
    assert name() == before
    assert name(size=6) != before
    os.utime(flowers / "iris" / "3.png", ns=(1, 1))
    assert name() != before


def test_resized_to_cover_then_cut_at_the_centre(tmp_path: Path) -> None:
    pixels = np.zeros((4, 12), np.uint8)
    pixels[:, 4:8] = 200  # the centre square of a wide image
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for k in range(3):
            Image.fromarray(pixels).save(tmp_path / name / f"{k}.png")
    splits = data(tmp_path, size=(4, 4), channels=1, mean=(0.0,), std=(1.0,)).load(CPU)
    torch.testing.assert_close(plain(splits)[0], torch.full((2, 1, 4, 4), 200 / 255))


def test_odd_modes_keep_their_meaning(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.fromarray(np.full((8, 8), 100 * 257, np.uint16)).save(tmp_path / name / "deep.png")
        Image.new("RGB", (8, 8), (100, 100, 100)).quantize().save(tmp_path / name / "palette.png")
        turned = Image.new("L", (8, 16), 0)
        turned.paste(100, (0, 0, 8, 8))
        exif = Image.Exif()
        exif[0x0112] = 3  # upside down
        turned.save(tmp_path / name / "turned.png", exif=exif)
    splits = data(tmp_path, size=(16, 8), channels=1, mean=(0.0,), std=(1 / 255,)).load(CPU)
    images = torch.cat(plain(splits)).round()
    whole = [image for image in images if (image == 100).all()]
    half = [image for image in images if (image[:, 8:] == 100).all() and (image[:, :8] == 0).all()]
    assert (len(whole), len(half)) == (4, 2)


def test_links_are_followed_once(flowers: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    fill(elsewhere / "tulip", 5, seed=9)
    (flowers / "tulip").symlink_to(elsewhere / "tulip")
    (elsewhere / "tulip" / "round").symlink_to(elsewhere / "tulip")
    splits = data(flowers).load(CPU)
    assert splits.info.class_names == ("aster", "iris", "rose", "tulip")
    assert sum(map(len, plain(splits))) == 35


def test_missing_path(tmp_path: Path) -> None:
    (said,) = problems(tmp_path / "nowhere")
    assert said.startswith(f"data.path: '{tmp_path / 'nowhere'}' does not exist; put one folder")


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_text("x")
    assert "is a file, not a directory" in problems(tmp_path / "x.zip")[0]


def test_no_class_folders(tmp_path: Path) -> None:
    assert f"{tmp_path} has no class folders; put one folder" in problems(tmp_path)[0]
    fill(tmp_path / "only", 3)
    assert f"{tmp_path} has only the class folder 'only'" in problems(tmp_path)[0]


def test_empty_class_and_too_few_images(flowers: Path) -> None:
    (flowers / "lily").mkdir()
    (said,) = problems(flowers)
    assert said.startswith(f"data.path: {flowers / 'lily'} has no images; fill it or remove it")
    Image.new("RGB", (8, 8)).save(flowers / "lily" / "one.png")
    assert problems(flowers) == (
        "data: class 'lily' has too few samples to split (1); it needs 3: one for each part",
    )


def test_unreadable_images_are_all_named(flowers: Path) -> None:
    (flowers / "rose" / "0.png").write_text("no image")
    whole = (flowers / "iris" / "1.png").read_bytes()
    (flowers / "iris" / "1.png").write_bytes(whole[: len(whole) // 2])
    said = problems(flowers, mean=(0.5,) * 3, std=(0.5,) * 3, validation=0.01, test=0.01)
    assert f"{flowers / 'rose' / '0.png'} cannot be read as an image: its format is not known; mend it or remove it" in said  # fmt: skip  # noqa: E501
    assert len(said) == 2
    assert any(each.startswith(f"{flowers / 'iris' / '1.png'} cannot be read") for each in said)


def test_classes_that_differ_between_parts(tmp_path: Path) -> None:
    for part, names in (("train", "abc"), ("validation", "abc"), ("test", "abd")):
        for name in names:
            fill(tmp_path / part / name, 3)
    assert problems(tmp_path) == (
        f"data.path: {tmp_path / 'test'} lacks class folders of train: ['c']",
        f"data.path: {tmp_path / 'test'} has class folders that train has not: ['d']",
    )


def test_parts_without_train_or_twice(tmp_path: Path) -> None:
    fill(tmp_path / "test" / "a", 3)
    assert problems(tmp_path) == (
        f"data.path: {tmp_path} has test/ but no train/; add it, or, for trials that read no "
        "training data (data_free), both validation/ and test/",
    )
    for part in ("train", "val", "validation"):
        fill(tmp_path / part / "a", 3)
    assert problems(tmp_path) == (f"data.path: {tmp_path} has both val/ and validation/",)


def test_size_is_asked_for_and_bounded(tmp_path: Path) -> None:
    assert data(tmp_path, size=[4, 6]).params.size == (4, 6)
    with pytest.raises(ValidationError):
        ImageFolder.Params(path="x")
    with pytest.raises(ValidationError):
        ImageFolder.Params(path="x", size=0)
