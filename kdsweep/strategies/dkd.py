"""Decoupled knowledge distillation: the target class, and the others among themselves."""

from collections.abc import Mapping
from functools import partial
from typing import ClassVar

from pydantic import Field
from torch import Tensor

from kdsweep.errors import SpecError
from kdsweep.losses.decoupled import non_target_divergence, target_divergence
from kdsweep.losses.logits import at_temperature
from kdsweep.losses.standardise import standardise
from kdsweep.spec import Settings
from kdsweep.strategies.base import Needs, Probe, Seen, Strategy, Weight
from kdsweep.strategies.parts.classes import shared_classes
from kdsweep.strategies.parts.weighting import warmed_up


class DecoupledDistillation(Strategy):
    """``L = CE + min(t / warmup, 1) T^2 (w_target TCKD + w_non_target NCKD)``.

    TCKD is the divergence of (target, all the rest) as two classes, NCKD that of the softmax over
    the classes but the target. In plain distillation NCKD has the weight ``1 - p_y``, and vanishes
    where the teacher is sure. ``t`` is the share of training done. The target of an example without
    a label is the teacher's most likely class. ``standardise`` as in ``kd`` (arXiv:2403.01427).

    Source: arXiv:2203.08679.
    """

    class Params(Settings):
        """Weights of the two parts, their softening, and the share of training that warms up."""

        w_target: float = Field(1.0, ge=0, description="alpha of the paper, weight of TCKD")
        w_non_target: float = Field(8.0, ge=0, description="beta of the paper, weight of NCKD")
        temperature: float = Field(4.0, gt=0, le=1000)
        warmup: float = Field(0.083, ge=0, le=1, description="share of training; 20 epochs of 240")
        standardise: bool = False

    needs: ClassVar[Needs] = Needs()
    source: ClassVar[str] = "arXiv:2203.08679"
    params: Params

    def __init__(self, params: Params, probe: Probe) -> None:
        """Check the classes.

        Raises:
            SpecError: there is no teacher, its classes are not the student's, or only two.
        """
        super().__init__(params, probe)
        num_classes = shared_classes(probe)
        if num_classes < 3:
            raise SpecError(
                f"of {num_classes} classes one alone is not the target, and nothing is to be "
                "learned from how the others compare: needs 3 classes or more; use strategy kd"
            )

    def weights(self) -> Mapping[str, Weight]:
        """The hard-label loss as it is, and the weights of the two parts."""
        return {
            "hard": Weight(1.0),
            "target": Weight(self.params.w_target),
            "non_target": Weight(self.params.w_non_target),
        }

    def factors(self, progress: float) -> Mapping[str, float]:
        """Both parts rise from nothing during the warm-up."""
        risen = warmed_up(progress, self.params.warmup)
        return {"target": risen, "non_target": risen}

    def terms(self, seen: Seen) -> Mapping[str, Tensor]:
        """``target`` and ``non_target``: ``T^2 TCKD`` and ``T^2 NCKD``."""
        ours, theirs = seen.student.logits, seen.teacher.logits
        if self.params.standardise:
            ours, theirs = standardise(ours), standardise(theirs)
        parts = {"target": target_divergence, "non_target": non_target_divergence}
        return {
            name: at_temperature(
                partial(part, labels=seen.batch.labels), ours, theirs, self.params.temperature
            )
            for name, part in parts.items()
        }
