"""Attention transfer: the student looks where the teacher looks."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from torch import Tensor

from kdsweep.losses.attention import attention_transfer
from kdsweep.strategies.base import Layers, Needs, Probe, Seen, Strategy, Weight
from kdsweep.strategies.parts.adapters import to_smaller
from kdsweep.strategies.parts.pairing import PairedLayers, layers_of, pair_layers, summed
from kdsweep.strategies.parts.weighting import TermWeight


class AttentionTransfer(Strategy):
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

    needs: ClassVar[Needs] = Needs(features=True)
    source: ClassVar[str] = "arXiv:1612.03928"

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
        """The hard-label loss as it is, and the weight of the attention."""
        return {"hard": Weight(1.0), "attention": self.weight}

    def terms(self, seen: Seen) -> Mapping[str, Tensor]:
        """``attention``: the maps' mean squared differences, summed over layers."""
        return {"attention": summed(self.pairs, seen, _at_one_size)}


def _at_one_size(student: Tensor, teacher: Tensor) -> Tensor:
    return attention_transfer(*to_smaller(student, teacher))
