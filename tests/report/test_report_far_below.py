"""Students that are far below their teacher, worked by hand."""

import pytest
from run_records import trial_result

from kdsweep.report.far_below import far_below_teacher
from kdsweep.results.record import EpochMetrics


def student(number, *curve, **more):
    epochs = tuple(
        EpochMetrics(epoch=at, accuracy=accuracy, loss=1.0, train={}, lr=0.1, seconds=1.0)
        for at, accuracy in enumerate(curve, 1)
    )
    metrics = {"accuracy": curve[-1], "params": 100.0}
    return trial_result(number, **{"metrics": metrics, "epochs": epochs, **more})


def test_the_best_of_all_counts_and_what_it_gained_at_the_end():
    weak, better = student(0, 0.1, 0.2), student(1, 0.1, 0.2, 0.3, 0.36, 0.4)
    assert far_below_teacher([weak, better], 0.97) == (
        "the best student is 57 points below the teacher: it is too small, or was trained too "
        "little (5 epochs), as it still gained 4.0 points in the last fifth of them; try more "
        "epochs, smaller batches or larger students before other strategies"
    )


def test_one_that_had_come_to_rest_may_still_be_too_small():
    said = far_below_teacher([student(0, 0.1, 0.5, 0.6, 0.6, 0.6)], 0.9)
    assert said.startswith("the best student is 30 points below the teacher")
    assert "gained" not in said


@pytest.mark.parametrize("teacher", [None, 0.69, float("nan")])
def test_near_the_teacher_or_without_one_there_is_nothing_to_say(teacher):
    assert far_below_teacher([student(0, 0.6)], teacher) is None


def test_what_is_not_complete_does_not_count():
    cut, teacher = student(0, 0.1, status="pruned"), student(1, 0.1, role="teacher")
    assert far_below_teacher([cut, teacher], 0.9) is None
