"""torchvision's classification sets, by the names of their classes."""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field

from kdsweep.data.assembly import check, digest
from kdsweep.data.base import DataInfo, DataSet, Extent, Splits
from kdsweep.data.decoded import (
    DecodedSettings,
    Listing,
    extent_of,
    list_splits,
    load_decoded,
    survey_of,
)
from kdsweep.data.partition import Index, Shares, share_problems
from kdsweep.data.source import Size, pixels_in_words
from kdsweep.data.survey import Survey
from kdsweep.data.torchvision_parts import (
    Opened,
    OpenedImages,
    check_options,
    constructor,
    labels_of,
    open_parts,
)
from kdsweep.data.torchvision_sets import KNOWN, LAYOUTS
from kdsweep.data.views import Augment
from kdsweep.errors import SpecError
from kdsweep.spec.settings import LocalPath

_NUM_PROBED = 64


class Torchvision(DataSet):
    """A set that torchvision knows how to read, with its own test part where it has one.

    Files are read where they lie; nothing is downloaded unless asked for.
    """

    class Params(DecodedSettings, Shares):
        """Which set, where its files are, and what its images are made into."""

        dataset: str = Field(description="a class in torchvision.datasets, as CIFAR10")
        root: LocalPath = Field("data", description="the root that torchvision is given")
        download: bool = False
        options: dict[str, str | int | float | bool | tuple[int, ...]] = Field(
            default_factory=dict, description="further arguments, as EMNIST's split: letters"
        )
        size: Size | None = Field(
            None, description="[H, W] to resize and cut to, where they differ"
        )
        channels: Literal[1, 3] | None = Field(None, description="as the images are, if not given")
        validation: float = Field(0.1, gt=0, lt=1, description="share of each class")
        augment: Augment | None = Field(
            None,
            description="if not given: shifted by an eighth of the side, and mirrored "
            "where that makes sense",
        )

    source = "torchvision.datasets"
    params: Params

    @property
    def preparation(self) -> str:
        """Of an image of the set."""
        return pixels_in_words(self._images.shape[0], self.params.size)

    def describe(self) -> DataInfo:
        """Classes and shape, by opening the set; that downloads it where asked for."""
        images = self._images
        info = DataInfo(len(self._class_names), self._class_names, images.shape)
        check(info, self.params, self._augment)
        return info

    def promised(self) -> DataInfo:
        """Classes, by number, and shape of a well-known set; of others by opening the set.

        Raises:
            SpecError: the settings are wrong, or the set is opened and its files are missing.
        """
        params = self.params
        if params.dataset not in KNOWN or params.options:
            return self.describe()
        self._check()
        known = KNOWN[params.dataset]
        num_classes, own = known.num_classes, known.shape
        size = params.size or (own and own[1:])
        if size is None:
            raise SpecError(
                f"data.size: is missing: the images of {params.dataset} differ in size; "
                "give [H, W] to resize and cut them to"
            )
        shape = (params.channels or (own[0] if own else 3), *size)
        info = DataInfo(num_classes, tuple(map(str, range(num_classes))), shape)
        check(info, params, self._augment_for(shape))
        return info

    def extent(self) -> Extent:
        """By the labels alone."""
        return extent_of(self._listings()[0], self.params.limit, self._augment)

    def survey(self, *, training: bool = True) -> Survey:
        """By the labels alone."""
        return survey_of(self._listings(), self.params.limit)

    def promised_extent(self) -> Extent | None:
        """Of a well-known set, as if its classes were of one size."""
        params = self.params
        if params.dataset not in KNOWN or params.options:
            return None
        known, layout = KNOWN[params.dataset], LAYOUTS[params.dataset]
        held_out = params.validation if layout.validation is None else 0.0
        held_out += params.test if layout.test is None else 0.0
        num = known.num_training - round(known.num_training * held_out)
        augment = self._augment_for(self.promised().image_shape)
        return Extent(min(num, params.limit or num), augment.num_views)

    def _listings(self) -> tuple[Listing, Listing, Listing]:
        labels = {part: self._relabelled(part) for part in self._parts}
        return list_splits(labels, self.params, self._class_names)

    def load(self, device: torch.device) -> Splits:
        """In memory on the device where the images fit, else streamed."""
        info, listings = self.describe(), self._listings()
        return load_decoded(
            info,
            self._images,
            listings,
            self.params,
            augment=self._augment,
            device=device,
            contents=lambda: _probes(self._images, listings[0].index),
            threads=0 if LAYOUTS[self.params.dataset].threads else 1,
        )

    @cached_property
    def _parts(self) -> dict[str, Opened]:
        params = self.params
        self._check()
        return open_parts(
            params.dataset,
            root=Path(params.root).expanduser(),
            download=params.download,
            options=params.options,
        )

    def _check(self) -> None:
        params = self.params
        constructor(params.dataset)
        check_options(params.dataset, params.options, download=params.download)
        layout = LAYOUTS[params.dataset]
        own = {"validation": layout.validation, "test": layout.test}
        problems = share_problems(
            params, [part for part, given in own.items() if given is not None], of=params.dataset
        )
        if problems:
            raise SpecError(problems)

    @cached_property
    def _labels(self) -> dict[str, Index]:
        return {part: labels_of(opened) for part, opened in self._parts.items()}

    @cached_property
    def _present(self) -> Index:
        """The classes that have training images; EMNIST's letters count one more."""
        return np.unique(self._labels["train"])

    @property
    def _class_names(self) -> tuple[str, ...]:
        names = getattr(self._parts["train"], "classes", None) or getattr(
            self._parts["train"], "categories", None
        )
        if names is None or len(names) <= self._present.max():
            return tuple(str(label) for label in self._present)
        return tuple(_as_text(names[label]) for label in self._present)

    @cached_property
    def _images(self) -> OpenedImages:
        params = self.params
        return OpenedImages(list(self._parts.values()), channels=params.channels, size=params.size)

    @property
    def _augment(self) -> Augment:
        return self._augment_for(self._images.shape)

    def _augment_for(self, shape: tuple[int, int, int]) -> Augment:
        if self.params.augment is not None:
            return self.params.augment
        _, height, width = shape
        return Augment(crop=min(height, width) // 8, flip=LAYOUTS[self.params.dataset].mirrors)

    def _relabelled(self, part: str) -> Index:
        labels, present = self._labels[part], self._present
        unknown = sorted(set(np.unique(labels).tolist()) - set(present.tolist()))
        if unknown:
            raise SpecError(
                f"data.dataset: the {part} part of {self.params.dataset} has classes that its "
                f"train part has not: {unknown}"
            )
        return np.searchsorted(present, labels).astype(np.int64)


def _as_text(name: Any) -> str:
    return ", ".join(map(str, name)) if isinstance(name, tuple | list) else str(name)


def _probes(images: OpenedImages, index: Index) -> Iterator[str]:
    """Hashes of a few training images spread over the set: no list of files is common to all."""
    for place in index[:: max(1, len(index) // _NUM_PROBED)]:
        yield digest(images.read(int(place)))
