"""A split that lives as tensors on the training device and is augmented there."""

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from kdsweep.batch import Batch
from kdsweep.data.base import Split
from kdsweep.data.order import batches_of, permutation, rank_batches
from kdsweep.data.treatment import Treatment


class InMemorySplit(Split):
    """Images ``[N, D, H, W]`` uint8 and labels ``[N]`` int64, moved whole to the device.

    ``texts`` says of each sample, by id, what it shows; empty where the data set does not know.
    Reading never makes the host wait for the device.
    """

    def __init__(
        self, images: Tensor, labels: Tensor, treatment: Treatment, *, texts: Sequence[str] = ()
    ) -> None:
        self.num_samples = len(labels)
        self.images = images.to(treatment.device)
        self.labels = labels.to(treatment.device)
        self.treatment = treatment
        self.texts = texts

    def shuffled(
        self, *, batch_size: int, epoch: int, seed: int, rank: int = 0, num_ranks: int = 1
    ) -> Iterator[Batch]:
        """The augmented batches of an epoch; see ``Split.shuffled``."""
        order = permutation(self.num_samples, epoch=epoch, seed=seed, device=self.treatment.device)
        batches = rank_batches(order, batch_size=batch_size, rank=rank, num_ranks=num_ranks)
        return self._read(batches, self.treatment.slot(epoch))

    def in_order(self, *, batch_size: int, view: int | None = None) -> Iterator[Batch]:
        """Every sample once; see ``Split.in_order``."""
        self.treatment.check_slot(view)
        ids = torch.arange(self.num_samples, device=self.treatment.device)
        return self._read(batches_of(ids, batch_size), view)

    def _read(self, batches: Iterable[Tensor], slot: int | None) -> Iterator[Batch]:
        for ids in batches:
            images, labels = self.images.index_select(0, ids), self.labels.index_select(0, ids)
            yield self.treatment.batch(images, labels, ids, slot)
