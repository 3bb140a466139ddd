"""Probabilistic knowledge transfer: which examples are neighbours, as probabilities."""

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from kdsweep.losses.relations import probability_transfer
from kdsweep.strategies.base import Layers, Needs, Probe, Seen, Strategy, Weight
from kdsweep.strategies.parts.pairing import layers_of, summed
from kdsweep.strategies.parts.related import RelatedLayers, relate_layers
from kdsweep.strategies.parts.weighting import TermWeight


class ProbabilisticTransfer(Strategy):
    """``L = CE + w sum_l mean_ij p_t log(p_t / p_s)``, ``p = (1 + cos) / 2`` as shares of rows.

    ``p_ij`` is how likely example ``j`` is a neighbour of ``i`` among the batch, by the cosine of
    their embeddings, of any sizes. The term is the sum over layers, so that a raw weight is each
    layer's; published code takes 30000, as its mean is over all ``N^2`` pairs. With several workers
    per trial each relates the examples of its own share of the batch.

    Source: arXiv:1803.10837.
    """

    class Params(TermWeight, RelatedLayers):
        """Weight of the probabilities, and where they are read: by default the embeddings."""

    needs: ClassVar[Needs] = Needs(features=True)
    source: ClassVar[str] = "arXiv:1803.10837"

    def __init__(self, params: Params, probe: Probe) -> None:
        """Find the layers.

        Raises:
            SpecError: there is no teacher, or a network lacks the layer.
        """
        super().__init__(params, probe)
        self.weight = params.term_weight
        self.pairs = relate_layers(params, probe)

    @property
    def layers(self) -> Layers:
        """The layers whose examples are related."""
        return layers_of(self.pairs)

    def weights(self) -> Mapping[str, Weight]:
        """The hard-label loss as it is, and the weight of the probabilities."""
        return {"hard": Weight(1.0), "neighbours": self.weight}

    def terms(self, seen: Seen) -> Mapping[str, Tensor]:
        """``neighbours``: each example's mean of ``p_t log(p_t / p_s)``, summed over layers."""
        return {"neighbours": summed(self.pairs, seen, probability_transfer)}
