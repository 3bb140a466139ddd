"""Contrastive representation distillation: an example is told from all others by the teacher."""

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from kdsweep.batch import UNLABELLED
from kdsweep.errors import SpecError
from kdsweep.losses.contrastive import log_sum_exp, nce, similarities
from kdsweep.losses.directions import directions
from kdsweep.losses.precision import full_precision
from kdsweep.strategies.base import Layers, Needs, Probe, Seen, Strategy, Weight
from kdsweep.strategies.parts.readout import student_readout, teacher_readout
from kdsweep.strategies.parts.weighting import TermWeight


class ContrastiveDistillation(Strategy):
    """``L = CE + w [nce(v_s, bank_t) + nce(v_t, bank_s)]``: each against the other's memory.

    Both embeddings go through a linear layer of their own to ``D`` numbers and are brought to
    length one. A bank of each network remembers one such vector of every training example, renewed
    where the example is seen: ``b <- l2norm(momentum b + (1 - momentum) v)``. Each example is to be
    told by its own entry in the other network's bank from ``K`` entries of others
    (``losses.contrastive.nce``). Banks are part of a checkpoint: ``2 n D`` numbers for ``n``
    training examples, alike on every worker.

    Negatives are drawn anew for each example, on the device, with replacement; never the example
    itself. With ``K >= n - 1`` all others are taken, each once. ``of_other_classes`` leaves out
    those that are known to be of the example's class, as the published code does; a class is known
    when the example has been seen with a label. At K = 16,384 and D = 128 a step of 64 examples
    holds for each bank of 50,000 the products with all entries, 13 MB, not the 537 MB of the rows
    drawn.

    Source: arXiv:1910.10699.
    """

    class Params(TermWeight):
        """How many negatives, the sharpness, the memory, and what is compared."""

        negatives: int = Field(16384, ge=1, le=1_000_000, description="per example")
        negatives_are: Literal["of_other_classes", "others"] = "of_other_classes"
        temperature: float = Field(0.07, gt=0, le=100)
        momentum: float = Field(0.5, ge=0, lt=1, description="of a bank's entry when it is renewed")
        dimension: int = Field(128, ge=1, le=65536, description="of what is compared")
        student_layer: str | None = Field(None, min_length=1, description="the embedding, if null")
        teacher_layer: str | None = Field(None, min_length=1, description="likewise")

    needs: ClassVar[Needs] = Needs(features=True)
    source: ClassVar[str] = "arXiv:1910.10699"
    kept_equal: ClassVar[tuple[str, ...]] = ("student_bank", "teacher_bank", "labels")
    params: Params
    student_bank: Tensor
    teacher_bank: Tensor
    labels: Tensor
    log_means: Tensor

    def __init__(self, params: Params, probe: Probe) -> None:
        """Make the two linear layers, and banks of random directions.

        Raises:
            SpecError: there is no teacher, no embedding, or nothing to be told apart.
        """
        super().__init__(params, probe)
        self.student = student_readout(probe, params.student_layer)
        self.teacher = teacher_readout(probe, params.teacher_layer)
        if probe.num_samples < 2:
            raise SpecError(
                f"there are {probe.num_samples} training examples, and each is told from the "
                "others: needs 2 or more; raise data.limit, or leave crd out where the main "
                "strategy makes its own examples (data_free)"
            )
        self.student_projection = nn.Linear(self.student.width, params.dimension)
        self.teacher_projection = nn.Linear(self.teacher.width, params.dimension)
        for bank in ("student_bank", "teacher_bank"):
            entries = torch.randn(probe.num_samples, params.dimension)
            self.register_buffer(bank, directions(entries))
        self.register_buffer("labels", torch.full((probe.num_samples,), UNLABELLED))
        # Of the first training batch, for either direction: infinite until then.
        self.register_buffer("log_means", torch.full((2,), torch.inf))
        self._measured = False
        self.register_load_state_dict_post_hook(_note_loaded_means)  # type: ignore[no-untyped-call]

    @property
    def layers(self) -> Layers:
        """Where both networks are compared."""
        return Layers((self.student.path,), (self.teacher.path,))

    def weights(self) -> Mapping[str, Weight]:
        """The hard-label loss as it is, and the weight of the contrast."""
        return {"hard": Weight(1.0), "contrast": self.params.term_weight}

    def terms(self, seen: Seen) -> Mapping[str, Tensor]:
        """``contrast``: the sum of both directions. With gradients on, the banks are renewed."""
        ours = _directions(self.student_projection, self.student.of(seen.student, seen.batch))
        theirs = _directions(self.teacher_projection, self.teacher.of(seen.teacher, seen.batch))
        entries = self._entries(seen.batch.ids)
        counted = self._counted(entries, seen.batch.labels)
        both = [
            similarities(anchors, bank, entries) / self.params.temperature
            for anchors, bank in ((ours, self.teacher_bank), (theirs, self.student_bank))
        ]
        log_means = self._log_means(both, counted, seen)
        losses = [
            nce(scores[:, 0], scores[:, 1:], log_mean, counted)
            for scores, log_mean in zip(both, log_means, strict=True)
        ]
        if torch.is_grad_enabled():
            self._remember(ours, theirs, seen)
        return {"contrast": losses[0] + losses[1]}

    def _entries(self, ids: Tensor) -> Tensor:
        """``[N, 1 + K]``: each example's own entry, then those that it is told from."""
        num_others = len(self.labels) - 1
        shape = (len(ids), min(self.params.negatives, num_others))
        if shape[1] == num_others:
            drawn = torch.arange(num_others, device=ids.device).expand(shape)
        else:
            drawn = torch.randint(num_others, shape, device=ids.device)
        own = ids.unsqueeze(1)
        # Numbers from the own one upwards stand for the next: all others are equally likely.
        return torch.cat((own, drawn + (drawn >= own)), dim=1)

    def _counted(self, entries: Tensor, labels: Tensor) -> Tensor:
        """``[N, K]``: which of the negatives are such."""
        others = entries[:, 1:]
        if self.params.negatives_are == "others":
            return torch.ones_like(others, dtype=torch.bool)
        theirs = self.labels[others]
        return (theirs != labels.unsqueeze(1)) | (theirs == UNLABELLED)

    def _log_means(self, both: list[Tensor], counted: Tensor, seen: Seen) -> Tensor:
        """Of the first batch that is trained on; until then of the batch at hand. ``[2]``."""
        if self._measured:
            return self.log_means
        found = []
        with torch.no_grad():
            for scores in both:
                sums, numbers = log_sum_exp(scores[:, 0], scores[:, 1:], counted)
                total = torch.logsumexp(seen.gather(sums), dim=0)
                found.append(total - seen.gather(numbers).sum().log())
        measured = torch.stack(found)
        if torch.is_grad_enabled():
            self.log_means.copy_(measured)
            self._measured = True
        return measured

    @torch.no_grad()
    def _remember(self, student: Tensor, teacher: Tensor, seen: Seen) -> None:
        """Renew the entries of the examples of all workers."""
        ids, labels = seen.gather(torch.stack((seen.batch.ids, seen.batch.labels), dim=1)).T
        vectors = seen.gather(torch.cat((student, teacher), dim=1)).chunk(2, dim=1)
        momentum = self.params.momentum
        for bank, new in zip((self.student_bank, self.teacher_bank), vectors, strict=True):
            bank[ids] = directions(momentum * bank[ids] + (1 - momentum) * new)
        self.labels[ids] = labels


def _directions(projection: nn.Module, vectors: Tensor) -> Tensor:
    return directions(full_precision(projection(vectors)))


def _note_loaded_means(strategy: nn.Module, _incompatible: object) -> None:
    """A loaded strategy goes on with the means that the saved one had measured."""
    assert isinstance(strategy, ContrastiveDistillation)
    strategy._measured = bool(strategy.log_means.isfinite().all())
