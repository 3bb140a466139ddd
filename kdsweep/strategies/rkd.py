"""Relational knowledge distillation: distances and angles between examples."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field, model_validator
from torch import Tensor

from kdsweep.losses.relations import angle_relations, distance_relations
from kdsweep.strategies.base import Layers, Needs, Probe, Seen, Strategy, Weight
from kdsweep.strategies.parts.pairing import layers_of, summed
from kdsweep.strategies.parts.related import RelatedLayers, relate_layers
from kdsweep.strategies.parts.weighting import TermWeight


class RelationalDistillation(Strategy):
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

    needs: ClassVar[Needs] = Needs(features=True)
    source: ClassVar[str] = "arXiv:1904.05068"
    params: Params

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
        """The hard-label loss as it is, and the weight of both relations together."""
        return {"hard": Weight(1.0), "relation": self.weight}

    def terms(self, seen: Seen) -> Mapping[str, Tensor]:
        """``relation``: distances and angles by their weights, summed over layers."""
        return {"relation": summed(self.pairs, seen, self._relations)}

    def _relations(self, student: Tensor, teacher: Tensor) -> Tensor:
        relations = {
            distance_relations: self.params.w_distance,
            angle_relations: self.params.w_angle,
        }
        parts = [weight * loss(student, teacher) for loss, weight in relations.items() if weight]
        return sum(parts[1:], start=parts[0])
