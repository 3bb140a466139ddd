"""Plain deep networks of 3x3 convolutions, as distillation papers use them on CIFAR."""

from typing import ClassVar

from pydantic import Field, field_validator
from torch import Tensor, nn

from kdsweep.errors import SpecError
from kdsweep.models.base import Family
from kdsweep.models.initial import he_normal
from kdsweep.spec import Settings

# Convolutions in each of the five stages. The names count three linear layers, as the original
# networks have; the CIFAR form keeps one.
_STAGES = {
    8: (1, 1, 1, 1, 1),
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}
_SMALLEST_SIDE = 8
_SMALLEST_POOLED_FOUR_TIMES = 64


class Vgg(Family):
    """Five stages of 3x3 convolutions with batch norm and ReLU, global pooling, one linear layer.

    Channels are 1, 2, 4, 8 and 8 times the width. A 2x2 max pool follows each of the first three
    stages, and the fourth where both sides are at least 64: on 32x32 the last two stages have the
    same resolution. Takes images of 8x8 and more, of any number of channels. Read a stage as
    ``stages.0`` to ``stages.4``, its map after the ReLU and before the pool; the embedding
    ``[N, D]`` as ``pooled``.
    """

    class Params(Settings):
        """Depth and width."""

        depth: int = Field(8, description="8, 11, 13, 16 or 19: the convolutions, and 3")
        width: int = Field(64, ge=1, le=1024, description="channels of the first stage")

        @field_validator("depth")
        @classmethod
        def _published(cls, depth: int) -> int:
            if depth not in _STAGES:
                nearest = min(_STAGES, key=lambda known: abs(known - depth))
                raise ValueError(f"a vgg's depth is 8, 11, 13, 16 or 19: use {nearest}")
            return depth

    source: ClassVar[str] = "arXiv:1409.1556; vgg8 and the CIFAR form: arXiv:1910.10699"

    def __init__(self, params: Params, *, shape: tuple[int, int, int], num_classes: int) -> None:
        """Build the network for images of ``shape`` ``(D, H, W)``.

        Raises:
            SpecError: a side is shorter than 8 pixels.
        """
        super().__init__(params, shape=shape, num_classes=num_classes)
        side = min(shape[1:])
        if side < _SMALLEST_SIDE:
            raise SpecError(
                f"vgg: needs sides of at least {_SMALLEST_SIDE} (three pools halve the image), but "
                f"the images are {'x'.join(map(str, shape))}: use larger images, or another model"
            )
        channels = shape[0]
        stages = []
        for number, num_convolutions in enumerate(_STAGES[params.depth]):
            width = params.width << min(number, 3)
            stages.append(_stage(channels, width, num_convolutions))
            channels = width
        self.stages = nn.ModuleList(stages)
        self.num_pools = 4 if side >= _SMALLEST_POOLED_FOUR_TIMES else 3
        self.pool = nn.MaxPool2d(2)
        self.pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.classifier = nn.Linear(channels, num_classes)
        he_normal(self)
        nn.init.normal_(self.classifier.weight, std=0.01)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[N, C]`` of images ``[N, D, H, W]``."""
        maps = images
        for number, stage in enumerate(self.stages):
            maps = stage(maps)
            if number < self.num_pools:
                maps = self.pool(maps)
        logits: Tensor = self.classifier(self.pooled(maps))
        return logits


def _stage(channels: int, width: int, num_convolutions: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for number in range(num_convolutions):
        convolution = nn.Conv2d(width if number else channels, width, 3, padding=1)
        # Published with biases, though the norm takes them out again.
        assert convolution.bias is not None
        nn.init.zeros_(convolution.bias)
        layers += [convolution, nn.BatchNorm2d(width), nn.ReLU()]
    return nn.Sequential(*layers)
