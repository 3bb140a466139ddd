"""Frozen teachers: asked for each batch, or read from what they once said."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

from kdsweep.batch import Batch, Outputs
from kdsweep.models.features import FeatureTap
from kdsweep.train.frozen import Frozen

if TYPE_CHECKING:
    from kdsweep.train.output_store import OutputStore
    from kdsweep.train.reading import StoredReading


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


@dataclass(frozen=True)
class Source:
    """A teacher, where its outputs are stored, and what the trial at hand reads from there."""

    teacher: Teacher
    store: "OutputStore | None" = None
    reading: "StoredReading | None" = None

    @property
    def num_bytes(self) -> int:
        """What it keeps in memory, about, with the data that its outputs are of."""
        store = self.store
        stored = 0 if store is None else store.device_bytes + store.split.num_bytes
        return sum(each.nbytes for each in self.teacher.network.parameters()) + stored

    def outputs(self, batch: Batch, layers: tuple[str, ...] = ()) -> Outputs:
        """Its logits of one batch, and the maps at ``layers``: stored ones where there are."""
        found = None if self.reading is None else self.reading.outputs(batch)
        return self.teacher.outputs(batch, layers) if found is None else found
