"""Data sets on a device, kept between trials, each as its trials may read it."""

import torch

from kdsweep import catalog
from kdsweep.data.base import Splits
from kdsweep.data.withheld import without_training
from kdsweep.spec import TrialSpec
from kdsweep.sweep_file.training_data import student_reads, training_data_are_read
from kdsweep.train.kept import Kept


class KeptSplits(Kept[Splits]):
    """The splits of the data sets that were read last."""

    def __init__(self, device: torch.device, most_bytes: int) -> None:
        super().__init__(lambda each: each.num_bytes, most_bytes)
        self._device = device

    def of(self, trial: TrialSpec) -> Splits:
        """A trial's data as its student may read them.

        The training split is withheld from a student that does not learn from it, and its files
        are opened only if a teacher has to be trained first; one may have the validation split
        behind the training split.
        """
        if trial.with_validation:
            return self.get(
                f"with validation: {trial.data.model_dump_json()}",
                lambda: self.whole(trial).with_validation(),
            )
        if student_reads(trial):
            return self.whole(trial)
        if training_data_are_read(trial):
            return without_training(self.whole(trial))
        return self.get(
            f"without training: {trial.data.model_dump_json()}",
            lambda: catalog.dataset(trial.data).load_without_training(self._device),
        )

    def whole(self, trial: TrialSpec) -> Splits:
        """All of a trial's data, each split by itself."""
        return self.get(
            trial.data.model_dump_json(), lambda: catalog.dataset(trial.data).load(self._device)
        )
