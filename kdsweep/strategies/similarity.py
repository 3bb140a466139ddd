"""Similarity preservation: examples that are alike to the teacher are alike to the student."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from torch import Tensor

from kdsweep.losses.relations import similarity
from kdsweep.strategies.base import Layers, Needs, Probe, Seen, Strategy, Weight
from kdsweep.strategies.parts.pairing import LayerPair, layers_of, summed
from kdsweep.strategies.parts.related import RelatedLayers, relate_layers
from kdsweep.strategies.parts.weighting import TermWeight


class SimilarityPreserving(Strategy):
    """``L = CE + w sum_l |G_s - G_t|^2 / N^2`` with ``G = rownorm(f f^T)``, of flattened features.

    Rows of the similarities ``[N, N]`` have Euclidean length one. The two networks' features may
    be of any shapes, and there is nothing to learn. The term is the sum over layers, so that a raw
    weight is each layer's; published code takes 3000 at the last map. With several workers per
    trial each relates the examples of its own share of the batch.

    Source: arXiv:1907.09682.
    """

    class Params(TermWeight, RelatedLayers):
        """Weight of the similarities, and where they are read: by default the last maps."""

        layers: Literal["embedding", "last"] | tuple[LayerPair, ...] = "last"

    needs: ClassVar[Needs] = Needs(features=True)
    source: ClassVar[str] = "arXiv:1907.09682"

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
        """The hard-label loss as it is, and the weight of the similarities."""
        return {"hard": Weight(1.0), "similarity": self.weight}

    def terms(self, seen: Seen) -> Mapping[str, Tensor]:
        """``similarity``: the squared differences of each example's row, summed over layers."""
        return {"similarity": summed(self.pairs, seen, similarity)}
