"""A split of texts that lives as token ids on the training device."""

from collections.abc import Iterable, Iterator
from copy import copy
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from kdsweep.batch import Batch
from kdsweep.data.base import Split
from kdsweep.data.order import batches_of, permutation, rank_batches
from kdsweep.data.partition import Index
from kdsweep.data.text.table import TextTable

_CPU = torch.device("cpu")


class TextSplit(Split):
    """Token ids ``[N, S]`` and labels ``[N]`` int64, moved whole to the device.

    There is one view of a text. Each batch is as wide as its longest text, in steps of eight, on
    every rank alike; reading never makes the host wait for the device.
    """

    def __init__(self, ids: NDArray[Any], labels: Index, device: torch.device) -> None:
        self.num_samples = len(labels)
        self.labels = torch.from_numpy(labels).to(device)
        self.table = TextTable(ids, device)
        self.device = device

    def shuffled(
        self, *, batch_size: int, epoch: int, seed: int, rank: int = 0, num_ranks: int = 1
    ) -> Iterator[Batch]:
        """The batches of an epoch; see ``Split.shuffled``."""
        order = permutation(self.num_samples, epoch=epoch, seed=seed, device=self.device)
        share = rank_batches(order, batch_size=batch_size, rank=rank, num_ranks=num_ranks)
        # The same order worked out twice costs less than the host's waiting for the device's.
        on_host = permutation(self.num_samples, epoch=epoch, seed=seed, device=_CPU)
        return self._read(share, batches_of(on_host, batch_size))

    def in_order(self, *, batch_size: int, view: int | None = None) -> Iterator[Batch]:
        """Every sample once; see ``Split.in_order``."""
        if view not in (None, 0):
            raise ValueError(f"view {view} is not in 0..0")
        return self._between(0, self.num_samples, batch_size)

    def piece(self, start: int, stop: int, *, batch_size: int, view: int) -> Iterator[Batch]:
        """A part of ``in_order``; see ``Split.piece``."""
        return self._between(start, stop, batch_size)

    def joined(self, other: Split) -> Split:
        """The texts of both; see ``Split.joined``."""
        if not isinstance(other, TextSplit):
            return super().joined(other)
        both = copy(self)
        both.labels = torch.cat([self.labels, other.labels])
        both.num_samples = len(both.labels)
        both.table = self.table.joined(other.table)
        return both

    @property
    def num_bytes(self) -> int:
        """Tokens and labels."""
        return self.table.num_bytes + self.labels.nbytes

    def _between(self, start: int, stop: int, batch_size: int) -> Iterator[Batch]:
        ids = torch.arange(start, stop, device=self.device)
        on_host = torch.arange(start, stop)
        return self._read(batches_of(ids, batch_size), batches_of(on_host, batch_size))

    def _read(self, batches: Iterable[Tensor], on_host: Iterable[Tensor]) -> Iterator[Batch]:
        # A last batch that a rank leaves out is on the host's list still.
        for ids, width in zip(batches, self.table.widths(on_host), strict=False):
            tokens = self.table.read(ids, width)
            yield Batch({"tokens": tokens}, self.labels.index_select(0, ids), ids)
