"""Relational knowledge distillation: distances and angles between examples."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field, model_validator
from torch import Tensor

from kdsweep.losses.relations import angle_relations, distance_relations
from kdsweep.losses.total import total
from kdsweep.strategies.base import Probe, Seen
from kdsweep.strategies.parts.paired_term import PairedTerm
from kdsweep.strategies.parts.pairing import Pair
from kdsweep.strategies.parts.related import RelatedLayers, relate_layers
from kdsweep.strategies.parts.weighting import TermWeight


class RelationalDistillation(PairedTerm):
    """``L = CE + w sum_l (25 mean SmoothL1(d / mean d) + 50 mean SmoothL1(cos angles))``.

    ``d`` are the distances of all pairs of examples, the angles those of all triplets: for both the
    networks' embeddings may be of any sizes. The two weights are ``w_distance`` and
    ``w_angle``; published code takes ``w = 1``. The angles of a batch of N take memory for
    N^3 numbers several times over: ``w_angle: 0`` leaves them out. With several workers per
    trial each relates the examples of its own share of the batch.

    Source: arXiv:1904.05068.
    """

    class Params(TermWeight, RelatedLayers):
        """Weights of both relations, and where they are read: by default the embeddings."""

        w_distance: float = Field(25.0, ge=0)
        w_angle: float = Field(50.0, ge=0)

        @model_validator(mode="after")
        def _something_to_learn(self) -> "RelationalDistillation.Params":
            if self.w_distance == self.w_angle == 0:
                raise ValueError(
                    "w_distance and w_angle are both 0: nothing is left to learn; "
                    "give one of them, or use strategy none"
                )
            return self

    source: ClassVar[str] = "arXiv:1904.05068"
    term: ClassVar[str] = "relation"
    params: Params

    def paired(self, probe: Probe) -> tuple[Pair, ...]:
        """The layers whose examples are related."""
        return relate_layers(self.params, probe)

    def terms(self, seen: Seen) -> Mapping[str, Tensor]:
        """``relation``: distances and angles by their weights, summed over layers."""
        return {self.term: total(self._relations(*each) for each in self.compared(seen))}

    def _relations(self, student: Tensor, teacher: Tensor) -> Tensor:
        relations = {
            distance_relations: self.params.w_distance,
            angle_relations: self.params.w_angle,
        }
        return total(
            weight * loss(student, teacher) for loss, weight in relations.items() if weight
        )
