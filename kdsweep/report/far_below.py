"""Whether a sweep's students are so far below their teacher that they were hardly trained."""

from collections.abc import Sequence

from kdsweep.report.labels import num_words
from kdsweep.results.record import TrialResult

_FAR = 0.1
"""Of accuracy, 0..1: so far below its teacher a student is for another reason than its strategy."""
_RISES = 0.01
"""Of accuracy, over the last fifth of the epochs."""


def far_below_teacher(results: Sequence[TrialResult], teacher_accuracy: float | None) -> str | None:
    """What to try before anything else, where the best student is far below the teacher.

    None where one is near it, where the teacher's accuracy is not known, or nothing is complete.
    """
    students = [
        each for each in results
        if each.role != "teacher" and each.status == "complete" and "accuracy" in each.metrics
    ]  # fmt: skip
    if teacher_accuracy is None or not students:
        return None
    best = max(students, key=lambda each: each.metrics["accuracy"])
    below = teacher_accuracy - best.metrics["accuracy"]
    if not below >= _FAR:
        return None
    said = (
        f"the best student is {100 * below:.0f} points below the teacher: it is too small, or was "
        f"trained too little ({num_words(len(best.epochs), 'epoch')})"
    )
    rise = _last_rise(best)
    if rise is not None and rise >= _RISES:
        said += f", as it still gained {100 * rise:.1f} points in the last fifth of them"
    return f"{said}; try more epochs, smaller batches or larger students before other strategies"


def _last_rise(result: TrialResult) -> float | None:
    """What the last fifth of the epochs has added; of less than five epochs none."""
    num = len(result.epochs)
    if num < 5:
        return None
    return result.epochs[-1].accuracy - result.epochs[-1 - num // 5].accuracy
