"""What torchvision's classification sets are called and how each is asked for its parts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Arguments = Mapping[str, Any]


@dataclass(frozen=True)
class Layout:
    """The constructor's arguments for each part; a part without any is taken from train.

    ``options`` are arguments of every part. ``mirrors``: whether a mirrored image is of the same
    class. ``threads``: whether images may be read by several threads at once.
    """

    train: Arguments = field(default_factory=dict)
    validation: Arguments | None = None
    test: Arguments | None = None
    options: Arguments = field(default_factory=dict)
    mirrors: bool = True
    threads: bool = True


def _by_flag(*, mirrors: bool = True, **options: Any) -> Layout:
    return Layout({"train": True}, None, {"train": False}, options, mirrors)


def _by_split(
    train: str = "train", validation: str | None = None, test: str = "test", *, mirrors: bool = True
) -> Layout:
    own = None if validation is None else {"split": validation}
    return Layout({"split": train}, own, {"split": test}, mirrors=mirrors)


LAYOUTS: Mapping[str, Layout] = {
    "Caltech101": Layout(),
    "Caltech256": Layout(),
    "CIFAR10": _by_flag(),
    "CIFAR100": _by_flag(),
    # Its own test part has no labels.
    "CLEVRClassification": _by_split(test="val"),
    "Country211": _by_split(validation="valid"),
    "DTD": _by_split(validation="val"),
    "EMNIST": _by_flag(mirrors=False, split="balanced"),
    "EuroSAT": Layout(),
    # Draws each image from torch's one global generator, for a moment seeded by its index.
    "FakeData": Layout(threads=False),
    "FashionMNIST": _by_flag(),
    "FER2013": _by_split(),
    "FGVCAircraft": _by_split(validation="val"),
    "Flowers102": _by_split(validation="val"),
    "Food101": _by_split(),
    "GTSRB": _by_split(mirrors=False),
    "ImageNet": _by_split(test="val"),
    "Imagenette": _by_split(test="val"),
    "INaturalist": Layout({"version": "2021_train"}, None, {"version": "2021_valid"}),
    "KMNIST": _by_flag(mirrors=False),
    "MNIST": _by_flag(mirrors=False),
    # Its other half has other alphabets, hence other classes.
    "Omniglot": Layout(options={"background": True}, mirrors=False),
    "OxfordIIITPet": _by_split(train="trainval"),
    "PCAM": _by_split(validation="val"),
    "Places365": _by_split(train="train-standard", test="val"),
    "QMNIST": _by_flag(mirrors=False),
    "RenderedSST2": _by_split(validation="val", mirrors=False),
    "SEMEION": Layout(mirrors=False),
    "StanfordCars": _by_split(),
    "STL10": _by_split(),
    "SUN397": Layout(),
    "SVHN": _by_split(mirrors=False),
    "USPS": _by_flag(mirrors=False),
}
"""The classification sets by the names of their classes in ``torchvision.datasets``."""


@dataclass(frozen=True)
class Published:
    """What is known of a set without its files: classes, training images, and their ``(D, H, W)``.

    No shape where images differ in size. Of a set without a test part the images are all it has.
    """

    num_classes: int
    num_training: int
    shape: tuple[int, int, int] | None = None


KNOWN: Mapping[str, Published] = {
    "CIFAR10": Published(10, 50_000, (3, 32, 32)),
    "CIFAR100": Published(100, 50_000, (3, 32, 32)),
    "EMNIST": Published(47, 112_800, (1, 28, 28)),
    "EuroSAT": Published(10, 27_000, (3, 64, 64)),
    "FashionMNIST": Published(10, 60_000, (1, 28, 28)),
    "Flowers102": Published(102, 1_020),
    "Food101": Published(101, 75_750),
    "ImageNet": Published(1000, 1_281_167),
    "KMNIST": Published(10, 60_000, (1, 28, 28)),
    "MNIST": Published(10, 60_000, (1, 28, 28)),
    "OxfordIIITPet": Published(37, 3_680),
    "PCAM": Published(2, 262_144, (3, 96, 96)),
    "QMNIST": Published(10, 60_000, (1, 28, 28)),
    "StanfordCars": Published(196, 8_144),
    "STL10": Published(10, 5_000, (3, 96, 96)),
    "SVHN": Published(10, 73_257, (3, 32, 32)),
    "USPS": Published(10, 7_291, (1, 16, 16)),
}
"""Sets as they are read without options."""
