"""Hints: the student's features, through an adapter, approach the teacher's."""

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn

from kdsweep.losses.features import hint
from kdsweep.strategies.base import Layers, Needs, Probe, Seen, Strategy, Weight
from kdsweep.strategies.parts.adapters import Adapter
from kdsweep.strategies.parts.pairing import PairedLayers, layers_of, pair_layers
from kdsweep.strategies.parts.weighting import TermWeight


class FitNet(Strategy):
    """``L = CE + w sum_l MSE(adapter(f_s), f_t)``: hints from one layer, or from several.

    The term is the sum over layers, so that a raw weight is each layer's; published code takes 100
    for one layer. Hints and labels train together, in one stage, as published comparisons do.

    Source: arXiv:1412.6550.
    """

    class Params(TermWeight, PairedLayers):
        """Weight of the hints, the layers that give them, and batch norm in the adapters."""

        batch_norm: bool = False

    needs: ClassVar[Needs] = Needs(features=True)
    source: ClassVar[str] = "arXiv:1412.6550"

    def __init__(self, params: Params, probe: Probe) -> None:
        """Pair the layers and make an adapter for each pair.

        Raises:
            SpecError: there is no teacher, or its layers cannot be paired with the student's.
        """
        super().__init__(params, probe)
        self.weight = params.term_weight
        self.pairs = pair_layers(params, probe, ranks=(3, 1))
        self.adapters = nn.ModuleList(
            Adapter(pair.student_shape, pair.teacher_shape, batch_norm=params.batch_norm)
            for pair in self.pairs
        )

    @property
    def layers(self) -> Layers:
        """The paired layers."""
        return layers_of(self.pairs)

    def weights(self) -> Mapping[str, Weight]:
        """The hard-label loss as it is, and the weight of the hints."""
        return {"hard": Weight(1.0), "hint": self.weight}

    def terms(self, seen: Seen) -> Mapping[str, Tensor]:
        """``hint``: the squared differences' means, summed over layers."""
        theirs = seen.teacher.features
        losses = [
            hint(adapter(seen.student.features[pair.student]), theirs[pair.teacher])
            for pair, adapter in zip(self.pairs, self.adapters, strict=True)
        ]
        return {"hint": sum(losses[1:], start=losses[0])}
