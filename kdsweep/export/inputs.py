"""What an exported network takes: pixels as they are stored, or whole rows of token ids."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kdsweep import catalog
from kdsweep.batch import PADDING, Shape, Tokens
from kdsweep.data.base import Split, Splits
from kdsweep.data.treatment import Normalisation
from kdsweep.errors import ResultError, SpecError
from kdsweep.export.student import Student
from kdsweep.spec import TrialSpec
from kdsweep.sweep_file.training_data import student_reads


@dataclass(frozen=True)
class Contract:
    """One input of an exported network: what it is called, its type, and its ``[N, ...]`` shape.

    Where there is a ``normalisation`` it is a part of the network, whose input is then uint8
    pixels. Where there is none, images are float32 as the data set gives them; texts are int64 ids.
    """

    shape: Shape
    normalisation: Normalisation | None = None

    @property
    def name(self) -> str:
        """``images`` or ``tokens``."""
        return "tokens" if isinstance(self.shape, Tokens) else "images"

    @property
    def dtype(self) -> torch.dtype:
        """Of the input."""
        if isinstance(self.shape, Tokens):
            return torch.int64
        return torch.float32 if self.normalisation is None else torch.uint8

    @property
    def sizes(self) -> tuple[int, ...]:
        """Of one sample: ``(D, H, W)`` or ``(S,)``."""
        return (self.shape.length,) if isinstance(self.shape, Tokens) else self.shape

    def blank(self, num: int) -> Tensor:
        """Black images or, as texts, the id 1 all over; nothing of anybody's data."""
        fill = 1 if isinstance(self.shape, Tokens) else 0
        return torch.full((num, *self.sizes), fill, dtype=self.dtype)

    def raw(self, seen: Tensor) -> Tensor:
        """What has to go in so that the network of the trial sees ``seen``."""
        if isinstance(self.shape, Tokens):
            # Batches of texts are as wide as their longest one.
            return nn.functional.pad(seen, (0, self.shape.length - seen.shape[1]), value=PADDING)
        if self.normalisation is None:
            return seen
        offset, scale = steps_of(self.normalisation)
        return seen.mul(scale).add(offset).round().clamp(0, 255).to(torch.uint8)


class Normalised(nn.Module):
    """A network behind the normalisation of its data: uint8 pixels ``[N, D, H, W]`` go in."""

    offset: Tensor
    scale: Tensor

    def __init__(self, network: nn.Module, normalisation: Normalisation) -> None:
        super().__init__()
        self.network = network
        offset, scale = steps_of(normalisation)
        self.register_buffer("offset", offset)
        self.register_buffer("scale", scale)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[N, C]``, by the very operations that the trial's data went through."""
        logits: Tensor = self.network(images.float().sub(self.offset).div(self.scale))
        return logits


class OfPixels(Normalised):
    """As ``Normalised``, for a person to call: floats, which may be normalised already, raise."""

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[N, C]`` of uint8 pixels ``[N, D, H, W]``.

        Raises:
            ResultError: the images are not of uint8.
        """
        if images.dtype != torch.uint8:
            raise ResultError(
                f"the student takes pixels of torch.uint8, 0 to 255, and was given {images.dtype}: "
                "its `network` takes images that are normalised already"
            )
        return super().forward(images)


class Bare(nn.Module):
    """A network whose input is named for what it reads."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network


class OfImages(Bare):
    """Images that are prepared already go in."""

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[N, C]`` of images ``[N, D, H, W]``."""
        logits: Tensor = self.network(images)
        return logits


class OfTokens(Bare):
    """Token ids go in."""

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits ``[N, C]`` of tokens ``[N, S]``."""
        logits: Tensor = self.network(tokens)
        return logits


def steps_of(normalisation: Normalisation) -> tuple[Tensor, Tensor]:
    """What is subtracted from pixels in 0..255, and what they are divided by: ``[1, D, 1, 1]``."""
    offset, scale = (
        torch.tensor(values, dtype=torch.float64).mul(255).float().view(1, -1, 1, 1)
        for values in (normalisation.mean, normalisation.std)
    )
    return offset, scale


def contract_of(student: Student, splits: Splits) -> Contract:
    """What the exported student takes, by its trial's data."""
    treatment = getattr(splits.validation, "treatment", None)
    given = getattr(treatment, "normalisation", None)
    is_text = isinstance(student.shape, Tokens)
    return Contract(student.shape, None if is_text else given)


def deployed(network: nn.Module, contract: Contract) -> nn.Module:
    """The network in evaluation mode as it is exported, its normalisation in front."""
    if contract.normalisation is not None:
        return Normalised(network, contract.normalisation).eval()
    made = OfTokens(network) if contract.name == "tokens" else OfImages(network)
    return made.eval()


def as_exported(student: Student) -> nn.Module:
    """The student with the inputs of its exports, which checks that pixels are pixels.

    Raises:
        ResultError: the data, which say how images are normalised, are not on this machine.
    """
    contract = contract_of(student, splits_of(student.trial))
    if contract.normalisation is not None:
        return OfPixels(student.network, contract.normalisation).eval()
    return deployed(student.network, contract)


def splits_of(trial: TrialSpec) -> Splits:
    """The data of a trial on the CPU, as its student may read them.

    Raises:
        ResultError: they are not on this machine. Their numbers normalise images, and exports are
            checked on their samples.
    """
    try:
        data = catalog.dataset(trial.data)
        cpu = torch.device("cpu")
        return data.load(cpu) if student_reads(trial) else data.load_without_training(cpu)
    except SpecError as error:
        raise ResultError(
            f"the trial's data are needed for its student, and cannot be read here: {each}"
            for each in error.problems
        ) from error


@dataclass(frozen=True)
class Samples:
    """A batch as an exported network takes it, and what the student itself says of it.

    ``raw`` ``[N, ...]``, ``logits`` ``[N, C]``, ``labels`` ``[N]``.
    """

    raw: Tensor
    logits: Tensor
    labels: Tensor


def samples(
    network: nn.Module, split: Split, contract: Contract, *, batch_size: int
) -> Iterator[Samples]:
    """All of a split in order; the logits are those of the network on the data's own batches."""
    for batch in split.in_order(batch_size=batch_size):
        seen = batch.seen_by(network)
        with torch.inference_mode():
            logits = network(seen).float()
        yield Samples(contract.raw(seen), logits, batch.labels)
