"""Student's t against tables, paired intervals by hand, and what a bootstrap may never say."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from kdsweep.results.intervals import Summary, front_probabilities, t_quantile


@pytest.mark.parametrize(
    ("degrees", "quantile"),
    # Table 26.10 of Abramowitz and Stegun: two-sided 95 %, and one-sided 99.5 % below.
    [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (5, 2.571), (9, 2.262), (30, 2.042)],
)
def test_quantiles_are_those_of_the_table(degrees, quantile):
    assert t_quantile(0.975, degrees) == pytest.approx(quantile, abs=5e-4)
    assert t_quantile(0.025, degrees) == pytest.approx(-t_quantile(0.975, degrees))


def test_two_degrees_have_a_formula():  # t = (2 p - 1) sqrt(2 / (4 p (1 - p)))
    for p in (0.6, 0.9, 0.995):
        expected = (2 * p - 1) * math.sqrt(2 / (4 * p * (1 - p)))
        assert t_quantile(p, 2) == pytest.approx(expected, rel=1e-12)


def test_a_quantile_that_there_is_not_is_refused():
    for probability, degrees in ((0.0, 3), (1.0, 3), (0.5, 0)):
        with pytest.raises(ValueError, match="no quantile"):
            t_quantile(probability, degrees)


def test_an_interval_by_hand():
    # Mean 2, squares 1 + 0 + 1, deviation 1; half = 4.302653 / sqrt(3) = 2.484138.
    found = Summary((1.0, 2.0, 3.0))
    assert (found.mean, found.deviation) == (2.0, 1.0)
    assert found.half == pytest.approx(4.302653 / math.sqrt(3), abs=1e-6)
    assert found.interval == pytest.approx((-0.484138, 4.484138), abs=1e-6)


def test_the_interval_of_accuracies_stays_between_0_and_1():
    # Mean 0.95, deviation 0.0707; half = 12.706 * 0.05 = 0.635: 0.315 to 1.585.
    assert Summary((0.9, 1.0)).share_interval == pytest.approx((0.3147, 1.0), abs=1e-4)
    assert Summary((0.0, 0.1)).share_interval == pytest.approx((0.0, 0.6853), abs=1e-4)
    assert all(math.isnan(end) for end in Summary((0.5,)).share_interval)


def test_of_one_value_there_is_no_spread():
    found = Summary((0.9,))
    assert found.mean == 0.9
    assert math.isnan(found.deviation)
    assert math.isnan(found.half)


def by_seed(accuracies, size):
    """A point's objectives, to be minimised: the negative accuracy of each seed, and its size."""
    return [[-accuracy, size] for accuracy in accuracies]


def test_a_front_of_two_seeds_by_hand():
    # Of (0, 0), (0, 1), (1, 0), (1, 1) the larger is ahead of the smaller in the mean only where
    # both draws are of the second seed, and level in the two mixed ones: 1/4 of all.
    smaller, larger = by_seed([0.8, 0.7], 1), by_seed([0.7, 0.8], 2)
    found = front_probabilities(np.array([smaller, larger]), resamples=20_000)
    assert found[0] == 1.0
    assert found[1] == pytest.approx(0.25, abs=0.02)


def test_equal_points_are_both_on_the_front():
    values = np.array([by_seed([0.8, 0.9], 5), by_seed([0.8, 0.9], 5)])
    assert front_probabilities(values).tolist() == [1.0, 1.0]


def test_a_seed_gives_the_same_again():
    values = np.array([by_seed([0.8, 0.9, 0.7], 1), by_seed([0.9, 0.8, 0.9], 1)])
    one, same, other = (front_probabilities(values, seed=seed) for seed in (1, 1, 2))
    assert one.tolist() == same.tolist() != other.tolist()


def test_of_no_points_there_are_no_probabilities():
    assert front_probabilities(np.zeros((0, 3, 2))).shape == (0,)


VALUES = st_numpy.arrays(
    np.float64,
    st.tuples(st.integers(1, 6), st.integers(1, 5), st.integers(1, 3)),
    elements=st.floats(0, 1, width=16),
)


@settings(max_examples=60, deadline=None)
@given(values=VALUES)
def test_probabilities_are_shares_and_somebody_is_always_on_the_front(values):
    found = front_probabilities(values, resamples=200)
    assert ((found >= 0) & (found <= 1)).all()
    assert found.sum() >= 1 - 1e-9


@settings(max_examples=60, deadline=None)
@given(values=VALUES, behind=st.floats(0.01, 1))
def test_who_is_worse_with_every_seed_is_never_on_the_front(values, behind):
    worse = values[:1] + behind
    found = front_probabilities(np.concatenate([values, worse]), resamples=200)
    assert found[-1] == 0
    # And takes nothing from the others.
    assert found[:-1].tolist() == front_probabilities(values, resamples=200).tolist()


def test_many_points_are_compared_in_pieces(monkeypatch):
    values = np.random.default_rng(0).random((7, 4, 2))
    at_once = front_probabilities(values, resamples=500)
    monkeypatch.setattr("kdsweep.results.intervals._MOST_COMPARED", 100)
    assert front_probabilities(values, resamples=500).tolist() == at_once.tolist()
