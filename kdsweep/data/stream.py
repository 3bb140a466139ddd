"""A split too large for memory: decoded by worker processes, augmented on the device."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from kdsweep.batch import Batch
from kdsweep.data.base import Split
from kdsweep.data.order import batches_of, permutation, rank_batches
from kdsweep.data.partition import Index
from kdsweep.data.source import ImageSource
from kdsweep.data.treatment import TreatedSplit, Treatment
from kdsweep.errors import SpecError

_CPU = torch.device("cpu")


class StreamedSplit(TreatedSplit):
    """The images of ``source`` at ``index`` ``[N]``, with their labels ``[N]`` int64.

    Every epoch starts its own workers, so that any epoch can be read alone, or again.
    """

    def __init__(
        self,
        source: ImageSource,
        index: Index,
        labels: Tensor,
        treatment: Treatment,
        *,
        workers: int,
    ) -> None:
        self.num_samples = len(labels)
        self.labels = labels
        self.treatment = treatment
        self.workers = workers
        self._images = _Batches(source, index)

    def shuffled(
        self, *, batch_size: int, epoch: int, seed: int, rank: int = 0, num_ranks: int = 1
    ) -> Iterator[Batch]:
        """The augmented batches of an epoch; see ``Split.shuffled``."""
        order = permutation(self.num_samples, epoch=epoch, seed=seed, device=_CPU)
        batches = rank_batches(order, batch_size=batch_size, rank=rank, num_ranks=num_ranks)
        return self._read(batches, self.treatment.slot(epoch))

    def in_order(self, *, batch_size: int, view: int | None = None) -> Iterator[Batch]:
        """Every sample once; see ``Split.in_order``."""
        self.treatment.check_slot(view)
        return self._read(batches_of(torch.arange(self.num_samples), batch_size), view)

    def piece(self, start: int, stop: int, *, batch_size: int, view: int) -> Iterator[Batch]:
        """A part of ``in_order``, of which no other image is decoded; see ``Split.piece``."""
        self.treatment.check_slot(view)
        return self._read(batches_of(torch.arange(start, stop), batch_size), view)

    def joined(self, other: Split) -> Split:
        """The images of both, of one source; see ``Split.joined``."""
        if not isinstance(other, StreamedSplit) or other._images.source is not self._images.source:
            return super().joined(other)
        return StreamedSplit(
            self._images.source,
            np.concatenate([self._images.index, other._images.index]),
            torch.cat([self.labels, other.labels]),
            self.treatment,
            workers=self.workers,
        )

    def _read(self, batches: Sequence[Tensor], slot: int | None) -> Iterator[Batch]:
        device = self.treatment.device
        loader = DataLoader(
            self._images,
            batch_sampler=(ids.tolist() for ids in batches),
            num_workers=self.workers,
            collate_fn=_as_is,
            pin_memory=device.type == "cuda",
            # Its own generator: else each epoch would move on the one that the trial is seeded by.
            generator=torch.Generator(),
        )
        for ids, (images, problems) in zip(batches, loader, strict=True):
            if problems:
                raise SpecError(problems)
            yield self.treatment.batch(
                images.to(device, non_blocking=True),
                self.labels[ids].to(device, non_blocking=True),
                ids.to(device, non_blocking=True),
                slot,
            )


class _Batches(Dataset[Any]):
    """Whole batches of decoded images, with the sentences of those that cannot be read.

    Problems travel as values: an exception out of a worker process arrives as a trace of text.
    """

    def __init__(self, source: ImageSource, index: Index) -> None:
        self.source = source
        self.index = index

    def __len__(self) -> int:
        return len(self.index)

    def __getitems__(self, ids: list[int]) -> tuple[Tensor, tuple[str, ...]]:
        images = torch.empty((len(ids), *self.source.shape), dtype=torch.uint8)
        pixels = images.numpy()
        problems: list[str] = []
        for slot, position in enumerate(ids):
            try:
                pixels[slot] = self.source.read(int(self.index[position]))
            except SpecError as error:
                problems += error.problems
        return images, tuple(dict.fromkeys(problems))


def _as_is(batch: Any) -> Any:
    return batch
