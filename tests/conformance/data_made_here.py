"""Every data set of the catalog with settings under which it is there, on any machine."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from kdsweep import catalog

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


def reviews(root: Path) -> dict[str, Any]:
    """Short texts with a second one each, in three classes, none like another."""
    words = {"bad": "dull poor", "fair": "decent usual", "good": "fine lovely"}
    lines = [
        f"{label},{words[label].split()[number % 2]} film number {number},seen on day {number}\n"
        for number in range(40) for label in words
    ]  # fmt: skip
    root.mkdir(parents=True)
    (root / "reviews.csv").write_text("".join(["label,text,more\n", *lines]))
    tokenizer = {"vocabulary": 150}
    return {
        "name": "text_files", "path": str(root / "reviews.csv"), "length": 16,
        "tokenizer": tokenizer,
    }  # fmt: skip


def pairs_in_two_files(root: Path) -> dict[str, Any]:
    made = reviews(root)
    header, *lines = (root / "reviews.csv").read_text().splitlines(keepends=True)
    for name, part in (("train", lines[:90]), ("test", lines[90:])):
        (root / f"{name}.csv").write_text("".join([header, *part]))
    files = {part: str(root / f"{part}.csv") for part in ("train", "test")}
    return {**made, "path": files, "pair": "more", "length": 24}


def named_glyphs(root: Path) -> dict[str, Any]:
    return {**glyphs(root), "texts": "names_without_class"}


def made_here() -> dict[str, Callable[[Path], dict[str, Any]]]:
    """Every data set with settings that need nothing from elsewhere; by its name alone at least."""
    own = {
        "digits, augmented": augmented(lambda root: {"name": "digits"}),
        "docstrings": lambda root: {"name": "docstrings", "limit": 300, "length": 24},
        "glyphs": glyphs,
        "glyphs, with names": named_glyphs,
        "image_folder": class_folders,
        "image_folder, streamed": augmented(streamed(class_folders)),
        "text_files": reviews,
        "text_files, pairs": pairs_in_two_files,
        "torchvision": fake,
        "torchvision, streamed": streamed(fake),
    }
    return {name: lambda root, name=name: {"name": name} for name in NAMES} | own
