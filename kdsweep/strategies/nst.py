"""Neuron selectivity transfer: channels select the same places."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from torch import Tensor

from kdsweep.losses.selectivity import selectivity_transfer
from kdsweep.strategies.base import Layers, Needs, Probe, Seen, Strategy, Weight
from kdsweep.strategies.parts.adapters import to_smaller
from kdsweep.strategies.parts.pairing import PairedLayers, layers_of, pair_layers, summed
from kdsweep.strategies.parts.weighting import TermWeight


class NeuronSelectivity(Strategy):
    """``L = CE + w sum_l MMD^2`` of the channels of both maps, under the kernel ``(x . y)^2``.

    A channel is a vector of ``H * W`` pixels of length one; two sets of channels, of any numbers,
    are compared, without any learned layer. Where height or width differ, the larger map is
    averaged to the smaller; a map of one pixel selects nothing and is left out. The term is the sum
    over layers, so that a raw weight is each layer's; published code takes 50.

    Source: arXiv:1707.01219.
    """

    class Params(TermWeight, PairedLayers):
        """Weight of the discrepancy, and the layers that are compared: by default all stages."""

        hint: Literal["middle", "last", "all"] = "all"

    needs: ClassVar[Needs] = Needs(features=True)
    source: ClassVar[str] = "arXiv:1707.01219"

    def __init__(self, params: Params, probe: Probe) -> None:
        """Pair the layers.

        Raises:
            SpecError: there is no teacher, or its layers cannot be paired with the student's.
        """
        super().__init__(params, probe)
        self.weight = params.term_weight
        self.pairs = pair_layers(params, probe, ranks=(3,), min_area=2)

    @property
    def layers(self) -> Layers:
        """The paired layers."""
        return layers_of(self.pairs)

    def weights(self) -> Mapping[str, Weight]:
        """The hard-label loss as it is, and the weight of the discrepancy."""
        return {"hard": Weight(1.0), "selectivity": self.weight}

    def terms(self, seen: Seen) -> Mapping[str, Tensor]:
        """``selectivity``: the discrepancies of the two sets of channels, summed over layers."""
        return {"selectivity": summed(self.pairs, seen, _at_one_size)}


def _at_one_size(student: Tensor, teacher: Tensor) -> Tensor:
    return selectivity_transfer(*to_smaller(student, teacher))
