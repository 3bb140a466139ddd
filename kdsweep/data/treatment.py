"""What happens to stored pixels on the training device: augment, then normalise."""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from kdsweep.batch import Batch
from kdsweep.data.base import Split
from kdsweep.data.views import Augment, apply
from kdsweep.errors import SpecError
from kdsweep.spec import Settings


class ImageSettings(Settings):
    """Settings of every set of images."""

    limit: int | None = Field(
        None, ge=2, description="train on at most this many, all classes kept"
    )
    mean: tuple[float, ...] | None = Field(
        None, description="subtracted per channel, pixels in 0..1; else that of the training split"
    )
    std: tuple[float, ...] | None = Field(
        None, description="divided by per channel, pixels in 0..1; else that of the training split"
    )


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of each channel, for pixels in 0..1."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class Treatment:
    """The way from uint8 images to what a network sees, on one device."""

    normalisation: Normalisation
    augment: Augment
    device: torch.device

    def batch(self, images: Tensor, labels: Tensor, ids: Tensor, slot: int | None) -> Batch:
        """A batch of uint8 images ``[N, D, H, W]``: plain, or as epoch ``slot`` sees them."""
        if slot is not None:
            images = apply(images, ids, slot, self.augment)
        # Two exactly rounded operations: a fused one could differ with the size of the batch.
        normal = images.sub(self._offset).div_(self._scale)
        return Batch({"images": normal}, labels, ids, view=slot or 0)

    def slot(self, epoch: int) -> int:
        """The number among the replayable views that stands for an epoch."""
        return epoch % self.augment.num_views

    def with_views(self, num_views: int) -> "Treatment":
        """The same with so many views of each sample; itself where nothing is augmented."""
        if not self.augment.active:
            return self
        return replace(self, augment=self.augment.model_copy(update={"views": num_views}))

    def check_slot(self, view: int | None) -> None:
        """Refuse a number that no epoch has.

        Raises:
            ValueError: not in 0..V-1.
        """
        if view is not None and not 0 <= view < self.augment.num_views:
            raise ValueError(f"view {view} is not in 0..{self.augment.num_views - 1}")

    @cached_property
    def _offset(self) -> Tensor:
        return self._per_channel(self.normalisation.mean)

    @cached_property
    def _scale(self) -> Tensor:
        return self._per_channel(self.normalisation.std)

    def _per_channel(self, values: tuple[float, ...]) -> Tensor:
        scaled = torch.tensor(values, dtype=torch.float64).mul(255).float()
        return scaled.to(self.device).view(1, -1, 1, 1)


class TreatedSplit(Split):
    """A split of stored pixels, the same ones whatever is made of them."""

    treatment: Treatment

    def with_views(self, num_views: int) -> Split:
        """The same pixels; see ``Split.with_views``."""
        treatment = self.treatment.with_views(num_views)
        if treatment is self.treatment:
            return self
        other = copy(self)
        other.treatment = treatment
        return other


def given_normalisation(params: ImageSettings) -> Normalisation:
    """Mean and std as the settings give them, where no training image may be read.

    Raises:
        SpecError: one is missing.
    """
    if params.mean is None or params.std is None:
        raise SpecError(missing_normalisation(params))
    return Normalisation(params.mean, params.std)


def missing_normalisation(params: ImageSettings) -> list[str]:
    """A sentence where mean or std would have to be measured on the training images."""
    missing = [name for name in ("mean", "std") if getattr(params, name) is None]
    if not missing:
        return []
    also = f", as is data.{missing[1]}" if missing[1:] else ""
    return [
        f"data.{missing[0]}: is missing{also}, and cannot be measured: this trial opens no "
        "training image; give those that the teacher was trained with, one value per channel, "
        "pixels in 0..1"
    ]


def settings_problems(params: ImageSettings, num_channels: int) -> list[str]:
    """What forbids a given mean or std: not one value per channel, or a std of zero or less."""
    problems = [
        f"data.{name}: {list(values)} is not allowed: the images have {num_channels} "
        f"channel{'s' * (num_channels > 1)}, give one value for each"
        for name, values in (("mean", params.mean), ("std", params.std))
        if values is not None and len(values) != num_channels
    ]
    if params.std is not None and min(params.std, default=1.0) <= 0:
        problems.append(f"data.std: {list(params.std)} is not allowed: must be greater than 0")
    problems += [
        f"data.{name}: {list(values)} is not allowed: is of pixels in 0..1, and so at most 1; "
        "divide what is of pixels in 0..255 by 255"
        for name, values in (("mean", params.mean), ("std", params.std))
        if values is not None and max(values, default=0.0) > 1
    ]
    return problems


def normalisation(params: ImageSettings, images: NDArray[Any]) -> Normalisation:
    """The given mean and std, else those of uint8 ``images`` ``[N, D, H, W]``.

    Counted exactly, so that they do not depend on order, threads or device. A channel that never
    changes counts as one step of grey wide.
    """
    if params.mean is not None and params.std is not None:
        return Normalisation(params.mean, params.std)
    means, stds = zip(*(_moments(images[:, d]) for d in range(images.shape[1])), strict=True)
    return Normalisation(params.mean or _floats(means), params.std or _floats(stds))


def _floats(values: Sequence[float]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def _moments(channel: NDArray[Any]) -> tuple[float, float]:
    counts = torch.zeros(256, dtype=torch.int64)
    # In pieces: counting makes a copy of eight bytes per pixel.
    for start in range(0, len(channel), 4096):
        piece = torch.from_numpy(channel[start : start + 4096])
        counts += torch.bincount(piece.reshape(-1), minlength=256)
    grey = torch.arange(256)
    total = int(counts.sum())
    mean = int((counts * grey).sum()) / total
    variance = int((counts * grey * grey).sum()) / total - mean * mean
    return mean / 255, max(variance**0.5, 1.0) / 255
