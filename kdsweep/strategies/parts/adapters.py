"""Learned layers and resizing that make two networks' features comparable."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class BatchStatistics(nn.Module):
    """Batch norm by the batch's own statistics, none kept: for layers used only in training.

    A single value per channel, of one example's vector or 1x1 map, is its own mean: it becomes the
    bias.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, features: Tensor) -> Tensor:
        """Features ``[N, D]`` or ``[N, D, H, W]`` normalised over all but ``D``."""
        if features.shape[0] * features.shape[2:].numel() > 1:
            return F.batch_norm(features, None, None, self.weight, self.bias, training=True)
        # Zeros that keep every parameter in the graph, as workers that share gradients need.
        shape = (1, -1, *[1] * (features.ndim - 2))
        return (features - features) * self.weight.view(shape) + self.bias.view(shape)


class Adapter(nn.Module):
    """Student features ``[N, D_s, H_s, W_s]`` or ``[N, D_s]`` in the shape of the teacher's.

    A 1x1 convolution (for vectors a linear layer), and a change of size where height or width
    differ: averaging where the student's map is larger, bilinear where it is smaller. No ReLU
    follows: it could not reach a teacher's negative values. With ``batch_norm`` the batch's own
    statistics are used, none are kept: an adapter is only ever used in training.
    """

    def __init__(
        self, student: Sequence[int], teacher: Sequence[int], *, batch_norm: bool = False
    ) -> None:
        """Take the shapes of one example's features, ``(D, H, W)`` or ``(D,)``."""
        super().__init__()
        self.size = tuple(teacher[1:])
        if self.size:
            self.project: nn.Module = nn.Conv2d(student[0], teacher[0], 1, bias=not batch_norm)
        else:
            self.project = nn.Linear(student[0], teacher[0], bias=not batch_norm)
        self.norm: nn.Module = nn.Identity()
        if batch_norm:
            self.norm = BatchStatistics(teacher[0])

    def forward(self, features: Tensor) -> Tensor:
        """The features in the teacher's channels, height and width."""
        # Channels are mixed at the smaller of the two sizes; the order makes no other difference.
        if features.shape[2:].numel() > math.prod(self.size):
            adapted: Tensor = self.project(resize(features, self.size))
        else:
            adapted = resize(self.project(features), self.size)
        normed: Tensor = self.norm(adapted)
        return normed


def resize(features: Tensor, size: Sequence[int]) -> Tensor:
    """Maps ``[N, D, H, W]`` at ``size`` ``(H, W)``: averaged down, or bilinearly up; else as is.

    Where one side shrinks and the other grows, the one is averaged first.
    """
    if tuple(features.shape[2:]) == tuple(size):
        return features
    smaller = [min(side, wanted) for side, wanted in zip(features.shape[2:], size, strict=True)]
    if list(features.shape[2:]) != smaller:
        features = F.adaptive_avg_pool2d(features, (smaller[0], smaller[1]))
    if smaller != list(size):
        features = F.interpolate(features, size=tuple(size), mode="bilinear", align_corners=False)
    return features


def to_smaller(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Both maps ``[N, D, H, W]`` averaged to the smaller height and the smaller width."""
    size = [min(sides) for sides in zip(one.shape[2:], other.shape[2:], strict=True)]
    return resize(one, size), resize(other, size)
