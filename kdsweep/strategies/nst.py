"""Neuron selectivity transfer: channels select the same places."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from torch import Tensor

from kdsweep.losses.selectivity import selectivity_transfer
from kdsweep.losses.total import total
from kdsweep.strategies.base import Probe, Seen
from kdsweep.strategies.parts.adapters import to_smaller
from kdsweep.strategies.parts.paired_term import PairedTerm
from kdsweep.strategies.parts.pairing import Pair, PairedLayers, pair_layers
from kdsweep.strategies.parts.weighting import TermWeight


class NeuronSelectivity(PairedTerm):
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

    source: ClassVar[str] = "arXiv:1707.01219"
    term: ClassVar[str] = "selectivity"
    params: Params

    def paired(self, probe: Probe) -> tuple[Pair, ...]:
        """Maps of nearly the same resolution, of two pixels or more."""
        return pair_layers(self.params, probe, ranks=(3,), min_area=2)

    def terms(self, seen: Seen) -> Mapping[str, Tensor]:
        """``selectivity``: the discrepancies of the two sets of channels, summed over layers."""
        return {self.term: total(_at_one_size(*each) for each in self.compared(seen))}


def _at_one_size(student: Tensor, teacher: Tensor) -> Tensor:
    return selectivity_transfer(*to_smaller(student, teacher))
