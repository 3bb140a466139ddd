"""Learned layers that join a network's maps from deep to shallow, level by level."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kdsweep.strategies.parts.adapters import BatchStatistics


class Fusion(nn.Module):
    """One level of a review: a student's map, joined with what came from the level below.

    A 1x1 convolution brings the map to ``channels``; two attention maps, of both together, weigh it
    against the fused map of the deeper level, which is enlarged to its size; the sum is brought to
    the teacher's height and width, to be passed on, and by a 3x3 convolution to the teacher's
    channels, to be compared. Sizes change to the nearest pixel (arXiv:2104.09044).
    """

    def __init__(
        self, student: Sequence[int], teacher: Sequence[int], *, channels: int, deepest: bool
    ) -> None:
        """Take the shapes ``(D, H, W)`` of one example's maps; the deepest level joins nothing."""
        super().__init__()
        self.size = tuple(teacher[1:])
        self.reduce = _normed(nn.Conv2d(student[0], channels, 1, bias=False))
        self.attend = None if deepest else nn.Conv2d(2 * channels, 2, 1)
        self.restore = _normed(nn.Conv2d(channels, teacher[0], 3, padding=1, bias=False))

    def forward(self, maps: Tensor, deeper: Tensor | None) -> tuple[Tensor, Tensor]:
        """The student's map in the teacher's shape, and the fused map to pass on.

        ``maps`` is ``[N, D_s, H_s, W_s]``, ``deeper`` the fused map ``[N, channels, H, W]`` of the
        level below, of any size; none for the deepest.
        """
        fused: Tensor = self.reduce(maps)
        if self.attend is not None and deeper is not None:
            deeper = _nearest(deeper, fused.shape[2:])
            attention = self.attend(torch.cat((fused, deeper), dim=1)).sigmoid()
            fused = fused * attention[:, :1] + deeper * attention[:, 1:]
        fused = _nearest(fused, self.size)
        return self.restore(fused), fused


def _normed(convolution: nn.Conv2d) -> nn.Sequential:
    nn.init.kaiming_uniform_(convolution.weight, a=1)
    return nn.Sequential(convolution, BatchStatistics(convolution.out_channels))


def _nearest(maps: Tensor, size: Sequence[int]) -> Tensor:
    if tuple(maps.shape[2:]) == tuple(size):
        return maps
    return F.interpolate(maps, size=tuple(size), mode="nearest")
