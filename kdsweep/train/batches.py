"""Where the batches of a training come from: the training data, or the strategy itself."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from kdsweep.batch import Batch
from kdsweep.data.base import Splits
from kdsweep.errors import TrialError
from kdsweep.spec import TrialSpec
from kdsweep.train.optimize import steps_in_epoch
from kdsweep.train.ranks import Ranks

CALIBRATION_BATCHES = 4


@dataclass(frozen=True)
class TrainingData:
    """The batches of the training split, each worker's share of them."""

    trial: TrialSpec
    splits: Splits
    ranks: Ranks

    @property
    def num_samples(self) -> int:
        """Examples of an epoch, of all workers together."""
        return self.splits.train.num_samples

    @property
    def batch_size(self) -> int:
        """Examples of a full batch, of all workers together."""
        return self.trial.train.batch_size

    @property
    def steps(self) -> int:
        """Batches of an epoch."""
        return steps_in_epoch(self.num_samples, self.batch_size, self.ranks.size)

    def of(self, epoch: int) -> Iterator[Batch | int]:
        """This worker's share of the batches of an epoch."""
        return self.splits.train.shuffled(
            batch_size=self.batch_size,
            epoch=epoch,
            seed=self.trial.seed,
            rank=self.ranks.rank,
            num_ranks=self.ranks.size,
        )


@dataclass(frozen=True)
class OwnBatches:
    """So many batches for each epoch that the strategy makes; no training data are read."""

    trial: TrialSpec
    steps: int
    ranks: Ranks

    @property
    def num_samples(self) -> int:
        """Examples of an epoch, of all workers together."""
        return self.steps * self.batch_size

    @property
    def batch_size(self) -> int:
        """Examples of a batch, of all workers together: each makes as many."""
        return self._share * self.ranks.size

    @property
    def _share(self) -> int:
        return max(self.trial.train.batch_size // self.ranks.size, 2)

    def of(self, epoch: int) -> Iterator[Batch | int]:
        """How many examples this worker is to make for each batch of an epoch."""
        return iter([self._share] * self.steps)


Batches = TrainingData | OwnBatches


def first_batches(splits: Splits, trial: TrialSpec) -> list[Batch]:
    """The first of a training in the order of epoch 0: the same on every worker.

    Raises:
        TrialError: there is none.
    """
    batches = splits.train.shuffled(batch_size=trial.train.batch_size, epoch=0, seed=trial.seed)
    first = list(islice(batches, CALIBRATION_BATCHES))
    if not first:
        raise TrialError("the training split holds fewer than two samples")
    return first
