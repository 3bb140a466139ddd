"""A split that lives as tensors on the training device and is augmented there."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import repeat
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from kdsweep.batch import Batch
from kdsweep.data.base import Split
from kdsweep.data.order import batches_of, permutation, rank_batches
from kdsweep.data.text.table import TextTable
from kdsweep.data.treatment import TreatedSplit, Treatment

_CPU = torch.device("cpu")


class InMemorySplit(TreatedSplit):
    """Images ``[N, D, H, W]`` uint8 and labels ``[N]`` int64, moved whole to the device.

    ``texts`` says of each sample, by id, what it shows; empty where the data set does not know.
    ``tokens`` ``[N, S]`` are the same in ids for a network: batches then have both inputs.
    Reading never makes the host wait for the device.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        treatment: Treatment,
        *,
        texts: Sequence[str] = (),
        tokens: NDArray[Any] | None = None,
    ) -> None:
        self.num_samples = len(labels)
        self.images = images.to(treatment.device)
        self.labels = labels.to(treatment.device)
        self.treatment = treatment
        self.texts = texts
        self.table = None if tokens is None else TextTable(tokens, treatment.device)

    def shuffled(
        self, *, batch_size: int, epoch: int, seed: int, rank: int = 0, num_ranks: int = 1
    ) -> Iterator[Batch]:
        """The augmented batches of an epoch; see ``Split.shuffled``."""

        def order(device: torch.device) -> Tensor:
            return permutation(self.num_samples, epoch=epoch, seed=seed, device=device)

        device = self.treatment.device
        share = rank_batches(order(device), batch_size=batch_size, rank=rank, num_ranks=num_ranks)
        # The same order worked out twice costs less than the host's waiting for the device's.
        on_host = batches_of(order(_CPU), batch_size) if self.table is not None else ()
        return self._read(share, on_host, self.treatment.slot(epoch))

    def in_order(self, *, batch_size: int, view: int | None = None) -> Iterator[Batch]:
        """Every sample once; see ``Split.in_order``."""
        return self._between(0, self.num_samples, batch_size, view)

    def piece(self, start: int, stop: int, *, batch_size: int, view: int) -> Iterator[Batch]:
        """A part of ``in_order``; see ``Split.piece``."""
        return self._between(start, stop, batch_size, view)

    def joined(self, other: Split) -> Split:
        """The samples of both in memory; see ``Split.joined``."""
        if not isinstance(other, InMemorySplit) or (self.table is None) != (other.table is None):
            return super().joined(other)
        both = InMemorySplit(
            torch.cat([self.images, other.images]),
            torch.cat([self.labels, other.labels]),
            self.treatment,
            texts=(*self.texts, *other.texts),
        )
        if self.table is not None and other.table is not None:
            both.table = self.table.joined(other.table)
        return both

    @property
    def num_bytes(self) -> int:
        """Images, labels and tokens."""
        tokens = 0 if self.table is None else self.table.num_bytes
        return self.images.nbytes + self.labels.nbytes + tokens

    def _between(self, start: int, stop: int, batch_size: int, view: int | None) -> Iterator[Batch]:
        self.treatment.check_slot(view)
        ids = torch.arange(start, stop, device=self.treatment.device)
        on_host = batches_of(torch.arange(start, stop), batch_size)
        return self._read(batches_of(ids, batch_size), on_host, view)

    def _read(
        self, batches: Iterable[Tensor], on_host: Iterable[Tensor], slot: int | None
    ) -> Iterator[Batch]:
        widths = repeat(0) if self.table is None else self.table.widths(on_host)
        # A last batch that a rank leaves out is on the host's list still.
        for ids, width in zip(batches, widths, strict=False):
            images, labels = self.images.index_select(0, ids), self.labels.index_select(0, ids)
            batch = self.treatment.batch(images, labels, ids, slot)
            if self.table is not None:
                both = {**batch.inputs, "tokens": self.table.read(ids, width)}
                batch = replace(batch, inputs=both)
            yield batch
