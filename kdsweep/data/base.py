"""What a data set promises to the rest of the house."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from typing import Any, ClassVar

import torch
from torch import Tensor

from kdsweep.batch import Batch, Modality, Shape, Tokens, in_words, modality
from kdsweep.data.survey import Survey
from kdsweep.errors import SpecError
from kdsweep.spec import Settings


@dataclass(frozen=True)
class DataInfo:
    """What can be known of a data set before it is read whole.

    ``shape`` is that of one input as the networks see it, ``(D, H, W)`` for images; ``also`` are
    the shapes of what else comes with each sample, as the text that goes with an image.
    ``no_training`` is the sentence for whoever wants to train on a set that has nothing to train
    on; empty where there is.
    """

    num_classes: int
    class_names: tuple[str, ...]
    shape: Shape
    also: Mapping[Modality, Shape] = field(default_factory=dict)
    no_training: str = ""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """``(D, H, W)`` of its images; raises ``ValueError`` where the main input is text."""
        if isinstance(self.shape, Tokens):
            raise ValueError(f"no images: {in_words(self.shape)}")
        return self.shape

    @property
    def shapes(self) -> dict[Modality, Shape]:
        """Every input's shape, the main one first."""
        return {modality(self.shape): self.shape, **self.also}

    @property
    def sizes(self) -> dict[str, tuple[int, ...]]:
        """Every input's shape in numbers: of images ``(D, H, W)``, of texts ``(S,)``."""
        return {
            name: (shape.length,) if isinstance(shape, Tokens) else shape
            for name, shape in self.shapes.items()
        }

    @property
    def identity(self) -> dict[str, Any]:
        """What batches follow from, in plain values: not whether there are training samples."""
        said = asdict(self)
        del said["no_training"]
        return said


@dataclass(frozen=True)
class Extent:
    """How much there is of a training split: its samples, and the replayable views of each."""

    num_samples: int
    num_views: int


class Split(ABC):
    """One of train, validation, test, ready to be read in batches on a device."""

    num_samples: int
    labels: Tensor
    """Of every sample by id, ``[N]`` int64; on the host or the device."""
    is_withheld: ClassVar[bool] = False
    """Whether nothing of it may be touched."""

    @abstractmethod
    def shuffled(
        self, *, batch_size: int, epoch: int, seed: int, rank: int = 0, num_ranks: int = 1
    ) -> Iterator[Batch]:
        """The augmented batches of an epoch, in an order that depends on seed and epoch alone.

        With several ranks every rank gets its share of each global batch of ``batch_size``. The
        last batch may be smaller; a last batch of one sample is left out (batch norm needs two).
        """

    @abstractmethod
    def in_order(self, *, batch_size: int, view: int | None = None) -> Iterator[Batch]:
        """Every sample once, in the order of their ids; plain, or as epoch slot ``view`` sees them.

        ``view`` is the same number that ``shuffled`` puts into its batches: the same sample and
        the same ``view`` give the same pixels in both.
        """

    def piece(self, start: int, stop: int, *, batch_size: int, view: int) -> Iterator[Batch]:
        """The samples from ``start`` up to ``stop`` of ``in_order``, in the very same batches.

        ``start`` is a multiple of ``batch_size``, ``stop`` too or the end. Here the batches before
        are read and left out; splits that can begin in the middle do so.
        """
        whole = self.in_order(batch_size=batch_size, view=view)
        return islice(whole, start // batch_size, -(-stop // batch_size))

    def with_views(self, num_views: int) -> "Split":
        """The same samples, each with so many views; itself where there is nothing to vary.

        Here it is itself; splits that are augmented override it.
        """
        return self

    def joined(self, other: "Split") -> "Split":
        """The samples of both, those of ``other`` behind its own; each keeps its views by its id.

        Here it is refused; splits that can be joined override it.

        Raises:
            SpecError: they cannot be joined.
        """
        raise SpecError(
            f"with_validation: a {type(self).__name__} cannot be joined with another split; its "
            "class has no method of its own for it, joined()"
        )

    @property
    def num_bytes(self) -> int:
        """What it keeps in memory, about: here its labels; splits that hold inputs say more."""
        return self.labels.nbytes


@dataclass(frozen=True)
class Splits:
    """The three parts of a data set; the search never touches ``test``.

    Where ``train`` is withheld (see ``load_without_training``) the fingerprint is another.
    """

    info: DataInfo
    train: Split
    validation: Split
    test: Split
    num_views: int
    fingerprint: str
    """Hash of the settings and the contents: what a stored teacher output is addressed by."""
    of_any_views: str = ""
    """The same for every number of views: what a teacher is addressed by, which is trained on as
    many views as it has epochs. Empty where the fingerprint is."""

    @property
    def for_teachers(self) -> str:
        """What a teacher that learns from these data is addressed by."""
        return self.of_any_views or self.fingerprint

    def with_views(self, num_views: int) -> "Splits":
        """The same data, with so many views of each training sample where they differ at all."""
        train = self.train.with_views(num_views)
        if train is self.train:
            return self
        said = json.dumps({"views": num_views, "of": self.for_teachers})
        name = hashlib.sha256(said.encode()).hexdigest()
        return replace(self, train=train, num_views=num_views, fingerprint=name)

    def with_training(self, how: str, train: Split) -> "Splits":
        """The same data with another training split, made of these as ``how`` says, and renamed."""
        name, of_any_views = (
            hashlib.sha256(json.dumps({how: each}).encode()).hexdigest()
            for each in (self.fingerprint, self.for_teachers)
        )
        return replace(self, train=train, fingerprint=name, of_any_views=of_any_views)

    def with_validation(self) -> "Splits":
        """The same data, the samples of validation among those to train on, behind the others.

        What is measured on ``validation`` then says nothing. The fingerprint is another.

        Raises:
            SpecError: the two splits cannot be joined.
        """
        return self.with_training("with validation", self.train.joined(self.validation))

    @property
    def counts(self) -> dict[str, int]:
        """The number of samples by split, without a training split that is withheld."""
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: split.num_samples for name, split in parts.items() if not split.is_withheld}

    @property
    def num_bytes(self) -> int:
        """What its splits keep in memory, about."""
        return sum(each.num_bytes for each in (self.train, self.validation, self.test))


class DataSet(ABC):
    """A data set by its YAML name: one subclass per file, its settings nested inside."""

    class Params(Settings):
        """The settings of the data set; every subclass has its own."""

    source: ClassVar[str]
    """Where the data come from, for model cards and docs."""

    def __init__(self, params: Settings) -> None:
        self.params = params

    @abstractmethod
    def describe(self) -> DataInfo:
        """Classes and image shape, without reading all images.

        Raises:
            SpecError: the files are missing or not a data set; says where and what to do.
        """

    def promised(self) -> DataInfo:
        """What ``describe`` says where the files are, told without looking for them.

        For checking what will run on another machine; the classes may be named by numbers. A set
        that can only be known from its files says the same as ``describe``.

        Raises:
            SpecError: the settings are wrong, or do not tell.
        """
        return self.describe()

    def extent(self) -> Extent | None:
        """How many samples ``load`` will train on, told without reading them.

        ``None`` where only loading tells. What is stored of a teacher is planned by it.

        Raises:
            SpecError: as ``describe``.
        """
        return None

    def promised_extent(self) -> Extent | None:
        """What ``extent`` says, or about that, told without looking for the files.

        ``None`` where only they tell.
        """
        return None

    def survey(self, *, training: bool = True) -> Survey | None:
        """How many samples there are, once it was seen that the files can be read.

        ``None`` where only loading tells. Without ``training`` no training file is touched.

        Raises:
            SpecError: what ``load``, or else ``load_without_training``, would refuse, so far as it
                shows without reading everything.
        """
        return None

    @abstractmethod
    def load(self, device: torch.device) -> Splits:
        """All splits, in memory on ``device`` where they fit, else streaming to it.

        Raises:
            SpecError: as ``describe``; or there is nothing to train on.
        """

    @property
    def preparation(self) -> str:
        """How something of one's own becomes an input, in sentences for model cards.

        Up to the pixels or token ids; what is normalised follows from the splits.
        """
        return f"as the data set {type(self).__name__} gives them"

    def tokenizer_file(self) -> bytes | None:
        """A ``tokenizer.json`` of the tokenizers library that makes the ids of a text.

        It cuts off and pads as the networks need it. ``None`` where there is none.

        Raises:
            SpecError: as ``load``.
        """
        return None

    def problems_without_training(self) -> list[str]:
        """What the settings lack for the set to be loaded without its training split."""
        return []

    def load_without_training(self, device: torch.device) -> Splits:
        """Validation and test; ``train`` raises an error when anything of it is touched.

        For trials that learn nothing from the training split. Here the whole set is loaded, and
        the training split then withheld; where its files lie apart, a data set leaves them alone.

        Raises:
            SpecError: as ``describe``; or all of ``problems_without_training``.
        """
        from kdsweep.data.withheld import without_training  # which knows what a split is

        return without_training(self.load(device))
