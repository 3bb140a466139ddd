"""Intervals against numbers that others have published, or worked by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdsweep.report.answers import sureness
from kdsweep.results import noise

shares = st.integers(0, 50).map(lambda right: right / 50)


def test_wilson_as_published():
    # Newcombe (Statistics in Medicine 17, 857-872), table I, method 3: 81/263 and 15/148.
    assert noise.wilson(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert noise.wilson(15 / 148, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert noise.wilson(0, 20) == pytest.approx((0, 0.1611), abs=5e-5)


def test_difference_as_published():
    # Newcombe (Statistics in Medicine 17, 873-890), method 10: 9/10 against 3/10.
    assert sureness.newcombe(0.9, 0.3, 10) == pytest.approx((0.1705, 0.8090), abs=5e-5)


@given(shares, shares)
def test_the_interval_holds_the_difference_and_turns_with_it(one, other):
    low, high = sureness.newcombe(one, other, 50)
    assert low - 1e-12 <= one - other <= high + 1e-12
    assert sureness.newcombe(other, one, 50) == pytest.approx((-high, -low))


def test_pairs_by_hand():
    # Mean 2, deviation 1, three pairs: 2 -+ 4.302653 / sqrt(3).
    half = 4.302653 / math.sqrt(3)
    assert sureness.of_pairs([1.0, 2.0, 3.0]) == pytest.approx((2 - half, 2 + half), abs=1e-6)
    assert sureness.of_pairs([1.0]) is None


def test_means_by_hand():
    # Equal deviations 1 and numbers 3: Welch's degrees are 4, t = 2.776445, error sqrt(2 / 3).
    half = 2.776445 * math.sqrt(2 / 3)
    found = sureness.of_means((5.0, 1.0, 3), (3.0, 1.0, 3))
    assert found == pytest.approx((2 - half, 2 + half), abs=1e-6)
    assert sureness.of_means((5.0, 1.0, 3), (3.0, 1.0, 1)) is None
    assert sureness.of_means((5.0, 0.0, 3), (3.0, 0.0, 3)) == (2, 2)


def test_mean_and_deviation_by_hand():
    assert sureness.mean_and_deviation([1.0, 2.0, 3.0]) == (2, 1)
    assert sureness.mean_and_deviation([4.0]) == (4, None)


def test_the_best_of_many_is_lucky():
    # The expected greatest of 10 normal numbers is 1.5388; Blom's approximation gives 1.547.
    assert sureness.luck_of_the_best(10, 2.0) == pytest.approx(2 * 1.5388, rel=0.01)
    assert sureness.luck_of_the_best(1, 2.0) == 0
    assert sureness.binomial_deviation(0.5, 100) == pytest.approx(0.05)


def test_rank_correlation_by_hand():
    # One swap of neighbours among six: 1 - 6 * 2 / (6 * 35).
    found, (low, high) = sureness.rank_correlation([1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 6, 5])
    assert found == pytest.approx(1 - 12 / 210)
    half = 1.959964 * math.sqrt((1 + found**2 / 2) / 3)
    assert low == pytest.approx(math.tanh(math.atanh(found) - half), abs=1e-6)
    assert high == pytest.approx(math.tanh(math.atanh(found) + half), abs=1e-6)
    assert sureness.rank_correlation([1, 2, 3, 4, 5], [1, 2, 3, 4, 5]) is None
    assert sureness.rank_correlation([1] * 6, [1, 2, 3, 4, 5, 6]) is None
    assert sureness.rank_correlation(list(range(6)), list(range(6)))[0] == 1
    # Equal values share the mean of their ranks.
    assert sureness._ranks([5, 1, 5, 0]) == [2.5, 1, 2.5, 0]
