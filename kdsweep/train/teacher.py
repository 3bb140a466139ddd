"""Frozen teachers: asked for each batch, or asked once and remembered."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kdsweep.batch import Batch, Outputs
from kdsweep.data.base import Split
from kdsweep.models.features import FeatureTap
from kdsweep.train.evaluate import EVALUATION_BATCH
from kdsweep.train.frozen import Frozen

LARGEST_MEMORY_BYTES = 2**29
"""Above this many bytes of logits, all views together, they are computed anew each time."""


class Teacher:
    """A network in evaluation mode that never learns, and what is known of it.

    ``digest`` addresses its weights together with how and on which data they came about.
    """

    def __init__(self, network: nn.Module, *, digest: str, accuracy: float) -> None:
        self.network = network.eval().requires_grad_(False)
        self.digest = digest
        self.accuracy = accuracy
        self._frozen = Frozen(self.network)
        self._tap = FeatureTap(network, ())

    def outputs(
        self, batch: Batch, layers: tuple[str, ...] = (), *, to_inputs: bool = False
    ) -> Outputs:
        """Logits, and the maps at the module paths ``layers``, of one batch.

        No gradient, or with ``to_inputs`` the gradient to what made the batch: then ``network``
        itself is asked, else a copy of it that is faster, which rounds otherwise.
        """
        inputs = batch.seen_by(self.network)
        if not to_inputs:
            return self._frozen.outputs(inputs, layers)
        if layers != self._tap.paths:
            self._tap.detach()
            self._tap = FeatureTap(self.network, layers)
        return Outputs(self.network(inputs), self._tap.features)

    def detach(self) -> None:
        """Remove the hooks of the layers that were asked for, and forget their maps."""
        self._frozen.detach()
        self._tap.detach()
        self._tap = FeatureTap(self.network, ())


class RememberedLogits:
    """A teacher's logits of a training split, computed once per view and kept on the device.

    Every trial on the lane shares them. A view is computed whole, in the order of the samples and
    in batches of one size, so that the numbers do not depend on which trial came first.
    """

    def __init__(self, teacher: Teacher, split: Split) -> None:
        self._teacher = teacher
        self._split = split
        self._views: dict[int, Tensor] = {}

    def outputs(self, batch: Batch) -> Outputs:
        """The logits ``[N, C]`` of the batch's samples as its view shows them."""
        table = self._views.get(batch.view)
        if table is None:
            table = self._views[batch.view] = self._compute(batch.view)
        return Outputs(table[batch.ids])

    def _compute(self, view: int) -> Tensor:
        batches = self._split.in_order(batch_size=EVALUATION_BATCH, view=view)
        return torch.cat([self._teacher.outputs(batch).logits for batch in batches])


@dataclass(frozen=True)
class Source:
    """A teacher, and its remembered logits where they fit the memory."""

    teacher: Teacher
    remembered: RememberedLogits | None = None

    def logits(self, batch: Batch, *, stored: bool) -> Outputs:
        """Its logits of one batch, remembered ones if ``stored`` ones will do."""
        if stored and self.remembered is not None:
            return self.remembered.outputs(batch)
        return self.teacher.outputs(batch)


def can_be_remembered(split: Split, *, num_classes: int, num_views: int) -> bool:
    """Whether the float32 logits of all views fit what a lane may keep."""
    return split.num_samples * num_classes * num_views * 4 <= LARGEST_MEMORY_BYTES
