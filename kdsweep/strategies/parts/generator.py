"""A network that makes images out of noise."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SMALLEST_SIDE = 4
"""The first map is doubled until the image is reached; a smaller one would hold no shape."""
WIDEST = 8
"""The most that channels grow, towards the first map, over those at the image's own size."""
_SLOPE = 0.2


class Generator(nn.Module):
    """Noise ``[N, noise]`` -> images ``[N, D, H, W]``, as DCGAN does it (arXiv:1511.06434).

    A linear layer makes a small map with many channels, convolutions double its height and width
    until it is the image's, and ``tanh`` bounds the pixels. A batch norm without parameters then
    brings every channel to mean 0 and deviation 1: so are the data of a teacher normalised.
    Statistics are the batch's own and none are kept: a generator is used in training alone.
    """

    def __init__(self, shape: tuple[int, int, int], *, noise: int, width: int) -> None:
        """Make images of ``shape`` ``(D, H, W)``, with ``width`` channels at their full size."""
        super().__init__()
        channels, *image = shape
        self.noise = noise
        self.sizes = _sizes((image[0], image[1]))
        widths = [width * min(2**i, WIDEST) for i in range(len(self.sizes))][::-1]
        self.start = nn.Linear(noise, widths[0] * self.sizes[0][0] * self.sizes[0][1])
        self.start_norm = _norm(widths[0])
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 3, padding=1, bias=False), _norm(b), nn.LeakyReLU(_SLOPE))
            for a, b in pairwise([widths[0], *widths])
        )
        self.last = nn.Conv2d(widths[-1], channels, 3, padding=1)
        self.normal = _norm(channels, affine=False)

    def drawn(self, num: int) -> Tensor:
        """``num`` images of fresh noise, drawn by the device's global generator."""
        return self(torch.randn(num, self.noise, device=self.last.weight.device))  # type: ignore[no-any-return]

    def forward(self, noise: Tensor) -> Tensor:
        """Images ``[N, D, H, W]`` of noise ``[N, noise]``."""
        maps = self.start(noise).unflatten(1, (-1, *self.sizes[0]))
        maps = self.start_norm(maps)
        for size, block in zip(self.sizes, self.blocks, strict=True):
            maps = block(F.interpolate(maps, size=size, mode="nearest"))
        images: Tensor = self.normal(torch.tanh(self.last(maps)))
        return images


def _sizes(image: tuple[int, int]) -> list[tuple[int, int]]:
    """Height and width of every map, each (rounded up) half of the next, the last the image's."""
    sizes = [image]
    while min(sizes[0]) >= 2 * SMALLEST_SIDE:
        height, width = sizes[0]
        sizes.insert(0, (-(-height // 2), -(-width // 2)))
    return sizes


def _norm(channels: int, *, affine: bool = True) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, affine=affine, track_running_stats=False)
