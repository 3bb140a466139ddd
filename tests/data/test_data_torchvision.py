import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import datasets

from kdsweep.data.base import Split, Splits
from kdsweep.data.memory import InMemorySplit
from kdsweep.data.stream import StreamedSplit
from kdsweep.data.torchvision import Torchvision
from kdsweep.errors import SpecError

CPU = torch.device("cpu")
PLAIN = {"mean": (0.0,), "std": (1 / 255,), "augment": {}}


def data(dataset: str, root: Path, **settings: object) -> Torchvision:
    return Torchvision(Torchvision.Params(dataset=dataset, root=str(root), **settings))


def problems(dataset: str, root: Path, **settings: object) -> tuple[str, ...]:
    with pytest.raises(SpecError) as caught:
        data(dataset, root, **settings).load(CPU)
    return caught.value.problems


def write_idx(path: Path, array: np.ndarray) -> None:
    """The format of the MNIST files: magic with the number of dimensions, sizes, bytes."""
    head = struct.pack(f">I{array.ndim}I", 0x0800 + array.ndim, *array.shape)
    path.write_bytes(head + array.astype(np.uint8).tobytes())


def write_mnist(root: Path) -> tuple[np.ndarray, np.ndarray]:
    folder = root / "MNIST" / "raw"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for part, num in (("t10k", 20), ("train", 100)):
        images = rng.integers(0, 256, (num, 28, 28)).astype(np.uint8)
        labels = np.arange(num) % 10
        write_idx(folder / f"{part}-images-idx3-ubyte", images)
        write_idx(folder / f"{part}-labels-idx1-ubyte", labels)
    return images, labels


def write_cifar(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both CIFAR sets in their files' layout, one image of each class in each file."""
    for name, num_classes, key, meta in (
        ("CIFAR10", 10, "labels", "label_names"),
        ("CIFAR100", 100, "fine_labels", "fine_label_names"),
    ):
        own = getattr(datasets, name)
        folder = root / own.base_folder
        folder.mkdir(parents=True)
        for file, _ in (*own.train_list, *own.test_list):
            pixels = np.zeros((num_classes, 3072), np.uint8)
            content = {"data": pixels, key: list(range(num_classes))}
            (folder / file).write_bytes(pickle.dumps(content))
        names = {meta: [f"class {number}" for number in range(num_classes)]}
        (folder / own.meta["filename"]).write_bytes(pickle.dumps(names))
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *_: True)


def write_images(folder: Path, num: int, *, side: int = 64, seed: int = 0) -> None:
    folder.mkdir(parents=True)
    noise = np.random.default_rng(seed).integers(0, 256, (num, side, side, 3)).astype(np.uint8)
    for k, pixels in enumerate(noise):
        Image.fromarray(pixels).save(folder / f"{k}.png")


def everything(split: Split) -> tuple[torch.Tensor, torch.Tensor]:
    batches = list(split.in_order(batch_size=7))
    return torch.cat([b.images for b in batches]), torch.cat([b.labels for b in batches])


def sizes(splits: Splits) -> list[int]:
    return [part.num_samples for part in (splits.train, splits.validation, splits.test)]


def test_mnist_validation_is_taken_from_train(tmp_path: Path) -> None:
    images, labels = write_mnist(tmp_path)
    splits = data("MNIST", tmp_path, **PLAIN).load(CPU)
    assert isinstance(splits.train, InMemorySplit)
    assert splits.info.shape == (1, 28, 28)
    assert splits.info.class_names[3] == "3 - three"
    assert sizes(splits) == [90, 10, 20]
    train, validation = everything(splits.train), everything(splits.validation)
    assert torch.bincount(validation[1]).tolist() == [1] * 10
    found = {
        (image.round().byte().numpy().tobytes(), int(label))
        for part in (train, validation)
        for image, label in zip(*part, strict=True)
    }
    assert found == {(i.tobytes(), int(k)) for i, k in zip(images, labels, strict=True)}


def test_streamed_and_in_memory_give_the_same_batches(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    held = data("MNIST", tmp_path).load(CPU)
    streamed = data("MNIST", tmp_path, max_memory_bytes=0, workers=1).load(CPU)
    assert isinstance(streamed.train, StreamedSplit)
    assert held.num_views == streamed.num_views == 8
    for one, other in zip(
        held.train.shuffled(batch_size=32, epoch=9, seed=2),
        streamed.train.shuffled(batch_size=32, epoch=9, seed=2),
        strict=True,
    ):
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.labels, other.labels)


def test_size_channels_and_limit(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    splits = data("MNIST", tmp_path, size=16, channels=3, limit=20).load(CPU)
    assert splits.info.shape == (3, 16, 16)
    assert sizes(splits) == [20, 10, 20]
    assert torch.bincount(everything(splits.train)[1]).tolist() == [2] * 10


def test_augmentation_follows_the_set_unless_given(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    assert not data("MNIST", tmp_path)._augment.flip
    assert data("MNIST", tmp_path)._augment.crop == 3
    fake = data("FakeData", tmp_path, options={"size": 60, "image_size": [3, 32, 32]})
    assert (fake._augment.crop, fake._augment.flip) == (4, True)
    assert data("MNIST", tmp_path, augment={"flip": True})._augment.crop == 0


def test_a_set_without_parts_is_split_three_ways(tmp_path: Path) -> None:
    for seed, name in enumerate(("Forest", "River")):
        write_images(tmp_path / "eurosat" / "2750" / name, 10, side=8, seed=seed)
    splits = data("EuroSAT", tmp_path, validation=0.2).load(CPU)
    assert splits.info.class_names == ("Forest", "River")
    assert sizes(splits) == [12, 4, 4]
    images = torch.cat([everything(part)[0] for part in (splits.train, splits.validation)])
    assert len(torch.unique(images.flatten(1), dim=0)) == 16


def test_parts_of_its_own_are_kept(tmp_path: Path) -> None:
    for seed, (part, num) in enumerate((("train", 4), ("valid", 3), ("test", 2))):
        for label, name in enumerate(("AD", "ZW")):
            write_images(tmp_path / "country211" / part / name, num, side=8, seed=9 * seed + label)
    splits = data("Country211", tmp_path).load(CPU)
    assert sizes(splits) == [8, 6, 4]
    assert problems("Country211", tmp_path, validation=0.3, test=0.3) == (
        "data.validation: 0.3 is not allowed: Country211 has a validation part of its own",
        "data.test: 0.3 is not allowed: Country211 has a test part of its own",
    )


def test_images_that_differ_in_size_ask_for_one(tmp_path: Path) -> None:
    for seed, name in enumerate(("Forest", "River")):
        write_images(tmp_path / "eurosat" / "2750" / name, 10, side=8 + seed, seed=seed)
    assert problems("EuroSAT", tmp_path) == (
        "data.size: is missing: the images of EuroSAT differ in size (the first is 8x8); "
        "give [H, W] to resize and cut them to",
    )
    assert sizes(data("EuroSAT", tmp_path, size=[6, 8]).load(CPU)) == [14, 2, 4]


def test_a_damaged_image_is_named(tmp_path: Path) -> None:
    for seed, name in enumerate(("Forest", "River")):
        write_images(tmp_path / "eurosat" / "2750" / name, 6, side=8, seed=seed)
    (tmp_path / "eurosat" / "2750" / "River" / "3.png").write_text("no image")
    (said,) = problems("EuroSAT", tmp_path)
    assert said.startswith("data.root: image 9 of EuroSAT cannot be read: ")


def test_letters_are_counted_from_zero(tmp_path: Path) -> None:
    folder = tmp_path / "EMNIST" / "raw"
    folder.mkdir(parents=True)
    for part, num in (("train", 78), ("test", 26)):
        images = np.random.default_rng(num).integers(0, 256, (num, 28, 28))
        write_idx(folder / f"emnist-letters-{part}-images-idx3-ubyte", images)
        write_idx(folder / f"emnist-letters-{part}-labels-idx1-ubyte", np.arange(num) % 26 + 1)
    splits = data("EMNIST", tmp_path, options={"split": "letters"}).load(CPU)
    assert splits.info.class_names == tuple("abcdefghijklmnopqrstuvwxyz")
    assert everything(splits.test)[1].tolist() == list(range(26))


def test_fake_data_is_the_same_every_time(tmp_path: Path) -> None:
    options = {"size": 90, "image_size": (3, 8, 8), "num_classes": 3}
    first, second = (data("FakeData", tmp_path, options=options).load(CPU) for _ in range(2))
    assert first.fingerprint == second.fingerprint
    assert sum(sizes(first)) == 90
    assert first.info.class_names == ("0", "1", "2")
    assert not list(tmp_path.iterdir())


def test_missing_files_say_what_to_do(tmp_path: Path) -> None:
    (said,) = problems("CIFAR10", tmp_path)
    assert said.startswith(f"data.root: the files of CIFAR10 are not whole under '{tmp_path}' (")
    assert said.endswith(
        "put them there, laid out as torchvision.datasets.CIFAR10 expects, "
        "or set data.download: true"
    )
    assert not list(tmp_path.iterdir())


def test_a_promise_is_what_opening_the_set_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_mnist(tmp_path)
    write_cifar(tmp_path, monkeypatch)
    for name, settings in (
        ("MNIST", {}), ("MNIST", {"size": 16, "channels": 3}), ("CIFAR10", {}), ("CIFAR100", {})
    ):  # fmt: skip
        opened = data(name, tmp_path, **settings).describe()
        promised = data(name, tmp_path / "elsewhere", **settings).promised()
        assert (promised.num_classes, promised.shape) == (opened.num_classes, opened.shape)
        assert len(promised.class_names) == promised.num_classes


@pytest.mark.parametrize("name", ["MNIST", "FashionMNIST", "KMNIST", "QMNIST", "EMNIST"])
def test_promised_classes_are_torchvisions(name: str, tmp_path: Path) -> None:
    own = getattr(datasets, name)
    classes = own.classes_split_dict["balanced"] if name == "EMNIST" else own.classes
    assert data(name, tmp_path).promised().num_classes == len(classes)


def test_a_promise_needs_no_files_but_right_settings(tmp_path: Path) -> None:
    imagenet = data("ImageNet", tmp_path, size=224).promised()
    assert (imagenet.num_classes, imagenet.shape) == (1000, (3, 224, 224))
    for name, settings, sentence in (
        ("ImageNet", {}, "data.size: is missing: the images of ImageNet differ in size; give [H, "
         "W] to resize and cut them to"),
        ("ImageNet", {"size": 64, "test": 0.3},
         "data.test: 0.3 is not allowed: ImageNet has a test part of its own"),
        ("CIFAR10", {"mean": (0.5,)}, "data.mean: [0.5] is not allowed: the images have 3 "
         "channels, give one value for each"),
        ("CIFAR10", {"options": {"train": True}}, "data.options.train: CIFAR10 has no options"),
    ):  # fmt: skip
        with pytest.raises(SpecError) as caught:
            data(name, tmp_path, **settings).promised()
        assert caught.value.problems == (sentence,)


def test_what_is_not_known_is_opened(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="the files of DTD are not whole"):
        data("DTD", tmp_path, size=32).promised()
    fake = data("FakeData", tmp_path, options={"size": 60, "image_size": [1, 8, 8]})
    assert fake.promised() == fake.describe()
    with pytest.raises(SpecError, match="the files of EMNIST are not whole"):
        data("EMNIST", tmp_path, options={"split": "letters"}).promised()


def test_sets_that_download_by_themselves_are_told_not_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(_: object) -> None:
        raise AssertionError("asked for the network")

    monkeypatch.setattr(datasets.SEMEION, "download", download)
    assert "are not whole" in problems("SEMEION", tmp_path)[0]


def test_a_download_that_fails_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(asked: datasets.SEMEION) -> None:
        assert Path(asked.root).is_dir()
        raise OSError("no network")

    monkeypatch.setattr(datasets.SEMEION, "download", download)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    for root in (tmp_path / "new" / "deeper", theirs):
        assert "no network" in problems("SEMEION", root, download=True)[0]
    assert list(tmp_path.iterdir()) == [theirs]
    assert not list(theirs.iterdir())


def test_unknown_names_are_refused_with_the_nearest(tmp_path: Path) -> None:
    (said,) = problems("CIFAR_10", tmp_path)
    assert said.startswith("data.dataset: no torchvision data set named 'CIFAR_10'; did you mean")
    assert "'CIFAR10'" in said
    (said,) = problems("FakeData", tmp_path, options={"sise": 3})
    assert said.startswith(
        "data.options.sise: no option of FakeData named 'sise'; did you mean 'size'?"
    )
    assert problems("CIFAR10", tmp_path, options={"train": True}) == (
        "data.options.train: CIFAR10 has no options",
    )
    assert problems("FER2013", tmp_path, download=True) == (
        "data.download: torchvision cannot download FER2013; get its files by hand",
    )
    (said,) = problems("EMNIST", tmp_path, options={"split": "words"})
    assert said.startswith("data.options: EMNIST refuses them: Unknown value 'words'")
