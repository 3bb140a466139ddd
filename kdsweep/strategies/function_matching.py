"""Function matching: a patient and consistent teacher, on mixtures of images."""

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from kdsweep.batch import Batch, Tokens
from kdsweep.errors import SpecError
from kdsweep.losses.logits import soft_targets
from kdsweep.spec import Settings
from kdsweep.strategies.base import Needs, Probe, Seen, Strategy, Weight
from kdsweep.strategies.parts.classes import shared_classes


class FunctionMatching(Strategy):
    """``L = T^2 KL(p_t^T || p_s^T)`` of ``lambda x_i + (1 - lambda) x_j``: no labels at all.

    Both networks see the same mixture (mixup, arXiv:1710.09412): each example's partner and its
    ``lambda``, from ``Beta(mixup, mixup)``, are drawn anew in every batch, so that the student
    follows the teacher between the examples too. It takes long training to pay.

    Source: arXiv:2106.05237.
    """

    class Params(Settings):
        """Softening of both networks, and how evenly images are mixed."""

        temperature: float = Field(1.0, gt=0, le=1000)
        mixup: float = Field(1.0, ge=0.05, le=100, description="both parameters of the Beta")

    needs: ClassVar[Needs] = Needs(stored=False)
    source: ClassVar[str] = "arXiv:2106.05237"
    params: Params

    def __init__(self, params: Params, probe: Probe) -> None:
        """Check that there are images to mix, and the classes.

        Raises:
            SpecError: a network reads text, there is no teacher, or its classes are not the
                student's.
        """
        super().__init__(params, probe)
        shared_classes(probe)
        for network, shape in (("student", probe.shape), ("teacher", probe.teacher_shape)):
            if isinstance(shape, Tokens):
                raise SpecError(
                    f"images are mixed, and the {network} reads {shape}: no text lies between two "
                    "others; use strategy kd with alpha: 0"
                )

    def weights(self) -> Mapping[str, Weight]:
        """Nothing for the labels."""
        return {"hard": Weight(0.0), "soft": Weight(1.0)}

    def changed(self, batch: Batch) -> Batch:
        """Every image mixed with another of the batch; labels and ids remain the first one's."""
        images = batch.images
        partner = torch.randperm(len(images), device=images.device)
        evenness = images.new_full((len(images), 1, 1, 1), self.params.mixup, dtype=torch.float32)
        share = torch.distributions.Beta(evenness, evenness).sample().to(images.dtype)
        # Nothing but the mixture: another input of the same example would be of one of the two.
        return replace(batch, inputs={"images": torch.lerp(images[partner], images, share)})

    def terms(self, seen: Seen) -> Mapping[str, Tensor]:
        """``soft``: ``T^2 KL`` of the softened logits."""
        ours, theirs = seen.student.logits, seen.teacher.logits
        return {"soft": soft_targets(ours, theirs, self.params.temperature)}
