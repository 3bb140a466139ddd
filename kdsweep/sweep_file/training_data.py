"""Which trials read the training data, and what keeps the others from doing without."""

from typing import TYPE_CHECKING

from kdsweep import catalog
from kdsweep.errors import SpecError
from kdsweep.spec import TrialSpec

if TYPE_CHECKING:
    from kdsweep.sweep_file.fit import Fitting


def student_reads(trial: TrialSpec) -> bool:
    """Whether the student learns from the training data.

    Raises:
        SpecError: no strategy of that name.
    """
    # Of the main strategy alone: one that makes its own batches cannot be an extra.
    reads: bool = catalog.find("strategy", trial.strategy.name).needs.data
    return reads


def training_data_are_read(trial: TrialSpec) -> bool:
    """Whether the trial opens the training data: for its student, or to train a teacher first.

    Raises:
        SpecError: no strategy of that name.
    """
    return student_reads(trial) or any(
        teacher.weights is None for teacher in trial.all_teachers.values()
    )


def training_data_problems(trial: TrialSpec, fitting: "Fitting") -> list[str]:
    """Training data that are read and not there; or what is needed if they are not read."""
    info = fitting.info(trial.data)
    if isinstance(info, list):
        return []  # said of the student already
    try:
        if trial.with_validation and not student_reads(trial):
            return [
                f"with_validation: true does nothing for the strategy {trial.strategy.name}, which "
                "reads no training data: remove it"
            ]
        if training_data_are_read(trial):
            return [info.no_training] if info.no_training else []
        return catalog.dataset(trial.data).problems_without_training()
    except SpecError:
        return []  # a name that is wrong has been reported with the settings
