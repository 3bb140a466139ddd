"""Distillation without data: a generator makes the images that the student learns from."""

import math
from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from kdsweep.batch import UNLABELLED, Batch, Tokens
from kdsweep.errors import SpecError, TrialError
from kdsweep.losses.logits import kl_divergence, soft_targets
from kdsweep.losses.synthetic import (
    activation,
    class_balance,
    disagreement,
    norm_statistics,
    one_hot,
)
from kdsweep.losses.total import total
from kdsweep.spec import Settings
from kdsweep.strategies.base import (
    EpochEnd,
    Layers,
    Learner,
    Needs,
    Probe,
    Seen,
    Strategy,
    Weight,
)
from kdsweep.strategies.parts.chance import check_above_chance
from kdsweep.strategies.parts.classes import shared_classes
from kdsweep.strategies.parts.generator import Generator

_AT_CHANCE = (
    "more epochs or batches_per_epoch, another train.lr or temperature may help; if the losses of "
    "the generator look healthy, see whether data.mean, data.std and the order of the classes are "
    "those that the teacher was trained with; above_chance: null never objects"
)


class DataFree(Strategy):
    """Student: ``T^2 KL(p_t^T || p_s^T)`` on images ``G(z)`` of noise ``z``. The generator ``G``:

    ``a CE(z_t, argmax z_t) + b (log C - H(mean p_t)) - c mean |f_t| + d sum_l (|mean_l - mean| +
    |var_l - var|) - e mean_c |z_s - z_t|``: the teacher is certain, sees all classes, is excited,
    and finds at its batch norms the statistics of its training data, while the student disagrees.

    Both learn in turns, so that each loss reaches one network alone: the student from images
    without a gradient, ``student_steps`` times; then once the generator, through a student that
    does not move. No step reads the training data.

    Source: arXiv:1904.01186, arXiv:1912.11006, arXiv:1912.08795.
    """

    class Params(Settings):
        """The weights ``a`` to ``e`` of the generator's losses, its size, and whose turn it is."""

        temperature: float = Field(4.0, gt=0, le=1000)
        w_one_hot: float = Field(0.1, ge=0, le=1e6)
        w_balance: float = Field(5.0, ge=0, le=1e6)
        w_activation: float | None = Field(None, ge=0, le=1e6, description="0.1 if it can be had")
        w_statistics: float | None = Field(None, ge=0, le=1e6, description="1 if it can be had")
        w_adversarial: float = Field(1.0, ge=0, le=1e6)
        disagreement: Literal["logits", "kl"] = "logits"
        student_steps: int = Field(1, ge=1, le=1000, description="for each of the generator's")
        batches_per_epoch: int = Field(100, ge=1, le=1_000_000)
        lr: float = Field(1e-3, gt=0, le=100, description="the generator's")
        noise: int = Field(64, ge=1, le=65536, description="numbers that an image is made of")
        width: int = Field(32, ge=1, le=4096, description="the generator's channels")
        least_variety: float = Field(0.3, ge=0, lt=1, description="share of the classes")
        grace: float = Field(0.2, ge=0, le=1, description="share of training without that demand")
        above_chance: float | None = Field(
            2.0, ge=0, le=100, description="standard errors, at the end; null never objects"
        )

    needs: ClassVar[Needs] = Needs(features=True, stored=False, data=False)
    source: ClassVar[str] = "arXiv:1904.01186, arXiv:1912.11006, arXiv:1912.08795"
    params: Params

    def __init__(self, params: Params, probe: Probe) -> None:
        """Make the generator for the student's images.

        Raises:
            SpecError: there is no teacher, its classes are not the student's, one of the two does
                not read images, or a loss is given a weight that the teacher has no layer for.
        """
        super().__init__(params, probe)
        shape = _checked(params, probe)
        self.num_classes = probe.num_classes
        self.embedding = probe.teacher_embedding if params.w_activation != 0 else None
        self.norms = tuple(probe.teacher_norms) if params.w_statistics != 0 else ()
        for i, path in enumerate(self.norms):
            mean, variance = probe.teacher_norms[path]
            self.register_buffer(f"mean_{i}", mean.clone(), persistent=False)
            self.register_buffer(f"variance_{i}", variance.clone(), persistent=False)
        self.generator = Generator(shape, noise=params.noise, width=params.width)
        self._turn, self._num_made, self._progress = 0, 0, 0.0

    @property
    def layers(self) -> Layers:
        """The teacher's embedding, and what its batch norms take."""
        embedding = () if self.embedding is None else (self.embedding,)
        return Layers(teacher=(*embedding, *self.norms))

    @property
    def batches_per_epoch(self) -> int:
        """As the settings say; the turns of both networks count."""
        return self.params.batches_per_epoch

    def learners(self) -> tuple[Learner, ...]:
        """The generator."""
        return (Learner(self.generator, self.params.lr),)

    def weights(self) -> Mapping[str, Weight]:
        """``soft`` is the student's, the others are the generator's; there are no labels."""
        params = self.params
        weights = {
            "hard": 0.0,
            "soft": 1.0,
            "one_hot": params.w_one_hot,
            "balance": params.w_balance,
        }
        if self.embedding is not None:
            weights["activation"] = 0.1 if params.w_activation is None else params.w_activation
        if self.norms:
            weights["statistics"] = 1.0 if params.w_statistics is None else params.w_statistics
        if params.w_adversarial:
            weights["adversarial"] = params.w_adversarial
        return {name: Weight(value) for name, value in weights.items()}

    def made(self, num: int) -> Batch:
        """Images of fresh noise; with a gradient if it is the generator's turn.

        A turn is counted where gradients are recorded: calibration leaves no trace.
        """
        recorded = torch.is_grad_enabled()
        # The student first: what it disagrees about means nothing before it has learned.
        generators = self._turn % (self.params.student_steps + 1) == self.params.student_steps
        with torch.set_grad_enabled(recorded and generators):
            images = self.generator.drawn(num)
        self._turn += recorded
        self._num_made = num
        ids = torch.arange(num, device=images.device)
        return Batch({"images": images}, torch.full_like(ids, UNLABELLED), ids)

    def terms(self, seen: Seen) -> Mapping[str, Tensor]:
        """All terms at every step; those of the network whose turn it is have a gradient.

        ``soft`` reaches the student alone, the others nothing but the images.
        """
        self._progress = seen.progress
        images, teacher, params = seen.batch.images, seen.teacher, self.params
        ours = seen.student.logits.detach() if images.requires_grad else seen.student.logits
        terms = {
            "soft": soft_targets(ours, teacher.logits.detach(), params.temperature),
            "one_hot": one_hot(teacher.logits),
            "balance": class_balance(teacher.logits),
        }
        if self.embedding is not None:
            terms["activation"] = activation(teacher.features[self.embedding])
        if self.norms:
            apart = [
                norm_statistics(teacher.features[path], *self._statistics(i))
                for i, path in enumerate(self.norms)
            ]
            terms["statistics"] = total(apart)
        if params.w_adversarial:
            kinds = {"logits": disagreement, "kl": kl_divergence}
            apart_by = kinds[params.disagreement](seen.student.logits, teacher.logits)
            terms["adversarial"] = _through(-apart_by, images)
        return terms

    def check(self, end: EpochEnd) -> None:
        """Look at the generator's images, and after the last epoch at the student's accuracy.

        Raises:
            TrialError: the generator has collapsed, or the student is at chance.
        """
        self._check_variety(end)
        if self.params.above_chance is not None:
            check_above_chance(end, self.params.above_chance, advice=_AT_CHANCE)

    def _check_variety(self, end: EpochEnd) -> None:
        """Compare the classes that the teacher tells apart in an epoch's batches with the least.

        ``exp(H(mean p) + log max p)``, means over the epoch: all that a batch can show where each
        image is surely of one class and the classes come equally often; one where all images are
        of the same class, and one where the teacher recognises none.

        Raises:
            TrialError: there are fewer, after the grace: the generator has collapsed.
        """
        most = min(self.num_classes, self._num_made)
        least = 1 + self.params.least_variety * (most - 1)
        if self._progress < self.params.grace or least == 1:
            return
        certainty = math.exp(-end.means["one_hot"])
        even = self.num_classes * math.exp(-end.means["balance"])
        told_apart = even * certainty
        if told_apart < least:
            raise TrialError(
                f"epoch {end.epoch}: the generator has collapsed: its images show the teacher "
                f"{told_apart:.1f} of {self.num_classes} classes, and the least is {least:.1f} "
                f"(classes by how evenly they come: {even:.1f}, the teacher's certainty "
                f"{certainty:.2f}); a larger w_balance or w_one_hot, a smaller "
                "w_adversarial or lr may help, or a smaller least_variety if all is as it should be"
            )

    def get_extra_state(self) -> Tensor:
        """How many turns there were. No buffer: to read one from a GPU would halt every step."""
        return torch.tensor(self._turn)

    def set_extra_state(self, state: Tensor) -> None:
        """Go on with the turn that is next."""
        self._turn = int(state)

    def _statistics(self, i: int) -> tuple[Tensor, Tensor]:
        return self.get_buffer(f"mean_{i}"), self.get_buffer(f"variance_{i}")


def _through(term: Tensor, images: Tensor) -> Tensor:
    """``term`` ``[N]`` with the gradient that it has to ``images``, and to nothing else.

    The student takes part in what it is measured by: its weights must not follow the generator's.
    """
    if not images.requires_grad:
        return term.detach()
    (slope,) = torch.autograd.grad(term.sum(), images, retain_graph=True)
    return term.detach() + ((images - images.detach()) * slope).flatten(1).sum(dim=1)


def _checked(params: DataFree.Params, probe: Probe) -> tuple[int, int, int]:
    """The shape of the images; raises ``SpecError`` with every problem."""
    shared_classes(probe)
    problems = []
    shape = probe.shape
    if shape is None or isinstance(shape, Tokens):
        problems.append(
            f"data_free makes images, and the student reads {shape}: use another strategy"
        )
    if isinstance(probe.teacher_shape, Tokens):
        problems.append(
            f"data_free makes images, and the teacher reads {probe.teacher_shape}: use another "
            "teacher"
        )
    if params.w_activation and probe.teacher_embedding is None:
        problems.append(
            f"w_activation: {params.w_activation} is not allowed: the teacher's logits do not come "
            "of a linear layer, so that it has no embedding; leave it out"
        )
    if params.w_statistics and not probe.teacher_norms:
        problems.append(
            f"w_statistics: {params.w_statistics} is not allowed: the teacher has no batch norms; "
            "leave it out, or use a teacher with batch norms"
        )
    if problems:
        raise SpecError(problems)
    assert isinstance(shape, tuple)
    return shape
