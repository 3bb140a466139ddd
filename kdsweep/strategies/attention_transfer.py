"""Attention transfer: the student looks where the teacher looks."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from torch import Tensor

from kdsweep.losses.attention import attention_transfer
from kdsweep.losses.total import total
from kdsweep.strategies.base import Probe, Seen
from kdsweep.strategies.parts.adapters import to_smaller
from kdsweep.strategies.parts.paired_term import PairedTerm
from kdsweep.strategies.parts.pairing import Pair, PairedLayers, pair_layers
from kdsweep.strategies.parts.weighting import TermWeight


class AttentionTransfer(PairedTerm):
    """``L = CE + w sum_l mean (Q_s - Q_t)^2`` with ``Q = l2norm(flatten(mean_c f^2))``.

    Channels may differ without any learned layer. Where height or width differ, the larger map is
    averaged to the smaller, as published code does; a map of one pixel has no attention to compare
    (``Q`` is 1 whatever it holds) and is left out. The term is the sum over layers, so that a raw
    weight is each layer's; published code takes 1000.

    Source: arXiv:1612.03928.
    """

    class Params(TermWeight, PairedLayers):
        """Weight of the attention, and the layers where it is compared: by default all stages."""

        hint: Literal["middle", "last", "all"] = "all"

    source: ClassVar[str] = "arXiv:1612.03928"
    term: ClassVar[str] = "attention"
    params: Params

    def paired(self, probe: Probe) -> tuple[Pair, ...]:
        """Maps of nearly the same resolution, of two pixels or more."""
        return pair_layers(self.params, probe, ranks=(3,), min_area=2)

    def terms(self, seen: Seen) -> Mapping[str, Tensor]:
        """``attention``: the maps' mean squared differences, summed over layers."""
        return {self.term: total(_at_one_size(*each) for each in self.compared(seen))}


def _at_one_size(student: Tensor, teacher: Tensor) -> Tensor:
    return attention_transfer(*to_smaller(student, teacher))
