"""Knowledge distillation by softened logits (Hinton, Vinyals, Dean)."""

from collections.abc import Callable, Mapping
from typing import ClassVar, Literal

from pydantic import model_validator
from torch import Tensor

from kdsweep.losses.distances import (
    jensen_shannon,
    logit_mse,
    reverse_kl_divergence,
    soft_cross_entropy,
)
from kdsweep.losses.logits import at_temperature, kl_divergence
from kdsweep.losses.standardise import standardise
from kdsweep.strategies.base import Needs, Probe, Seen, Strategy, Weight
from kdsweep.strategies.parts.classes import check_standardised, shared_classes
from kdsweep.strategies.parts.softening import Softening

_SOFTENED: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "kl": kl_divergence,
    "soft_cross_entropy": soft_cross_entropy,
    "reverse_kl": reverse_kl_divergence,
    "jensen_shannon": jensen_shannon,
}


class KnowledgeDistillation(Strategy):
    """``L = alpha CE + (1 - alpha) T^2 KL(p_t^T || p_s^T)``: the teacher's softened classes.

    alpha is the weight of the hard-label loss; libraries disagree. ``distance`` puts another
    distance in the place of KL: with the factor ``T^2`` where it is one of softened probabilities,
    and without where it is of the logits as they are, ``mse``. ``standardise`` brings the logits of
    both networks to mean zero and deviation one first (LSKD, arXiv:2403.01427).

    Source: arXiv:1503.02531.
    """

    class Params(Softening):
        """Softening of both networks, their distance, and the hard label's share of the loss."""

        distance: Literal["kl", "soft_cross_entropy", "reverse_kl", "jensen_shannon", "mse"] = "kl"
        standardise: bool = False

        @model_validator(mode="after")
        def _a_temperature_only_where_there_is_one(self) -> "KnowledgeDistillation.Params":
            given = "temperature" in self.model_fields_set or self.temperature_end is not None
            if self.distance == "mse" and given:
                raise ValueError(
                    "distance: mse compares the logits as they are: leave the temperature out, "
                    "or choose another distance"
                )
            return self

    needs: ClassVar[Needs] = Needs()
    source: ClassVar[str] = "arXiv:1503.02531"
    params: Params

    def __init__(self, params: Params, probe: Probe) -> None:
        """Check that both networks tell the same number of classes apart.

        Raises:
            SpecError: there is no teacher, its classes are not the student's, or there are too few
                to be standardised.
        """
        super().__init__(params, probe)
        num_classes = shared_classes(probe)
        if params.standardise:
            check_standardised(num_classes)

    def weights(self) -> Mapping[str, Weight]:
        """``alpha`` and ``1 - alpha``, or the two untied weights."""
        return self.params.weights()

    def factors(self, progress: float) -> Mapping[str, float]:
        """``alpha`` and ``1 - alpha`` where they move."""
        return self.params.factors(progress)

    def terms(self, seen: Seen) -> Mapping[str, Tensor]:
        """``soft``: ``T^2`` times the distance of the softened logits, or that of the logits."""
        ours, theirs = seen.student.logits, seen.teacher.logits
        if self.params.standardise:
            ours, theirs = standardise(ours), standardise(theirs)
        if self.params.distance == "mse":
            return {"soft": logit_mse(ours, theirs)}
        temperature = self.params.temperature_at(seen.progress)
        return {"soft": at_temperature(_SOFTENED[self.params.distance], ours, theirs, temperature)}
