"""Similarity preservation: examples that are alike to the teacher are alike to the student."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from torch import Tensor

from kdsweep.losses.relations import similarity
from kdsweep.losses.total import total
from kdsweep.strategies.base import Probe, Seen
from kdsweep.strategies.parts.paired_term import PairedTerm
from kdsweep.strategies.parts.pairing import LayerPair, Pair
from kdsweep.strategies.parts.related import RelatedLayers, relate_layers
from kdsweep.strategies.parts.weighting import TermWeight


class SimilarityPreserving(PairedTerm):
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

    source: ClassVar[str] = "arXiv:1907.09682"
    term: ClassVar[str] = "similarity"
    params: Params

    def paired(self, probe: Probe) -> tuple[Pair, ...]:
        """The layers whose examples are related."""
        return relate_layers(self.params, probe)

    def terms(self, seen: Seen) -> Mapping[str, Tensor]:
        """``similarity``: the squared differences of each example's row, summed over layers."""
        return {self.term: total(similarity(*each) for each in self.compared(seen))}
