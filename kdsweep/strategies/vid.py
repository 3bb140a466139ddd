"""Variational information distillation: what the student tells of the teacher's features."""

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from kdsweep.losses.total import total
from kdsweep.losses.variational import scale_of, variational_information
from kdsweep.strategies.base import Probe, Seen
from kdsweep.strategies.parts.adapters import to_smaller
from kdsweep.strategies.parts.paired_term import PairedTerm
from kdsweep.strategies.parts.pairing import Pair, PairedLayers, pair_layers
from kdsweep.strategies.parts.weighting import TermWeight


class VariationalInformation(PairedTerm):
    """``L = CE + w sum_l 1/2 mean [(mu(f_s) - f_t)^2 / var + log var]``.

    ``mu`` is three 1x1 convolutions (for vectors linear layers) with ReLUs between them, of the
    teacher's number of channels; ``var = softplus(scale) + 1e-5`` is learnt for each of the
    teacher's channels, with the student. Where height or width differ, the larger map is averaged
    to the smaller. The term is the sum over layers, so that a raw weight is each layer's; published
    code takes 1. It may fall below zero.

    Source: arXiv:1904.05835.
    """

    class Params(TermWeight, PairedLayers):
        """Weight of the information, its layers (by default all stages), and the first variance."""

        hint: Literal["middle", "last", "all"] = "all"
        initial_variance: float = Field(5.0, ge=1e-4, le=1e4)

    source: ClassVar[str] = "arXiv:1904.05835"
    term: ClassVar[str] = "information"
    params: Params

    def __init__(self, params: Params, probe: Probe) -> None:
        """Pair the layers and make a Gaussian for each pair.

        Raises:
            SpecError: there is no teacher, or its layers cannot be paired with the student's.
        """
        super().__init__(params, probe)
        self.gaussians = nn.ModuleList(
            Gaussian(pair, initial_variance=params.initial_variance) for pair in self.pairs
        )

    def paired(self, probe: Probe) -> tuple[Pair, ...]:
        """Maps of nearly the same resolution; vectors where they are named."""
        return pair_layers(self.params, probe, ranks=(3, 1))

    def terms(self, seen: Seen) -> Mapping[str, Tensor]:
        """``information``: the teacher's features under the Gaussians, summed over layers."""
        return {
            self.term: total(
                gaussian(*each)
                for gaussian, each in zip(self.gaussians, self.compared(seen), strict=True)
            )
        }


class Gaussian(nn.Module):
    """The teacher's features given the student's: a mean predicted, a variance learnt."""

    def __init__(self, pair: Pair, *, initial_variance: float) -> None:
        """Take the number of channels from the pair's shapes."""
        super().__init__()
        ours, theirs = pair.student_shape[0], pair.teacher_shape[0]
        maps = len(pair.student_shape) > 1
        self.mean = nn.Sequential(
            _mixing(ours, theirs, maps),
            nn.ReLU(),
            _mixing(theirs, theirs, maps),
            nn.ReLU(),
            _mixing(theirs, theirs, maps),
        )
        self.scale = nn.Parameter(torch.full((theirs,), scale_of(initial_variance)))

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        """The loss of features ``[N, D, H, W]`` or ``[N, D]``, per example ``[N]``."""
        student, teacher = to_smaller(student, teacher)
        return variational_information(self.mean(student), self.scale, teacher)


def _mixing(inputs: int, outputs: int, maps: bool) -> nn.Module:
    """Channels mixed at each pixel on its own; without a bias, as published code has it."""
    if maps:
        return nn.Conv2d(inputs, outputs, 1, bias=False)
    return nn.Linear(inputs, outputs, bias=False)
