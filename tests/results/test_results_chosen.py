"""Who is confirmed."""

import pytest
from run_records import run_meta, trial_result

from kdsweep.errors import ResultError
from kdsweep.results.chosen import best_of_front, named_trials


def trial(number, accuracy, params, **more):
    return trial_result(number, metrics={"accuracy": accuracy, "params": params}, **more)


RESULTS = [
    trial(0, 0.5, 50.0, role="control"),
    trial(1, 0.4, 50.0, role="control", status="failed", name="kd w1"),
    trial(2, 0.7, 60.0),
    trial(3, 0.8, 80.0),
    trial(4, 0.6, 90.0),
    trial(5, 0.9, 99.0),
    trial(6, 0.9, 10.0, status="pruned"),
]


def numbers(results):
    return [result.number for result in results]


def test_the_best_of_the_front_smallest_first():
    found = best_of_front(RESULTS, run_meta(), 2)
    assert numbers(found.students) == [3, 5]
    assert numbers(found.controls) == [0]
    assert found.remarks == (
        "of 4 students on the front the 2 best by accuracy are confirmed (--top 4: all)",
        "the sweep's control kd w1 is failed, and is left out",
    )


def test_the_least_loss_is_the_best_where_that_is_wanted():
    meta = run_meta(objectives={"params": "min", "loss": "min"})
    results = [
        trial_result(n, metrics={"loss": 1.0 - n / 10, "params": 10.0 + n}) for n in range(4)
    ]
    assert numbers(best_of_front(results, meta, 1).students) == [3]


def test_a_front_that_is_smaller_is_confirmed_whole():
    found = best_of_front(RESULTS, run_meta(), 9)
    assert numbers(found.students) == [0, 2, 3, 5]
    assert found.remarks[0] == "--top 9: the front has 4, and all of them are confirmed"


def test_without_a_front_there_is_nothing_to_confirm():
    with pytest.raises(ResultError, match="has no front, so there is nothing to confirm"):
        best_of_front(RESULTS, run_meta(constraints={"params": {"max": 5}}), 2)


def test_trials_are_named_by_number_or_id():
    found = named_trials(RESULTS, ["4", "t0003", "4"])
    assert numbers(found.students) == [3, 4]


def test_what_cannot_be_confirmed_is_told_together():
    with pytest.raises(ResultError) as error:
        named_trials(RESULTS, ["77", "6", "x"])
    assert error.value.problems == (
        "--trials: there is no trial '77'",
        "--trials: 6 is pruned, and only complete trials can be confirmed",
        "--trials: there is no trial 'x'",
    )


def test_of_replicates_the_point_is_meant():
    results = [
        trial(n, accuracy, 50.0, point=0, replicate=n, replicates=3)
        for n, accuracy in enumerate((0.5, 0.7, 0.6))
    ]
    (found,) = named_trials(results, ["1"]).students
    assert found.trial_ids == ("t0000", "t0001", "t0002")
    assert found.metrics["accuracy"] == pytest.approx(0.6)
