"""Residual networks for small images, as distillation papers use them on CIFAR."""

from typing import ClassVar

from pydantic import Field, field_validator
from torch import Tensor, nn
from torch.nn import functional as F

from kdsweep.models.base import Family
from kdsweep.models.initial import he_normal
from kdsweep.spec import Settings


class ResNet(Family):
    """Three stages of basic blocks, channels doubling, then global average pooling.

    resnet8 to resnet110 are ``depth: 8`` to ``depth: 110``. The papers' x4 networks have stages
    four times as wide after a stem only twice as wide: resnet8x4 is ``{depth: 8, width: 64, stem:
    32}``, resnet32x4 ``{depth: 32, width: 64, stem: 32}``. A shortcut that changes shape is a 1x1
    convolution with batch norm. Takes images of any size and number of channels. Read stages as
    ``stages.0``, ``stages.1``, ``stages.2``, and the embedding ``[N, D]`` as ``pooled``.
    """

    class Params(Settings):
        """Depth and width."""

        depth: int = Field(20, ge=8, le=1202, description="layers with weights: 6n + 2")
        width: int = Field(16, ge=1, le=4096, description="channels of the first stage")
        stem: int | None = Field(
            None, ge=1, le=4096, description="channels of the first convolution; width if not given"
        )

        @field_validator("depth")
        @classmethod
        def _whole_blocks(cls, depth: int) -> int:
            if (depth - 2) % 6:
                below = depth - (depth - 2) % 6
                raise ValueError(
                    f"a resnet's depth is 6n + 2 (8, 14, 20, ...): use {below} or {below + 6}"
                )
            return depth

    source: ClassVar[str] = "arXiv:1512.03385, section 4.2; x4 variants: arXiv:1910.10699"

    def __init__(self, params: Params, *, shape: tuple[int, int, int], num_classes: int) -> None:
        super().__init__(params, shape=shape, num_classes=num_classes)
        channels = params.width if params.stem is None else params.stem
        self.stem = nn.Sequential(
            nn.Conv2d(shape[0], channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
        )
        stages = []
        for number in range(3):
            width = params.width << number
            stages.append(_stage(channels, width, (params.depth - 2) // 6, 2 if number else 1))
            channels = width
        self.stages = nn.ModuleList(stages)
        self.pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.classifier = nn.Linear(channels, num_classes)
        he_normal(self)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[N, C]`` of images ``[N, D, H, W]``."""
        maps = self.stem(images)
        for stage in self.stages:
            maps = stage(maps)
        logits: Tensor = self.classifier(self.pooled(maps))
        return logits


class BasicBlock(nn.Module):
    """Two 3x3 convolutions added to a shortcut; the ReLU comes after the sum."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels != width:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels, width, 1, stride, bias=False), nn.BatchNorm2d(width)
            )

    def forward(self, maps: Tensor) -> Tensor:
        """Maps ``[N, width, H / stride, W / stride]`` of maps ``[N, channels, H, W]``."""
        inner = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(maps)))))
        return F.relu(inner + self.shortcut(maps))


def _stage(channels: int, width: int, num_blocks: int, stride: int) -> nn.Sequential:
    first = BasicBlock(channels, width, stride)
    return nn.Sequential(first, *(BasicBlock(width, width, 1) for _ in range(num_blocks - 1)))
