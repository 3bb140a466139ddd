"""The classes over which the logits of two networks are compared."""

from kdsweep.batch import Outputs
from kdsweep.errors import SpecError
from kdsweep.strategies.base import Probe, probed_teacher


def shared_classes(probe: Probe) -> int:
    """How many classes the student and the main teacher tell apart.

    Raises:
        SpecError: there is no teacher, or its classes are not the student's.
    """
    return same_classes(probe.student, probed_teacher(probe))


def same_classes(student: Outputs, teacher: Outputs, name: str = "the teacher") -> int:
    """How many classes the student and a teacher tell apart.

    Raises:
        SpecError: they differ.
    """
    ours, theirs = student.logits.shape[1], teacher.logits.shape[1]
    if ours != theirs:
        raise SpecError(
            f"the student has {ours} classes and {name} {theirs}: logits can only be compared "
            "over the same classes; use a teacher trained on this data set"
        )
    return ours


def check_standardised(num_classes: int) -> None:
    """Refuse to standardise logits of which that would leave the sign alone.

    Raises:
        SpecError: there are two classes.
    """
    if num_classes < 3:
        raise SpecError(
            "standardise: two standardised logits are +0.707 and -0.707 whatever they were, and "
            "teach nothing but which is greater: needs 3 classes or more; leave it out"
        )
