"""A strategy of one term: a loss between layers of both networks, summed over pairs of them."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from kdsweep.strategies.base import Layers, Needs, Probe, Seen, Strategy, Weight
from kdsweep.strategies.parts.pairing import Pair, layers_of
from kdsweep.strategies.parts.weighting import TermWeight


class PairedTerm(Strategy):
    """``L = CE + w sum_l loss(f_s, f_t)``, with the features of a pair of layers.

    A subclass says what the term is called, which layers are paired, and gives the term; its
    settings are a ``TermWeight`` and whatever it pairs by.
    """

    needs: ClassVar[Needs] = Needs(features=True)
    term: ClassVar[str]
    """The name of the term."""
    params: TermWeight

    def __init__(self, params: TermWeight, probe: Probe) -> None:
        """Pair the layers.

        Raises:
            SpecError: there is no teacher, or its layers cannot be paired with the student's.
        """
        super().__init__(params, probe)
        self.pairs = self.paired(probe)

    @abstractmethod
    def paired(self, probe: Probe) -> tuple[Pair, ...]:
        """The pairs of layers that the settings ask for.

        Raises:
            SpecError: there are none, or they cannot be compared.
        """

    def compared(self, seen: Seen) -> list[tuple[Tensor, Tensor]]:
        """The features of each pair: the student's, and the teacher's."""
        ours, theirs = seen.student.features, seen.teacher.features
        return [(ours[pair.student], theirs[pair.teacher]) for pair in self.pairs]

    @property
    def layers(self) -> Layers:
        """The paired layers."""
        return layers_of(self.pairs)

    def weights(self) -> Mapping[str, Weight]:
        """The hard-label loss as it is, and the weight of the term."""
        return {"hard": Weight(1.0), self.term: self.params.term_weight}
