"""Opening torchvision's sets, and reading their labels and images."""

import inspect
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray
from PIL import Image

from kdsweep.data.partition import Index
from kdsweep.data.source import to_pixels
from kdsweep.data.torchvision_sets import LAYOUTS, Layout
from kdsweep.errors import SpecError, unknown_name

Opened = Any
"""A torchvision set: indexed, it gives an image and a class."""

_NOT_OPTIONS = frozenset(
    ("self", "root", "download", "transform", "target_transform", "transforms", "loader", "kwargs")
)
_LABELS = ("targets", "labels", "_labels", "y")
_PAIRS = ("samples", "_samples")


def constructor(dataset: str) -> type[Any]:
    """The class of a set in the installed torchvision.

    Raises:
        SpecError: it is no classification set, or the installed torchvision has none such.
    """
    from torchvision import datasets

    if dataset not in LAYOUTS:
        raise SpecError(f"data.dataset: {unknown_name('torchvision data set', dataset, LAYOUTS)}")
    if not hasattr(datasets, dataset):
        raise SpecError(f"data.dataset: the installed torchvision has no {dataset}; upgrade it")
    found: type[Any] = getattr(datasets, dataset)
    return found


def check_options(dataset: str, options: Mapping[str, Any], *, download: bool) -> None:
    """Refuse options that the set's constructor has not, or that say what the parts say.

    Raises:
        SpecError: every such option; or a download of what torchvision cannot download.
    """
    accepted = _accepted(dataset)
    allowed = accepted - _NOT_OPTIONS - set(LAYOUTS[dataset].train)
    problems = [
        f"data.options.{name}: {unknown_name(f'option of {dataset}', name, allowed)}"
        if allowed
        else f"data.options.{name}: {dataset} has no options"
        for name in options
        if name not in allowed
    ]
    if download and "download" not in accepted:
        problems.append(
            f"data.download: torchvision cannot download {dataset}; get its files by hand"
        )
    if problems:
        raise SpecError(problems)


def open_parts(
    dataset: str, *, root: Path, download: bool, options: Mapping[str, Any]
) -> dict[str, Opened]:
    """The parts that the set has of its own, ``train`` first.

    Raises:
        SpecError: its files are missing or damaged, with what to do about it.
    """
    make, layout, accepted = constructor(dataset), LAYOUTS[dataset], _accepted(dataset)
    common = {**layout.options, **options}
    if "root" in accepted:
        common["root"] = str(root)
    if "download" in accepted:
        # Always said: some sets download unless told not to.
        common["download"] = download
    with _downloading(root, dataset) if download else nullcontext():
        return {
            part: _open(make, {**common, **arguments}, root=root)
            for part, arguments in _own_parts(layout).items()
        }


@contextmanager
def _downloading(root: Path, dataset: str) -> Iterator[None]:
    """One process downloads, the others find the files; who gets none leaves nothing behind."""
    missing = [each for each in (root, *root.parents) if not each.exists()]
    root.mkdir(parents=True, exist_ok=True)
    lock = root / f".{dataset}.lock"
    try:
        with FileLock(lock):
            yield
    except BaseException:
        lock.unlink(missing_ok=True)
        with suppress(OSError):  # not empty: somebody's files
            for each in missing:
                each.rmdir()
        raise


def labels_of(opened: Opened) -> Index:
    """The class of every sample ``[N]``; read from the list that the set keeps, if it keeps one.

    Raises:
        SpecError: the files have no labels.
    """
    for labels in _kept_lists(opened):
        if _agrees(labels, opened):
            return labels
    found = [opened[position][1] for position in range(len(opened))]
    if any(label is None for label in found):
        raise SpecError(f"data.root: the files of {type(opened).__name__} have no labels")
    return np.array([int(label) for label in found], np.int64)


class OpenedImages:
    """Several parts of a set, one after another, as one source of pixels.

    ``size`` is ``(H, W)``; without it all images must be of one size, that of the first.
    """

    def __init__(
        self, parts: list[Opened], *, channels: int | None, size: tuple[int, int] | None
    ) -> None:
        self.parts = parts
        self.ends = list(accumulate(len(part) for part in parts))
        self.size = size
        first: Image.Image = parts[0][0][0]
        depth = channels or (1 if first.mode in ("1", "L") else 3)
        height, width = size or (first.height, first.width)
        self.shape = (depth, height, width)

    def read(self, index: int) -> NDArray[np.uint8]:
        """One image ``[D, H, W]``; see ``ImageSource.read``."""
        which = bisect_right(self.ends, index)
        part = self.parts[which]
        place = index - self.ends[which] + len(part)
        name = type(part).__name__
        try:
            pixels = to_pixels(part[place][0], channels=self.shape[0], size=self.size)
        except (OSError, SyntaxError, ValueError, EOFError) as error:
            raise SpecError(
                f"data.root: image {place} of {name} cannot be read: {error}; get its files again"
            ) from error
        if pixels.shape != self.shape:
            _, height, width = self.shape
            raise SpecError(
                f"data.size: is missing: the images of {name} differ in size (the first is "
                f"{height}x{width}); give [H, W] to resize and cut them to"
            )
        return pixels


def _own_parts(layout: Layout) -> dict[str, Mapping[str, Any]]:
    parts = {"train": layout.train, "validation": layout.validation, "test": layout.test}
    return {part: arguments for part, arguments in parts.items() if arguments is not None}


def _accepted(dataset: str) -> set[str]:
    """The arguments of the constructor, and of the one that it hands unknown ones on to."""
    names: set[str] = set()
    for cls in constructor(dataset).__mro__:
        if "__init__" not in vars(cls):
            continue
        parameters = inspect.signature(vars(cls)["__init__"]).parameters
        names |= set(parameters)
        if not any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
            break
    return names


def _open(make: type[Any], arguments: Mapping[str, Any], *, root: Path) -> Opened:
    name = make.__name__
    try:
        return make(**arguments)
    except ImportError as error:
        raise SpecError(f"data.dataset: {name} needs a package that is missing: {error}") from error
    except (ValueError, TypeError) as error:
        raise SpecError(f"data.options: {name} refuses them: {error}") from error
    except (RuntimeError, OSError) as error:
        remedy = (
            f"put them there, laid out as torchvision.datasets.{name} expects, "
            "or set data.download: true"
            if not arguments.get("download") and "download" in arguments
            else f"put them there, laid out as torchvision.datasets.{name} expects"
        )
        raise SpecError(
            f"data.root: the files of {name} are not whole under {str(root)!r} "
            f"(torchvision says: {error}); {remedy}"
        ) from error


def _kept_lists(opened: Opened) -> list[Index]:
    candidates = [getattr(opened, name, None) for name in _LABELS]
    for name in _PAIRS:
        pairs = getattr(opened, name, None)
        if pairs is not None and len(pairs) == len(opened):
            candidates.append([pair[1] for pair in pairs])
    found = []
    for labels in candidates:
        if labels is None or len(labels) != len(opened):
            continue
        array = np.asarray(labels)
        if array.ndim == 1 and array.dtype.kind in "iu":
            found.append(array.astype(np.int64))
    return found


def _agrees(labels: Index, opened: Opened) -> bool:
    """A list is believed if it says what the set itself gives for a few of its samples."""
    places = sorted({0, len(labels) // 3, 2 * len(labels) // 3, len(labels) - 1})
    return all(opened[place][1] == labels[place] for place in places)
