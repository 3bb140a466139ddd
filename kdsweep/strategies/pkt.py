"""Probabilistic knowledge transfer: which examples are neighbours, as probabilities."""

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from kdsweep.losses.relations import probability_transfer
from kdsweep.losses.total import total
from kdsweep.strategies.base import Probe, Seen
from kdsweep.strategies.parts.paired_term import PairedTerm
from kdsweep.strategies.parts.pairing import Pair
from kdsweep.strategies.parts.related import RelatedLayers, relate_layers
from kdsweep.strategies.parts.weighting import TermWeight


class ProbabilisticTransfer(PairedTerm):
    """``L = CE + w sum_l mean_ij p_t log(p_t / p_s)``, ``p = (1 + cos) / 2`` as shares of rows.

    ``p_ij`` is how likely example ``j`` is a neighbour of ``i`` among the batch, by the cosine of
    their embeddings, of any sizes. The term is the sum over layers, so that a raw weight is each
    layer's; published code takes 30000, as its mean is over all ``N^2`` pairs. With several workers
    per trial each relates the examples of its own share of the batch.

    Source: arXiv:1803.10837.
    """

    class Params(TermWeight, RelatedLayers):
        """Weight of the probabilities, and where they are read: by default the embeddings."""

    source: ClassVar[str] = "arXiv:1803.10837"
    term: ClassVar[str] = "neighbours"
    params: Params

    def paired(self, probe: Probe) -> tuple[Pair, ...]:
        """The layers whose examples are related."""
        return relate_layers(self.params, probe)

    def terms(self, seen: Seen) -> Mapping[str, Tensor]:
        """``neighbours``: each example's mean of ``p_t log(p_t / p_s)``, summed over layers."""
        return {self.term: total(probability_transfer(*each) for each in self.compared(seen))}
