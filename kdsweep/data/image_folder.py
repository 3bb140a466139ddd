"""A directory of class folders: the way to bring images of one's own."""

import hashlib
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from pydantic import Field

from kdsweep.data.assembly import check
from kdsweep.data.base import DataInfo, DataSet, Splits
from kdsweep.data.decoded import DecodedSettings, list_splits, load_decoded
from kdsweep.data.folder_listing import (
    check_same_classes,
    class_names,
    list_images,
    parts_of,
)
from kdsweep.data.partition import Shares, share_problems
from kdsweep.data.source import Size, to_pixels
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


class ImageFolder(DataSet):
    """Images in class folders, split as they lie or by shares of each class."""

    class Params(DecodedSettings, Shares):
        """Where the images are, what they are made into, and how they are split and augmented.

        The folder holds class folders, or ``train``, ``validation`` and ``test``, each with class
        folders. A part that has no folder is taken from train by its share.
        """

        path: LocalPath
        size: Size = Field(description="[H, W]: resized to cover it, then cut at the centre")
        channels: Literal[1, 3] = Field(3, description="1: grey, 3: RGB")
        augment: Augment = Field(Augment(), description="nothing unless asked for")

    source = "a directory of class folders"
    params: Params

    @property
    def path(self) -> Path:
        """The data set's folder."""
        return Path(self.params.path).expanduser()

    def describe(self) -> DataInfo:
        """Classes by the names of their folders, and the shape that is asked for."""
        parts = parts_of(self.path)
        check_same_classes(parts)
        problems = share_problems(self.params, parts, of=str(self.path))
        if problems:
            raise SpecError(problems)
        names = class_names(parts.get("train") or parts["all"])
        info = DataInfo(len(names), names, (self.params.channels, *self.params.size))
        check(info, self.params, self.params.augment)
        return info

    def load(self, device: torch.device) -> Splits:
        """In memory on the device where the images fit, else streamed."""
        info, params = self.describe(), self.params
        found = {part: list_images(self.path, at) for part, at in parts_of(self.path).items()}
        names = [name for each in found.values() for name, _ in each]
        files = _Files(self.path, names, info.image_shape)
        labels = {
            "train" if part == "all" else part: np.array([label for _, label in each], np.int64)
            for part, each in found.items()
        }
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


class _Files:
    """Image files as a source of pixels; names as bytes, so that workers share their memory."""

    def __init__(self, root: Path, names: list[str], shape: tuple[int, int, int]) -> None:
        self.root = os.fsencode(root)
        self.names = np.array([os.fsencode(name) for name in names])
        self.shape = shape

    def read(self, index: int) -> NDArray[np.uint8]:
        channels, *size = self.shape
        path = os.fsdecode(os.path.join(self.root, bytes(self.names[index])))
        try:
            with Image.open(path) as image:
                return to_pixels(image, channels=channels, size=(size[0], size[1]))
        except _UNREADABLE as error:
            reason = "its format is not known" if type(error) is UnidentifiedImageError else error
            raise SpecError(
                f"{path} cannot be read as an image: {reason}; mend it or remove it"
            ) from error

    def states(self) -> Iterator[str]:
        """One hash of every file's name, size and time of change."""
        digest = hashlib.sha256()
        for name in self.names:
            state = os.stat(os.path.join(self.root, bytes(name)))
            digest.update(b"%s\0%d\0%d\0" % (bytes(name), state.st_size, state.st_mtime_ns))
        yield digest.hexdigest()
