"""A directory of class folders: the way to bring images of one's own."""

import hashlib
import os
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from pydantic import Field

from kdsweep.data.assembly import check
from kdsweep.data.base import DataInfo, DataSet, Extent, Splits
from kdsweep.data.decoded import (
    DecodedSettings,
    Listing,
    extent_of,
    limited,
    list_splits,
    load_decoded,
    load_held_out,
    survey_of,
)
from kdsweep.data.folder_listing import (
    HELD_OUT,
    check_same_classes,
    class_names,
    list_images,
    main_folder,
    nothing_to_train_on,
    parts_of,
)
from kdsweep.data.partition import Index, Shares, share_problems
from kdsweep.data.source import Size, for_each, pixels_in_words, to_pixels
from kdsweep.data.survey import Survey
from kdsweep.data.treatment import missing_normalisation
from kdsweep.data.views import Augment
from kdsweep.errors import SpecError
from kdsweep.spec.settings import LocalPath

_UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    UnidentifiedImageError,
    Image.DecompressionBombError,
)
_MOST_OPENED = 4096
"""Of more files a survey opens so many: it is to take seconds, not minutes."""


class ImageFolder(DataSet):
    """Images in class folders, split as they lie or by shares of each class."""

    class Params(DecodedSettings, Shares):
        """Where the images are, what they are made into, and how they are split and augmented.

        The folder holds class folders, or ``train``, ``validation`` and ``test``, each with class
        folders. A part that has no folder is taken from train by its share; trials that read no
        training data do without train.
        """

        path: LocalPath
        size: Size = Field(description="[H, W]: resized to cover it, then cut at the centre")
        channels: Literal[1, 3] = Field(3, description="1: grey, 3: RGB")
        augment: Augment = Field(Augment(), description="nothing unless asked for")

    source = "a directory of class folders"
    params: Params

    @property
    def preparation(self) -> str:
        """Of a file."""
        return pixels_in_words(self.params.channels, self.params.size)

    @property
    def path(self) -> Path:
        """The data set's folder."""
        return Path(self.params.path).expanduser()

    @cached_property
    def _lists(self) -> dict[str, list[tuple[str, int]]]:
        """The files of each part with their labels, listed once: there may be millions."""
        return {}

    def describe(self) -> DataInfo:
        """Classes by the names of their folders, and the shape that is asked for."""
        parts = parts_of(self.path)
        check_same_classes(parts)
        problems = share_problems(self.params, parts, of=str(self.path))
        if problems:
            raise SpecError(problems)
        names = class_names(main_folder(parts))
        info = DataInfo(
            num_classes=len(names),
            class_names=names,
            shape=(self.params.channels, *self.params.size),
            no_training=nothing_to_train_on(self.path, parts),
        )
        check(info, self.params, self.params.augment)
        return info

    def extent(self) -> Extent | None:
        """By the names of the files; ``None`` where there is nothing to train on."""
        info, params = self.describe(), self.params
        if info.no_training:
            return None
        _, labels = self._listed(parts_of(self.path))
        train = list_splits(labels, params, info.class_names)[0]
        return extent_of(train, params.limit, params.augment)

    def survey(self, *, training: bool = True) -> Survey | None:
        """By the names of the files, of which some thousands are opened; ``None`` as ``extent``."""
        info, params = self.describe(), self.params
        if not training:
            names, validation, test = self._held_out(info)
            counts = {"validation": len(validation), "test": len(test)}
            return Survey(counts, self._opened(info, names, np.arange(len(names))))
        if info.no_training:
            return None
        names, labels = self._listed(parts_of(self.path))
        listings = list_splits(labels, params, info.class_names)
        read = [each.index for each in limited(listings, params.limit)]
        num_opened = self._opened(info, names, np.sort(np.concatenate(read)))
        return survey_of(listings, params.limit, num_opened)

    def _opened(self, info: DataInfo, names: list[str], index: Index) -> int:
        """How many of the files at ``index`` have been opened; refuses those that are no images."""
        files = _Files(self.path, names, info.image_shape)
        # Names are sorted by part and class: what is evenly spread over them is over the classes.
        places = np.linspace(0, len(index) - 1, min(len(index), _MOST_OPENED)).astype(np.int64)
        for_each(files.open, index[places].tolist())
        return len(places)

    def load(self, device: torch.device) -> Splits:
        """In memory on the device where the images fit, else streamed."""
        info, params = self.describe(), self.params
        if info.no_training:
            raise SpecError(info.no_training)
        names, labels = self._listed(parts_of(self.path))
        files = _Files(self.path, names, info.image_shape)
        listings = list_splits(labels, params, info.class_names)
        return load_decoded(
            info,
            files,
            listings,
            params,
            augment=params.augment,
            device=device,
            contents=files.states,
        )

    def problems_without_training(self) -> list[str]:
        """Mean and std, where they are not given."""
        return missing_normalisation(self.params)

    def load_without_training(self, device: torch.device) -> Splits:
        """Validation and test; no training image is opened."""
        info, params = self.describe(), self.params
        names, validation, test = self._held_out(info)
        files = _Files(self.path, names, info.image_shape)
        # Of the files of validation and test alone: there is no other that could be opened.
        places = np.split(np.arange(len(names), dtype=np.int64), [len(validation)])
        return load_held_out(
            info,
            files,
            (Listing(places[0], validation), Listing(places[1], test)),
            params,
            augment=params.augment,
            device=device,
            contents=files.states,
        )

    def _held_out(self, info: DataInfo) -> tuple[list[str], Index, Index]:
        """The files of validation, then those of test, and the labels of each."""
        parts = parts_of(self.path)
        if all(part in parts for part in HELD_OUT):
            names, labels = self._listed({part: parts[part] for part in HELD_OUT})
            return names, labels["validation"], labels["test"]
        names, labels = self._listed(parts)
        _, validation, test = list_splits(labels, self.params, info.class_names)
        chosen = [names[place] for place in (*validation.index, *test.index)]
        return chosen, validation.labels, test.labels

    def _listed(self, parts: Mapping[str, Path]) -> tuple[list[str], dict[str, Index]]:
        """The files of the parts, one part after another, and the labels of each part."""
        for part, at in parts.items():
            if part not in self._lists:
                self._lists[part] = list_images(self.path, at)
        found = {part: self._lists[part] for part in parts}
        names = [name for each in found.values() for name, _ in each]
        labels = {
            "train" if part == "all" else part: np.array([label for _, label in each], np.int64)
            for part, each in found.items()
        }
        return names, labels


class _Files:
    """Image files as a source of pixels; names as bytes, so that workers share their memory."""

    def __init__(self, root: Path, names: list[str], shape: tuple[int, int, int]) -> None:
        self.root = os.fsencode(root)
        self.names = np.array([os.fsencode(name) for name in names])
        self.shape = shape

    def read(self, index: int) -> NDArray[np.uint8]:
        channels, *size = self.shape
        with _reading(self._path(index)) as path, Image.open(path) as image:
            return to_pixels(image, channels=channels, size=(size[0], size[1]))

    def open(self, index: int) -> None:
        """Read the header alone; refuses as ``read``."""
        with _reading(self._path(index)) as path, Image.open(path):
            pass

    def _path(self, index: int) -> str:
        return os.fsdecode(os.path.join(self.root, bytes(self.names[index])))

    def states(self) -> Iterator[str]:
        """One hash of every file's name, size and time of change."""
        digest = hashlib.sha256()
        for name in self.names:
            state = os.stat(os.path.join(self.root, bytes(name)))
            digest.update(b"%s\0%d\0%d\0" % (bytes(name), state.st_size, state.st_mtime_ns))
        yield digest.hexdigest()


@contextmanager
def _reading(path: str) -> Iterator[str]:
    try:
        yield path
    except _UNREADABLE as error:
        reason = "its format is not known" if type(error) is UnidentifiedImageError else error
        raise SpecError(
            f"{path} cannot be read as an image: {reason}; mend it or remove it"
        ) from error
