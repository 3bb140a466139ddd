"""Token ids on the training device, read at the width that a batch needs."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kdsweep.batch import PADDING

_STEP = 8
"""Widths are multiples of this: few shapes to compile for, and the ones that matrix units like."""


class TextTable:
    """Ids ``[N, S]`` of any integer dtype, padded at the end; lengths are known on the host too.

    What a batch is cut to follows from the host's lengths: nothing waits for the device.
    """

    def __init__(self, ids: NDArray[Any], device: torch.device) -> None:
        self.ids = torch.from_numpy(ids).to(device)
        self._widths = _rounded_up(lengths(ids), ids.shape[1])

    def joined(self, other: "TextTable") -> "TextTable":
        """The texts of both, those of ``other`` behind its own, as wide as the wider of the two."""
        width = max(self.ids.shape[1], other.ids.shape[1])
        ids = [
            np.pad(each.ids.cpu().numpy(), ((0, 0), (0, width - each.ids.shape[1])),
                   constant_values=PADDING)
            for each in (self, other)
        ]  # fmt: skip
        return TextTable(np.concatenate(ids), self.ids.device)

    @property
    def num_bytes(self) -> int:
        """Of the ids, on the device."""
        return self.ids.nbytes

    def widths(self, batches: Iterable[Tensor]) -> Iterator[int]:
        """For each batch of positions on the host, that of its longest text in steps of eight."""
        for positions in batches:
            yield int(self._widths[positions.numpy()].max())

    def read(self, positions: Tensor, width: int) -> Tensor:
        """The first ``width`` tokens of the texts at ``positions`` ``[N]``, as int64 ``[N, S]``."""
        return self.ids[:, :width].index_select(0, positions).long()


def lengths(ids: NDArray[Any]) -> NDArray[np.int64]:
    """Tokens of each text ``[N, S]`` before its padding, ``[N]``."""
    used = ids != PADDING
    last = ids.shape[1] - used[:, ::-1].argmax(axis=1)
    return np.where(used.any(axis=1), last, 0)


def _rounded_up(lengths: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    steps = -(-np.maximum(lengths, 1) // _STEP)
    return np.minimum(steps * np.int64(_STEP), np.int64(most))
