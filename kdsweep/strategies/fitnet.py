"""Hints: the student's features, through an adapter, approach the teacher's."""

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn

from kdsweep.losses.features import hint
from kdsweep.losses.total import total
from kdsweep.strategies.base import Probe, Seen
from kdsweep.strategies.parts.adapters import Adapter
from kdsweep.strategies.parts.paired_term import PairedTerm
from kdsweep.strategies.parts.pairing import Pair, PairedLayers, pair_layers
from kdsweep.strategies.parts.weighting import TermWeight


class FitNet(PairedTerm):
    """``L = CE + w sum_l MSE(adapter(f_s), f_t)``: hints from one layer, or from several.

    The term is the sum over layers, so that a raw weight is each layer's; published code takes 100
    for one layer. Hints and labels train together, in one stage, as published comparisons do.

    Source: arXiv:1412.6550.
    """

    class Params(TermWeight, PairedLayers):
        """Weight of the hints, the layers that give them, and batch norm in the adapters."""

        batch_norm: bool = False

    source: ClassVar[str] = "arXiv:1412.6550"
    term: ClassVar[str] = "hint"
    params: Params

    def __init__(self, params: Params, probe: Probe) -> None:
        """Pair the layers and make an adapter for each pair.

        Raises:
            SpecError: there is no teacher, or its layers cannot be paired with the student's.
        """
        super().__init__(params, probe)
        self.adapters = nn.ModuleList(
            Adapter(pair.student_shape, pair.teacher_shape, batch_norm=params.batch_norm)
            for pair in self.pairs
        )

    def paired(self, probe: Probe) -> tuple[Pair, ...]:
        """Maps of nearly the same resolution; vectors where they are named."""
        return pair_layers(self.params, probe, ranks=(3, 1))

    def terms(self, seen: Seen) -> Mapping[str, Tensor]:
        """``hint``: the squared differences' means, summed over layers."""
        losses = [
            hint(adapter(ours), theirs)
            for adapter, (ours, theirs) in zip(self.adapters, self.compared(seen), strict=True)
        ]
        return {self.term: total(losses)}
