"""Whether an exported network says what the student says, and how often it is right."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kdsweep.data.base import Split
from kdsweep.errors import ResultError
from kdsweep.export.inputs import Contract, Samples, samples

Runner = Callable[[Tensor], Tensor]
"""Logits ``[N, C]`` of what an exported network takes ``[N, ...]``."""

BATCH = 64
_ALONE = 8
"""Samples that are also asked for one by one."""
_UNEVEN = 5
ABSOLUTE, RELATIVE = 1e-4, 1e-4


@dataclass(frozen=True)
class Agreement:
    """How far the logits of a file were from the student's on validation samples.

    ``same_class`` is the share of samples whose most likely class is the same, ``tolerance`` the
    largest difference that was let pass: 0.0001 plus as much of the largest logit of a batch.
    """

    samples: int
    batch_sizes: tuple[int, ...]
    max_difference: float
    tolerance: float
    same_class: float


@dataclass(frozen=True)
class Quality:
    """Accuracy (0..1) and cross-entropy in nats on the validation split."""

    accuracy: float
    loss: float
    samples: int


class Tally:
    """Adds up what one network says of batches, beside what the student says."""

    def __init__(self) -> None:
        self._correct = self._same = self._samples = 0
        self._loss = 0.0
        self.max_difference = self.tolerance = 0.0
        self.sizes: set[int] = set()
        self.disagrees = ""
        self.is_finite = True

    def add(self, found: Tensor, batch: Samples) -> None:
        """A batch's logits ``[N, C]``, and the batch."""
        if found.shape != batch.logits.shape:
            self.disagrees = self.disagrees or (
                f"its output is {list(found.shape)}, the student's is {list(batch.logits.shape)}"
            )
            return
        self._samples += len(found)
        self._correct += int((found.argmax(dim=1) == batch.labels).sum())
        self._loss += float(F.cross_entropy(found.double(), batch.labels, reduction="sum"))
        self._same += int((found.argmax(dim=1) == batch.logits.argmax(dim=1)).sum())
        self.compare(found, batch.logits)

    def compare(self, found: Tensor, wanted: Tensor) -> None:
        """The largest difference of logits, kept; what is no number agrees with nothing."""
        difference = float((found - wanted).abs().max())
        tolerance = ABSOLUTE + RELATIVE * float(wanted.abs().max())
        self.sizes.add(len(found))
        self.is_finite &= bool(found.isfinite().all())
        if not difference <= tolerance:
            self.disagrees = self.disagrees or (
                f"of {len(found)} validation sample{'s' * (len(found) > 1)} at once the logits "
                f"differ by up to {difference:.3g}, and {tolerance:.3g} is allowed"
            )
        self.max_difference = max(self.max_difference, difference)
        self.tolerance = max(self.tolerance, tolerance)

    @property
    def quality(self) -> Quality:
        """On all samples that were added."""
        num = max(1, self._samples)
        return Quality(self._correct / num, self._loss / num, self._samples)

    @property
    def agreement(self) -> Agreement:
        """On all samples that were added."""
        return Agreement(
            self._samples, tuple(sorted(self.sizes)), self.max_difference, self.tolerance,
            self._same / max(1, self._samples),
        )  # fmt: skip


def tallied(
    network: nn.Module, split: Split, contract: Contract, runners: dict[str, Runner]
) -> tuple[Quality, dict[str, Tally]]:
    """What the student is worth on a split, and the tally of each runner, in one pass over it.

    Each is asked for batches, for the first samples one by one, and for a few at once.
    """
    own, tallies = Tally(), {name: Tally() for name in runners}
    for number, batch in enumerate(samples(network, split, contract, batch_size=BATCH)):
        own.add(batch.logits, batch)
        for name, runner in runners.items():
            tallies[name].add(runner(batch.raw), batch)
            if number == 0:
                _compare_pieces(tallies[name], runner, batch)
    return own.quality, tallies


def _compare_pieces(tally: Tally, runner: Runner, batch: Samples) -> None:
    pieces: Iterable[slice] = [
        *(slice(k, k + 1) for k in range(min(_ALONE, len(batch.raw)))),
        slice(0, _UNEVEN),
    ]
    for piece in pieces:
        tally.compare(runner(batch.raw[piece].contiguous()), batch.logits[piece])


def refuse_disagreement(name: str, tally: Tally) -> None:
    """Pass if an exported network says what the student says.

    Raises:
        ResultError: it does not; says by how much.
    """
    if tally.disagrees:
        raise ResultError(
            f"{name} disagrees with the student, so nothing was written: {tally.disagrees}"
        )


def refuse_nonsense(name: str, tally: Tally) -> None:
    """Pass if all logits of a file that may differ from the student are numbers.

    Raises:
        ResultError: they are not, or not even of the student's shape.
    """
    if not tally.is_finite or not tally.quality.samples:
        raise ResultError(
            f"{name} gives no usable logits, so nothing was written: "
            f"{tally.disagrees or 'some are not finite'}"
        )


def ready(runner: Runner, contract: Contract) -> Tensor:
    """The logits of one blank input: what whoever loads a file can compare with."""
    return torch.as_tensor(runner(contract.blank(1)))
