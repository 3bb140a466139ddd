"""Which images a directory of class folders holds."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from kdsweep.errors import SpecError

EXTENSIONS = frozenset(
    (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".pgm", ".ppm", ".gif")
)
"""Names that end so are images, in small or capital letters; all others are passed over."""

HELD_OUT = ("validation", "test")
PARTS = ("train", *HELD_OUT)
_ALSO = {"val": "validation", "valid": "validation"}
_LAYOUT = "put one folder of images per class there, or train/ and test/ each with such folders"


def parts_of(path: Path) -> Mapping[str, Path]:
    """The folder of each part that has one; ``{"all": path}`` where classes lie directly in it.

    Raises:
        SpecError: no such directory, or there are parts but too few: ``train``, or both others.
    """
    if not path.exists():
        raise SpecError(f"data.path: {str(path)!r} does not exist; {_LAYOUT}")
    if not path.is_dir():
        raise SpecError(f"data.path: {str(path)!r} is a file, not a directory; {_LAYOUT}")
    found: dict[str, Path] = {}
    for folder in _folders(path):
        part = _ALSO.get(folder.name, folder.name)
        if part in PARTS and part in found:
            raise SpecError(f"data.path: {path} has both {found[part].name}/ and {folder.name}/")
        if part in PARTS:
            found[part] = folder
    if not found:
        return {"all": path}
    if "train" not in found and len(found) < len(HELD_OUT):
        raise SpecError(
            f"data.path: {path} has {_named(found)} but no train/; add it, or, for trials that "
            "read no training data (data_free), both validation/ and test/"
        )
    return found


def nothing_to_train_on(path: Path, parts: Mapping[str, Path]) -> str:
    """The sentence for whoever wants to train where there is no ``train``; empty where there is."""
    if "train" in parts or "all" in parts:
        return ""
    return (
        f"data.path: {path} has {_named(parts)} but no train/; add it, or use a strategy that "
        "reads no training data (data_free), and give every teacher its weights"
    )


def main_folder(parts: Mapping[str, Path]) -> Path:
    """The folder whose class folders the other parts must have too."""
    return next(parts[part] for part in ("train", "all", *HELD_OUT) if part in parts)


def class_names(folder: Path) -> tuple[str, ...]:
    """The names of the class folders, sorted.

    Raises:
        SpecError: fewer than two.
    """
    names = tuple(sorted(each.name for each in _folders(folder)))
    if len(names) < 2:
        found = f"only the class folder {names[0]!r}" if names else "no class folders"
        raise SpecError(f"data.path: {folder} has {found}; {_LAYOUT}")
    return names


def check_same_classes(parts: Mapping[str, Path]) -> None:
    """Refuse parts that do not have the same classes.

    Raises:
        SpecError: for each part, what it has and what it lacks beside the main one.
    """
    main = main_folder(parts)
    wanted = set(class_names(main))
    problems = []
    for folder in parts.values():
        names = set(class_names(folder))
        if lacking := sorted(wanted - names):
            problems.append(f"data.path: {folder} lacks class folders of {main.name}: {lacking}")
        if extra := sorted(names - wanted):
            problems.append(
                f"data.path: {folder} has class folders that {main.name} has not: {extra}"
            )
    if problems:
        raise SpecError(problems)


def list_images(root: Path, folder: Path) -> list[tuple[str, int]]:
    """The images below each class folder of ``folder``, relative to ``root``, with their labels.

    Sorted within each class. Hidden files are passed over; links are followed, each directory of
    a class once.

    Raises:
        SpecError: classes without any image, all of them together.
    """
    names = class_names(folder)
    files: list[tuple[str, int]] = []
    problems = []
    for label, name in enumerate(names):
        images = sorted(_images(folder / name, set()))
        if not images:
            problems.append(
                f"data.path: {folder / name} has no images; "
                f"fill it or remove it (images end in {', '.join(sorted(EXTENSIONS))})"
            )
        files += [(os.path.relpath(image, root), label) for image in images]
    if problems:
        raise SpecError(problems)
    return files


def _named(parts: Mapping[str, Path]) -> str:
    return ", ".join(f"{folder.name}/" for folder in parts.values())


def _folders(path: Path) -> list[Path]:
    return sorted(
        Path(entry.path)
        for entry in os.scandir(path)
        if entry.is_dir() and not entry.name.startswith(".")
    )


def _images(folder: Path, seen: set[str]) -> Iterator[str]:
    real = os.path.realpath(folder)
    if real in seen:
        return
    seen.add(real)
    for entry in os.scandir(folder):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _images(Path(entry.path), seen)
        elif os.path.splitext(entry.name)[1].lower() in EXTENSIONS:
            yield entry.path
