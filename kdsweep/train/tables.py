"""One output of a teacher for one view of all training examples, read by their ids."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from kdsweep.train.blocks import Half


class MappedTable:
    """Blocks of equal length, the last one apart, mapped from the disk: read by the host."""

    def __init__(self, blocks: Sequence[Half], size: int) -> None:
        """``size`` is the number of examples in a block."""
        self._blocks = tuple(torch.from_numpy(block) for block in blocks)
        self._arrays, self._size = tuple(blocks), size

    @property
    def num_bytes(self) -> int:
        """What the whole table takes."""
        return sum(block.nbytes for block in self._arrays)

    def rows(self, ids: Tensor) -> Tensor:
        """The values ``[N, ...]`` float32 of examples ``ids`` ``[N]``, on the device of the ids."""
        if len(self._blocks) == 1 and ids.device.type == "cpu":
            return self._blocks[0].index_select(0, ids).float()
        return torch.from_numpy(self._gathered(ids.cpu().numpy())).to(ids.device).float()

    def on(self, device: torch.device) -> "DeviceTable":
        """The whole of it in the memory of a device."""
        return DeviceTable(torch.cat([block.to(device) for block in self._blocks]))

    def _gathered(self, ids: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Half:
        number, place = np.divmod(ids, self._size)
        order = np.argsort(number, kind="stable")
        ends = np.searchsorted(number[order], np.arange(len(self._arrays) + 1))
        found = np.empty((len(ids), *self._arrays[0].shape[1:]), np.float16)
        for block, start, end in zip(self._arrays, ends[:-1], ends[1:], strict=True):
            if start < end:
                of_block = order[start:end]
                found[of_block] = block[place[of_block]]
        return found


class DeviceTable:
    """The values ``[n, ...]`` float16 of all examples, on a device: read without the host."""

    def __init__(self, values: Tensor) -> None:
        self._values = values

    @property
    def num_bytes(self) -> int:
        """What it takes of the device's memory."""
        return self._values.nbytes

    def rows(self, ids: Tensor) -> Tensor:
        """The values ``[N, ...]`` float32 of examples ``ids`` ``[N]`` on the device."""
        return self._values.index_select(0, ids).float()


Table = MappedTable | DeviceTable
