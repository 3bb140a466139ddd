"""Cross-modal distillation: the teacher sees an example in one modality, the student in another."""

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from kdsweep.losses.embeddings import direction_mse, info_nce
from kdsweep.losses.logits import soft_targets
from kdsweep.strategies.base import Layers, Needs, Probe, Seen, Strategy, Weight
from kdsweep.strategies.parts.classes import shared_classes
from kdsweep.strategies.parts.readout import student_readout, teacher_readout
from kdsweep.strategies.parts.weighting import TermWeight


class CrossModal(Strategy):
    """``L = alpha CE + (1 - alpha) T^2 KL + w MSE(l2norm(W e_s), l2norm(e_t)) + v InfoNCE``.

    ``e`` are the embeddings of both networks, the student's brought to the teacher's width by a
    linear layer ``W`` that is trained and dropped. Each network takes its own modality out of the
    same batch: the data must come in both. Where both read the same, this is distillation of
    embeddings. The contrast, off by default, is with the other examples of a worker's batch.

    Source: arXiv:2307.12732.
    """

    class Params(TermWeight):
        """Weights of the embeddings, of the logits and of the contrast, and what is compared."""

        temperature: float = Field(4.0, gt=0, le=1000)
        alpha: float = Field(0.5, ge=0, le=1, description="weight of the hard-label loss")
        w_contrast: float = Field(0.0, ge=0, description="as it is; 0: there is none")
        contrast_temperature: float = Field(0.07, ge=0.001, le=100, description="at the start")
        learn_contrast_temperature: bool = Field(True, description="of the contrast")
        student_layer: str | None = Field(None, min_length=1, description="the embedding, if null")
        teacher_layer: str | None = Field(None, min_length=1, description="likewise")

    needs: ClassVar[Needs] = Needs(features=True)
    source: ClassVar[str] = "arXiv:2307.12732"
    params: Params
    log_temperature: Tensor

    def __init__(self, params: Params, probe: Probe) -> None:
        """Make the student's linear layer.

        Raises:
            SpecError: there is no teacher, its classes are not the student's, or there is no
                embedding.
        """
        super().__init__(params, probe)
        shared_classes(probe)
        self.student = student_readout(probe, params.student_layer)
        self.teacher = teacher_readout(probe, params.teacher_layer)
        self.projection = nn.Linear(self.student.width, self.teacher.width)
        if params.w_contrast > 0:
            start = torch.tensor(math.log(params.contrast_temperature))
            if params.learn_contrast_temperature:
                self.log_temperature = nn.Parameter(start)
            else:
                self.register_buffer("log_temperature", start)

    @property
    def layers(self) -> Layers:
        """Where both networks are compared."""
        return Layers((self.student.path,), (self.teacher.path,))

    def weights(self) -> Mapping[str, Weight]:
        """``alpha`` and ``1 - alpha``, the embeddings' weight, and that of the contrast if any."""
        params = self.params
        weights = {
            "hard": Weight(params.alpha),
            "soft": Weight(1 - params.alpha),
            "embedding": params.term_weight,
        }
        if params.w_contrast > 0:
            weights["contrast"] = Weight(params.w_contrast)
        return weights

    def terms(self, seen: Seen) -> Mapping[str, Tensor]:
        """``soft``, ``embedding``, and ``contrast`` where it has a weight."""
        ours = self.projection(self.student.of(seen.student, seen.batch))
        theirs = self.teacher.of(seen.teacher, seen.batch)
        logits = seen.teacher.logits
        terms = {
            "soft": soft_targets(seen.student.logits, logits, self.params.temperature),
            "embedding": direction_mse(ours, theirs),
        }
        if self.params.w_contrast > 0:
            terms["contrast"] = info_nce(ours, theirs, self._temperature())
        return terms

    def _temperature(self) -> Tensor:
        # Not below 0.01: sharper still, a learnt temperature runs away (arXiv:2103.00020).
        least = math.log(min(0.01, self.params.contrast_temperature))
        return self.log_temperature.clamp(min=least).exp()
