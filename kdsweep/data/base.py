"""What a data set promises to the rest of the house."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch

from kdsweep.batch import Batch
from kdsweep.spec import Settings


@dataclass(frozen=True)
class DataInfo:
    """What can be known of a data set before it is read whole.

    ``shape`` is ``(D, H, W)`` of one image as the networks see it.
    """

    num_classes: int
    class_names: tuple[str, ...]
    shape: tuple[int, int, int]


class Split(ABC):
    """One of train, validation, test, ready to be read in batches on a device."""

    num_samples: int

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


@dataclass(frozen=True)
class Splits:
    """The three parts of a data set; the search never touches ``test``."""

    info: DataInfo
    train: Split
    validation: Split
    test: Split
    num_views: int
    fingerprint: str
    """Hash of the settings and the contents: what a stored teacher output is addressed by."""


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

    @abstractmethod
    def load(self, device: torch.device) -> Splits:
        """All splits, in memory on ``device`` where they fit, else streaming to it.

        Raises:
            SpecError: as ``describe``.
        """
