import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_records import run_meta, trial_result

from kdsweep.results.noise import (
    accuracy_interval,
    accuracy_noise,
    validation_examples,
    validation_size,
    wilson,
)
from kdsweep.results.replicates import merged


def student(number, accuracy, *, epochs=(), **more):
    return trial_result(number, metrics={"accuracy": accuracy}, epochs=epochs, **more)


def test_the_size_is_the_least_of_which_all_are_whole_shares():
    assert validation_size([student(0, 354 / 359)]) == 359
    assert validation_size([student(0, 1 / 2), student(1, 1 / 3)]) == 6
    assert validation_size([student(0, 9_853 / 10_000)]) == 10_000


def test_the_size_is_that_of_the_data_where_these_are_the_same_for_all():
    meta = run_meta(examples={"train": 1000, "validation": 100})
    assert validation_examples(meta, [student(0, 1 / 2)]) == 100
    assert validation_examples(run_meta(), [student(0, 1 / 3)]) == 3
    assert validation_examples(meta, [student(0, 1 / 3, changes={"data.split_seed": 1})]) == 3


def test_nothing_is_known_of_all_or_nothing_or_of_other_numbers():
    assert validation_size([]) is None
    assert validation_size([student(0, 1.0), student(1, 0.0)]) is None
    assert validation_size([student(0, 1 / math.pi)]) is None
    assert validation_size([student(0, math.nan)]) is None


def test_accuracies_of_epochs_count():
    first = {"epoch": 1, "accuracy": 1 / 3, "loss": 1.0, "lr": 0.1, "seconds": 1.0}
    assert validation_size([student(0, 1 / 2, epochs=[first])]) == 6


def test_a_mean_is_a_share_of_something_else():
    point = merged([
        student(i, share, point=0, replicate=i, replicates=2) for i, share in enumerate((0.5, 0.75))
    ])  # fmt: skip
    assert point.metrics["accuracy"] == 0.625
    assert validation_size([point]) is None


@given(st.integers(2, 5000), st.data())
def test_the_size_found_divides_the_true_one(size, data):
    counts = data.draw(st.lists(st.integers(1, size - 1), min_size=1, max_size=9))
    found = validation_size([student(i, count / size) for i, count in enumerate(counts)])
    assert size % found == 0
    assert all((Fraction(count, size) * found).denominator == 1 for count in counts)


def test_noise_by_hand():
    # Half of 98, with a success and a failure more: 50 of 100 each. 2 * 0.25 / 100 = 0.005.
    half = student(0, 0.5)
    assert accuracy_noise(half, half, 98) == pytest.approx(1.96 * math.sqrt(0.005))
    assert accuracy_noise(half, half, None) is None
    # All of 98: 99 of 100, 0.0099 / 100: chance does not end at the edge.
    assert accuracy_noise(student(0, 1.0), half, 98) == pytest.approx(
        1.96 * math.sqrt(0.000099 + 0.0025)
    )


def test_noise_of_replicates_by_hand():
    # 0.4 and 0.6: deviation sqrt(0.02), standard error of their mean 0.1.
    pairs = [
        merged([
            student(2 * p + i, share, point=p, replicate=i, replicates=2)
            for i, share in enumerate((0.4, 0.6))
        ])
        for p in range(2)
    ]  # fmt: skip
    assert accuracy_noise(*pairs, None) == pytest.approx(1.96 * math.sqrt(0.02))
    assert accuracy_noise(*pairs, 98) == pytest.approx(1.96 * math.sqrt(0.025))
    # Of one trial alone nothing is known but by the number of examples.
    assert accuracy_noise(pairs[0], student(9, 0.5), None) is None


def test_the_interval_of_one_trial_is_of_examples_and_that_of_replicates_of_seeds():
    # Wilson's interval of 81 of 263, Newcombe (Statistics in Medicine 17, 857-872), table I.
    assert accuracy_interval(student(0, 81 / 263), 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    several = [student(i, share, replicate=i, replicates=3, point=0)
               for i, share in enumerate((0.90, 0.91, 0.92))]  # fmt: skip
    # 0.91 -+ 4.302653 * 0.01 / sqrt(3), whatever the number of examples.
    expected = (0.91 - 0.024841, 0.91 + 0.024841)
    for examples in (None, 100):
        assert accuracy_interval(merged(several), examples) == pytest.approx(expected, abs=1e-6)


def test_no_interval_of_what_is_not_known():
    assert accuracy_interval(student(0, 0.9), None) is None
    assert accuracy_interval(student(0, math.nan), 100) is None
    assert accuracy_interval(trial_result(0, metrics={}), 100) is None


@given(st.integers(0, 200), st.integers(1, 200))
def test_an_interval_holds_its_accuracy_and_shrinks_with_more_examples(right, examples):
    share = min(right, examples) / examples
    low, high = accuracy_interval(student(0, share), examples)
    assert 0 <= low <= share + 1e-12
    assert share - 1e-12 <= high <= 1
    more_low, more_high = wilson(share, 4 * examples)
    assert more_high - more_low < high - low
