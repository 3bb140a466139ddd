"""Training data that a trial must not read."""

from collections.abc import Iterator
from typing import Any, NoReturn

from kdsweep.batch import Batch
from kdsweep.data.base import Split, Splits
from kdsweep.errors import TrialError


class WithheldSplit(Split):
    """Stands in the place of training data that a trial must not read.

    Raises ``TrialError`` when anything of it is touched, even how many samples there are.
    """

    num_bytes = 0
    is_withheld = True

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)  # Python itself asks, as when it copies
        _refuse(name)

    def shuffled(
        self, *, batch_size: int, epoch: int, seed: int, rank: int = 0, num_ranks: int = 1
    ) -> Iterator[Batch]:
        """Raises ``TrialError``."""
        _refuse("batches")

    def in_order(self, *, batch_size: int, view: int | None = None) -> Iterator[Batch]:
        """Raises ``TrialError``."""
        _refuse("batches")

    def piece(self, start: int, stop: int, *, batch_size: int, view: int) -> Iterator[Batch]:
        """Raises ``TrialError``."""
        _refuse("batches")


def _refuse(what: str) -> NoReturn:
    raise TrialError(
        f"the training data are withheld, and something asked for their {what}: the strategy of "
        "this trial says that it learns without them (needs.data is false)"
    )


def without_training(splits: Splits) -> Splits:
    """Loaded splits with the training split withheld."""
    return splits.with_training("without training", WithheldSplit())
