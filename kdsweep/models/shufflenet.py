"""ShuffleNets, versions 1 and 2, for small images, as distillation papers use them on CIFAR."""

from typing import ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from kdsweep.models.base import Family
from kdsweep.spec import Settings

_STEM = 24
_GROUPS = 3
_WIDTHS = {1: 240, 2: 116}
# A unit of version 1 is a quarter as wide inside, in groups.
_GRAIN = {1: 4 * _GROUPS, 2: 2}
_SMALLEST = {1: 3 * _GRAIN[1], 2: 2}


class ShuffleNet(Family):
    """Three stages of units whose channels are mixed by a shuffle, each stage half the resolution.

    The stem is a 1x1 convolution that keeps the image's size. Version 1 has grouped convolutions
    (3 groups), version 2 splits the channels in two, and ends in a 1x1 convolution. Takes images
    of any size and number of channels. Read ``stem`` at the image's own resolution, then
    ``stages.0``, ``stages.1`` and ``final`` (version 1 gives its last stage there unchanged), all
    after a ReLU; the embedding ``[N, D]`` is ``pooled``.
    """

    class Params(Settings):
        """The version, depth and width."""

        version: Literal[1, 2] = 2
        depth: int = Field(
            4, ge=1, le=256, description="units of the first and last stage; twice as many between"
        )
        width: int | None = Field(
            None,
            ge=1,
            le=8192,
            description="channels of the first stage; 240 (version 1) or 116 (2) if not given",
        )
        head: int | None = Field(
            None,
            ge=1,
            le=65536,
            description="channels of the last convolution; version 2 only, 1024 if not given",
        )

        @model_validator(mode="after")
        def _whole_groups(self) -> "ShuffleNet.Params":
            grain, smallest = _GRAIN[self.version], _SMALLEST[self.version]
            if self.width is not None and (self.width % grain or self.width < smallest):
                nearest = max(round(self.width / grain) * grain, smallest)
                raise ValueError(
                    f"width: {self.width} is not allowed: in version {self.version} the width is a "
                    f"multiple of {grain}, at least {smallest}: use {nearest}"
                )
            return self

        @model_validator(mode="after")
        def _nothing_ignored(self) -> "ShuffleNet.Params":
            if self.version == 1 and self.head is not None:
                raise ValueError("head: version 1 ends without a last convolution: leave it out")
            return self

    source: ClassVar[str] = (
        "arXiv:1707.01083 (version 1), arXiv:1807.11164 (2); the CIFAR forms: arXiv:1910.10699"
    )

    def __init__(self, params: Params, *, shape: tuple[int, int, int], num_classes: int) -> None:
        super().__init__(params, shape=shape, num_classes=num_classes)
        first = _WIDTHS[params.version] if params.width is None else params.width
        self.stem = _convolution(shape[0], _STEM)
        unit = GroupedUnit if params.version == 1 else SplitUnit
        channels = _STEM
        stages = []
        for number in range(3):
            width = first << number
            units = [unit(channels, width, stride=2)]
            units += [
                unit(width, width, stride=1) for _ in range(params.depth * (1 + number % 2) - 1)
            ]
            stages.append(nn.Sequential(*units))
            channels = width
        self.stages = nn.ModuleList(stages)
        self.final: nn.Module = nn.Identity()
        if params.version == 2:
            head = 1024 if params.head is None else params.head
            self.final = _convolution(channels, head)
            channels = head
        self.pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.classifier = nn.Linear(channels, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[N, C]`` of images ``[N, D, H, W]``."""
        maps = self.stem(images)
        for stage in self.stages:
            maps = stage(maps)
        logits: Tensor = self.classifier(self.pooled(self.final(maps)))
        return logits


class GroupedUnit(nn.Module):
    """Version 1: a grouped bottleneck, added to its input or, with a stride, put beside it."""

    def __init__(self, channels: int, width: int, *, stride: int) -> None:
        super().__init__()
        own = width - channels if stride == 2 else width
        inner = own // 4
        # The stem has too few channels to be grouped.
        self.groups = 1 if channels == _STEM else _GROUPS
        self.narrow = _convolution(channels, inner, groups=self.groups)
        self.filter = nn.Sequential(_per_channel(inner, stride), nn.ReLU())
        self.widen = nn.Sequential(
            nn.Conv2d(inner, own, 1, groups=_GROUPS, bias=False), nn.BatchNorm2d(own)
        )
        self.shortcut = nn.AvgPool2d(3, 2, padding=1) if stride == 2 else None

    def forward(self, maps: Tensor) -> Tensor:
        """Maps ``[N, width, H / stride, W / stride]`` of maps ``[N, channels, H, W]``."""
        own: Tensor = self.widen(self.filter(shuffle(self.narrow(maps), self.groups)))
        if self.shortcut is None:
            return F.relu(own + maps)
        return F.relu(torch.cat([own, self.shortcut(maps)], dim=1))


class SplitUnit(nn.Module):
    """Version 2: half of the channels pass unchanged; with a stride both halves see all of them."""

    def __init__(self, channels: int, width: int, *, stride: int) -> None:
        super().__init__()
        half = width // 2
        self.passed: nn.Module | None = None
        if stride == 2:
            self.passed = nn.Sequential(
                _per_channel(channels, stride), _convolution(channels, half)
            )
        self.worked = nn.Sequential(
            _convolution(channels if stride == 2 else half, half),
            _per_channel(half, stride),
            _convolution(half, half),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Maps ``[N, width, H / stride, W / stride]`` of maps ``[N, channels, H, W]``."""
        if self.passed is None:
            passed, worked = maps.chunk(2, dim=1)
        else:
            passed, worked = self.passed(maps), maps
        return shuffle(torch.cat([passed, self.worked(worked)], dim=1), 2)


def shuffle(maps: Tensor, groups: int) -> Tensor:
    """Maps ``[N, D, H, W]`` with the channels of ``groups`` groups taken in turn."""
    grouped = maps.reshape(maps.shape[0], groups, -1, *maps.shape[2:])
    return grouped.transpose(1, 2).flatten(1, 2)


def _convolution(channels: int, width: int, *, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, width, 1, groups=groups, bias=False), nn.BatchNorm2d(width), nn.ReLU()
    )


def _per_channel(channels: int, stride: int) -> nn.Sequential:
    """A 3x3 convolution of each channel by itself, with batch norm."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, stride, padding=1, groups=channels, bias=False),
        nn.BatchNorm2d(channels),
    )
