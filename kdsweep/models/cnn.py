"""Plain convolutional networks: stages of convolutions, a pool after each, and one hidden layer."""

from typing import ClassVar

from pydantic import Field
from torch import Tensor, nn

from kdsweep.errors import SpecError
from kdsweep.models.base import Family
from kdsweep.spec import Settings


class Cnn(Family):
    """Stages of 3x3 convolutions whose channels double, each followed by a 2x2 max pool.

    On 3x32x32 with 10 classes, ``width: 128, depth: 2, dropout: 0.5`` is the source's teacher
    (12,976,266 parameters) and ``width: 32`` its student (620,362). A stage is read as
    ``stages.0``, ``stages.1``, ...: its last map after the ReLU, before the pool.
    """

    class Params(Settings):
        """Size of the network; everything grows with the width."""

        width: int = Field(32, ge=1, le=4096, description="channels of the first stage")
        depth: int = Field(1, ge=1, le=64, description="convolutions per stage")
        stages: int = Field(3, ge=1, le=8, description="each halves the image")
        hidden: int | None = Field(
            None, ge=1, le=65536, description="units of the hidden layer; 8 * width if not given"
        )
        dropout: float = Field(0.0, ge=0, lt=1, description="after the hidden layer")
        batch_norm: bool = Field(False, description="after every convolution")

    source: ClassVar[str] = "Knowledge Distillation Basics: TeacherModel and StudentModel"

    def __init__(self, params: Params, *, shape: tuple[int, int, int], num_classes: int) -> None:
        """Build the network for images of ``shape`` ``(D, H, W)``.

        Raises:
            SpecError: the image is used up before the last pool.
        """
        super().__init__(params, shape=shape, num_classes=num_classes)
        _check_side(params.stages, shape)
        channels, height, width = shape
        stages = []
        for number in range(params.stages):
            stages.append(_stage(channels, params.width << number, params))
            channels = params.width << number
        self.stages = nn.ModuleList(stages)
        self.pool = nn.MaxPool2d(2)
        hidden = 8 * params.width if params.hidden is None else params.hidden
        flat = channels * (height >> params.stages) * (width >> params.stages)
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(flat, hidden),
            nn.ReLU(),
            nn.Dropout(params.dropout),
            nn.Linear(hidden, num_classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[N, C]`` of images ``[N, D, H, W]``."""
        for stage in self.stages:
            images = self.pool(stage(images))
        logits: Tensor = self.classifier(images)
        return logits


def _stage(channels: int, width: int, params: Cnn.Params) -> nn.Sequential:
    layers: list[nn.Module] = []
    for number in range(params.depth):
        layers.append(nn.Conv2d(width if number else channels, width, 3, padding=1))
        if params.batch_norm:
            layers.append(nn.BatchNorm2d(width))
        layers.append(nn.ReLU())
    return nn.Sequential(*layers)


def _check_side(stages: int, shape: tuple[int, int, int]) -> None:
    side = min(shape[1:])
    if side >> stages:
        return
    most = side.bit_length() - 1
    remedy = f"use stages: {most}{' or fewer' if most > 1 else ''}" if most else "use larger images"
    raise SpecError(
        f"cnn: stages: {stages} needs sides of at least {1 << stages} (each stage halves the "
        f"image), but the images are {'x'.join(map(str, shape))}: {remedy}"
    )
