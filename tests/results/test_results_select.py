import math

import pytest

from kdsweep.errors import ResultError
from kdsweep.results.record import TrialResult
from kdsweep.results.select import select

TWO = {"accuracy": "max", "params": "min"}


def student(number, accuracy, params, **more):
    role, status = more.pop("role", "trial"), more.pop("status", "complete")
    return TrialResult(
        trial_id=f"t{number}", number=number, role=role, status=status, name=f"kd w{number}",
        trial={}, metrics={"accuracy": accuracy, "params": params, **more},
    )  # fmt: skip


RUN = [
    student(0, 0.80, 1_000, latency_ms=0.5),
    student(1, 0.90, 5_000, latency_ms=0.9),
    student(2, 0.90, 4_000, latency_ms=1.5),
    student(3, 0.97, 40_000, latency_ms=2.25),
    student(4, 0.99, 900_000, role="teacher", latency_ms=9.0),
    student(5, 0.98, 500, status="failed"),
]


def test_the_most_accurate_that_fits_then_the_smaller():
    choice = select(RUN, TWO, max_params=5_000)
    assert choice.chosen is RUN[2]
    assert choice.runners_up == (RUN[1], RUN[0])
    assert choice.rejected == ((RUN[3], ("params 40,000 > 5,000",)),)
    assert choice.advice == ()


def test_without_limits_the_most_accurate_student_never_the_teacher():
    assert select(RUN, TWO).chosen is RUN[3]


def test_limits_hold_together_and_include_their_bound():
    assert select(RUN, TWO, min_accuracy=0.9, max_latency_ms=0.9).chosen is RUN[1]


@pytest.mark.parametrize(("prefer", "number"), [("params", 2), ("latency", 1), ("accuracy", 3)])
def test_prefer(prefer, number):
    assert select(RUN, TWO, min_accuracy=0.85, prefer=prefer).chosen is RUN[number]


def test_a_trial_off_the_front_is_found_by_another_limit():
    # Trial 1 is beaten by 2 in accuracy and params, yet alone under one millisecond at 0.9.
    assert select(RUN, TWO, max_latency_ms=1.0).chosen is RUN[1]


def test_every_reason_is_named():
    choice = select(RUN, TWO, max_params=2_000, min_accuracy=0.95)
    assert {r.number: why for r, why in choice.rejected} == {
        0: ("accuracy 80.00% < 95.00%",),
        1: ("params 5,000 > 2,000", "accuracy 90.00% < 95.00%"),
        2: ("params 4,000 > 2,000", "accuracy 90.00% < 95.00%"),
        3: ("params 40,000 > 2,000",),
    }


def test_advice_names_each_limit_that_is_enough_alone():
    choice = select(RUN, TWO, max_params=2_000, min_accuracy=0.95)
    assert choice.chosen is None
    assert choice.advice == (
        "max params 40,000 (by 38,000) lets trial 3 (kd w3) fit",
        "min accuracy 80.00% (--min-accuracy 0.8, by 15.00 points) lets trial 0 (kd w0) fit",
    )


def test_advice_when_only_two_limits_together_help():
    choice = select(RUN, TWO, max_params=500, min_accuracy=0.985)
    assert choice.advice == (
        "no single limit is enough; together max params 1,000 (by 500) and "
        "min accuracy 80.00% (--min-accuracy 0.8, by 18.50 points) let trial 0 (kd w0) fit",
    )


def test_following_the_advice_helps():
    third = [student(0, 2 / 3, 1_000, latency_ms=1 / 3)]
    assert select(third, TWO, min_accuracy=0.7).advice == (
        "min accuracy 66.66% (--min-accuracy 0.6666, by 3.34 points) lets trial 0 (kd w0) fit",
    )
    assert select(third, TWO, min_accuracy=0.6666).chosen is third[0]
    assert select(third, TWO, max_latency_ms=0.1).advice == (
        "max latency 0.334 ms (by 0.234 ms) lets trial 0 (kd w0) fit",
    )
    assert select(third, TWO, max_latency_ms=0.334).chosen is third[0]


def test_what_was_not_measured_does_not_fit():
    blind = [student(0, 0.9, 10), student(1, math.nan, 5)]
    assert select(blind, TWO, max_latency_ms=5).advice == (
        "no trial of this run measured latency_ms: choose without it",
    )
    assert select(blind, TWO, prefer="latency").chosen is None
    choice = select(blind, TWO, max_params=100)
    assert choice.chosen is blind[0]
    assert choice.rejected == ((blind[1], ("accuracy was not measured",)),)


def test_a_run_without_complete_trials():
    assert select([RUN[4], RUN[5]], TWO).advice == ("the run has no complete trial yet",)


def test_a_limit_is_a_number():
    with pytest.raises(ResultError, match="the limit of params is nan: it must be a number"):
        select(RUN, TWO, max_params=math.nan)
