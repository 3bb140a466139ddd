"""Knowledge distillation by softened logits (Hinton, Vinyals, Dean)."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field, model_validator
from torch import Tensor

from kdsweep.batch import Batch, Outputs
from kdsweep.errors import SpecError
from kdsweep.losses.logits import soft_targets
from kdsweep.spec import Settings
from kdsweep.strategies.base import Needs, Probe, Strategy, Weight, present, probed_teacher


class KnowledgeDistillation(Strategy):
    """``L = alpha CE + (1 - alpha) T^2 KL(p_t^T || p_s^T)``: the teacher's softened classes.

    alpha is the weight of the hard-label loss; libraries disagree. ``w_ce`` and ``w_kd`` replace
    ``alpha`` and ``1 - alpha`` by weights that need not sum to one.
    """

    class Params(Settings):
        """Softening of both networks, and the hard label's share of the loss."""

        temperature: float = Field(4.0, gt=0, le=1000)
        alpha: float = Field(0.1, ge=0, le=1, description="weight of the hard-label loss")
        w_ce: float | None = Field(None, ge=0, description="weight of CE, in place of alpha")
        w_kd: float | None = Field(None, ge=0, description="weight of KD, in place of 1 - alpha")

        @model_validator(mode="after")
        def _one_way_of_weighting(self) -> "KnowledgeDistillation.Params":
            if (self.w_ce is None) != (self.w_kd is None):
                missing = "w_ce" if self.w_ce is None else "w_kd"
                raise ValueError(f"w_ce and w_kd go together: {missing} is missing")
            if self.w_ce is not None and "alpha" in self.model_fields_set:
                raise ValueError("give either alpha, or w_ce and w_kd, not both")
            return self

    needs: ClassVar[Needs] = Needs()
    source: ClassVar[str] = "arXiv:1503.02531"
    params: Params

    def __init__(self, params: Params, probe: Probe) -> None:
        """Check that both networks tell the same number of classes apart.

        Raises:
            SpecError: there is no teacher, or its classes are not the student's.
        """
        super().__init__(params, probe)
        ours, theirs = probe.student.logits.shape[-1], probed_teacher(probe).logits.shape[-1]
        if ours != theirs:
            raise SpecError(
                f"the student has {ours} classes and the teacher {theirs}: softened logits can "
                "only be compared over the same classes; use a teacher trained on this data set"
            )

    def weights(self) -> Mapping[str, Weight]:
        """``alpha`` and ``1 - alpha``, or the two untied weights."""
        params = self.params
        if params.w_ce is not None and params.w_kd is not None:
            return {"hard": Weight(params.w_ce), "soft": Weight(params.w_kd)}
        return {"hard": Weight(params.alpha), "soft": Weight(1 - params.alpha)}

    def terms(
        self, batch: Batch, student: Outputs, teacher: Outputs | None
    ) -> Mapping[str, Tensor]:
        """``soft``: ``T^2 KL`` of the softened logits."""
        logits = present(teacher).logits
        return {"soft": soft_targets(student.logits, logits, self.params.temperature)}
