"""MobileNetV2 for small images, as distillation papers use it on CIFAR."""

import math
from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field
from torch import Tensor, nn

from kdsweep.models.base import Family
from kdsweep.models.initial import he_normal
from kdsweep.spec import Settings

_STEM, _HEAD = 32, 1280


@dataclass(frozen=True)
class _Stage:
    """Channels, blocks, stride of the first one, and whether the expansion is used at all."""

    channels: int
    num_blocks: int
    stride: int
    expands: bool = True


# The paper's table 2, but for the second stage: its stride of 2 is for images of 224x224.
_STAGES = (
    _Stage(16, 1, 1, expands=False),
    _Stage(24, 2, 1),
    _Stage(32, 3, 2),
    _Stage(64, 4, 2),
    _Stage(96, 3, 1),
    _Stage(160, 3, 2),
    _Stage(320, 1, 1),
)


class MobileNet(Family):
    """Seven stages of inverted residual blocks, a wide 1x1 convolution, and global pooling.

    The image is halved four times (five times in the paper, for 224x224), by the stem first: 32x32
    ends at 2x2. Takes images of any size and number of channels. A stage gives what its last block
    gives, which by design has no activation: read ``stages.1``, ``stages.2`` and ``stages.4`` at a
    half, a quarter and an eighth of the image's side, and at a sixteenth ``final``, which is after
    its ReLU. The embedding ``[N, D]`` is ``pooled``.
    """

    class Params(Settings):
        """Width, depth, and what is in the blocks and behind them."""

        width: float = Field(0.5, ge=0.05, le=8, description="factor of all channels, rounded")
        depth: float = Field(
            1.0, gt=0, le=16, description="factor of the blocks in each stage, rounded up"
        )
        expansion: int = Field(6, ge=1, le=32, description="how much wider a block is inside")
        head: int | None = Field(
            None,
            ge=1,
            le=65536,
            description="channels of the last convolution; if not given 1280, times a width over 1",
        )

    source: ClassVar[str] = "arXiv:1801.04381; the CIFAR form: arXiv:1910.10699"

    def __init__(self, params: Params, *, shape: tuple[int, int, int], num_classes: int) -> None:
        super().__init__(params, shape=shape, num_classes=num_classes)
        channels = _scaled(_STEM, params.width)
        self.stem = _convolution(shape[0], channels, 3, stride=2)
        stages = []
        for stage in _STAGES:
            width = _scaled(stage.channels, params.width)
            blocks = [
                InvertedResidual(
                    width if block else channels,
                    width,
                    stride=1 if block else stage.stride,
                    expansion=params.expansion if stage.expands else 1,
                )
                for block in range(math.ceil(stage.num_blocks * params.depth))
            ]
            stages.append(nn.Sequential(*blocks))
            channels = width
        self.stages = nn.ModuleList(stages)
        head = _scaled(_HEAD, max(params.width, 1.0)) if params.head is None else params.head
        self.final = _convolution(channels, head, 1)
        self.pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.classifier = nn.Linear(head, num_classes)
        he_normal(self)
        nn.init.normal_(self.classifier.weight, std=0.01)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[N, C]`` of images ``[N, D, H, W]``."""
        maps = self.stem(images)
        for stage in self.stages:
            maps = stage(maps)
        logits: Tensor = self.classifier(self.pooled(self.final(maps)))
        return logits


class InvertedResidual(nn.Module):
    """Widen by a 1x1 convolution, filter each channel by itself, and narrow without activation.

    Added to the input where the shapes agree.
    """

    def __init__(self, channels: int, width: int, *, stride: int, expansion: int) -> None:
        super().__init__()
        inner = channels * expansion
        self.expand = _convolution(channels, inner, 1)
        self.filter = _convolution(inner, inner, 3, stride=stride, groups=inner)
        self.project = nn.Sequential(nn.Conv2d(inner, width, 1, bias=False), nn.BatchNorm2d(width))
        self.adds = stride == 1 and channels == width

    def forward(self, maps: Tensor) -> Tensor:
        """Maps ``[N, width, H / stride, W / stride]`` of maps ``[N, channels, H, W]``."""
        projected: Tensor = self.project(self.filter(self.expand(maps)))
        return maps + projected if self.adds else projected


def _convolution(
    channels: int, width: int, side: int, *, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, width, side, stride, padding=side // 2, groups=groups, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
    )


def _scaled(channels: int, factor: float) -> int:
    return max(1, round(channels * factor))
