"""Wide residual networks for small images."""

from typing import ClassVar

from pydantic import Field, field_validator
from torch import Tensor, nn
from torch.nn import functional as F

from kdsweep.models.base import Family
from kdsweep.models.initial import he_normal
from kdsweep.spec import Settings


class WideResNet(Family):
    """Three stages of pre-activation blocks, ``width`` times as wide as a resnet of 16 channels.

    wrn-16-2 is ``{depth: 16, width: 2}``. Takes images of any size and number of channels. A
    stage's output is a sum before its activation, so the last map is read after the final norm and
    ReLU: ``stages.0``, ``stages.1``, ``final``; the embedding ``[N, D]`` is ``pooled``.
    """

    class Params(Settings):
        """Depth, width and dropout."""

        depth: int = Field(16, ge=10, le=1204, description="layers with weights: 6n + 4")
        width: int = Field(1, ge=1, le=256, description="the first stage has 16 * width channels")
        dropout: float = Field(0.0, ge=0, lt=1, description="between a block's convolutions")

        @field_validator("depth")
        @classmethod
        def _whole_blocks(cls, depth: int) -> int:
            if (depth - 4) % 6:
                below = depth - (depth - 4) % 6
                raise ValueError(
                    f"a wide_resnet's depth is 6n + 4 (10, 16, 22, ...): use {below} or {below + 6}"
                )
            return depth

    source: ClassVar[str] = "arXiv:1605.07146"

    def __init__(self, params: Params, *, shape: tuple[int, int, int], num_classes: int) -> None:
        super().__init__(params, shape=shape, num_classes=num_classes)
        channels = 16
        self.stem = nn.Conv2d(shape[0], channels, 3, padding=1, bias=False)
        stages = []
        for number in range(3):
            width = 16 * params.width << number
            blocks = [
                PreActivationBlock(
                    width if block else channels,
                    width,
                    stride=2 if number and not block else 1,
                    dropout=params.dropout,
                )
                for block in range((params.depth - 4) // 6)
            ]
            stages.append(nn.Sequential(*blocks))
            channels = width
        self.stages = nn.ModuleList(stages)
        self.final = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU())
        self.pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.classifier = nn.Linear(channels, num_classes)
        he_normal(self)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[N, C]`` of images ``[N, D, H, W]``."""
        maps = self.stem(images)
        for stage in self.stages:
            maps = stage(maps)
        logits: Tensor = self.classifier(self.pooled(self.final(maps)))
        return logits


class PreActivationBlock(nn.Module):
    """Norm, ReLU, convolution, twice, added to the input.

    Where the shape changes, the shortcut is a 1x1 convolution of the activated input.
    """

    def __init__(self, channels: int, width: int, *, stride: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, width, 3, stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.shortcut = (
            nn.Conv2d(channels, width, 1, stride, bias=False)
            if stride != 1 or channels != width
            else None
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Maps ``[N, width, H / stride, W / stride]`` of maps ``[N, channels, H, W]``."""
        activated = F.relu(self.norm1(maps))
        inner = F.relu(self.norm2(self.conv1(activated)))
        added: Tensor = self.conv2(self.dropout(inner))
        return added + (maps if self.shortcut is None else self.shortcut(activated))
