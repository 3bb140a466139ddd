from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sweep_views import KD, NONE, RUN, replicated, student, view

from kdsweep.report.pictures import coordinates, curves, hypervolume, importance, strategies
from kdsweep.report.size_classes import MOST_CLASSES, size_classes
from kdsweep.results.pareto import hypervolume as area_of

pairs = st.tuples(st.floats(-5, 5), st.floats(-5, 5))


def test_areas_by_hand():
    # The corner is a tenth of the ranges 3 and 4 beyond (3, 0): (3.3, 0.4). (0, 0) covers
    # 3.3 * 0.4, (1, -2) adds 2.3 * 2, (2, -4) adds 1.3 * 2, and the others lie inside.
    rows = np.array([[0.0, 0.0], [1.0, -2.0], [2.0, -4.0], [2.0, -1.0], [3.0, 0.0]])
    found = hypervolume.areas_over_time(rows)
    assert found == pytest.approx([1.32, 5.92, 8.52, 8.52, 8.52])


@given(st.lists(pairs, min_size=1, max_size=12))
def test_areas_are_those_of_all_rows_so_far_and_never_shrink(rows):
    values = np.array(rows)
    found = hypervolume.areas_over_time(values)
    worst = (values.max(axis=0) + 0.1 * (values.max(axis=0) - values.min(axis=0))).tolist()
    expected = [area_of(values[: i + 1], worst) for i in range(len(values))]
    assert found == pytest.approx(expected, abs=1e-9)
    assert all(b >= a - 1e-9 for a, b in pairwise(found))


def test_hypervolume_over_time_by_hand():
    # log10 of the sizes 2, 3, 4; accuracies 50, 90, 70: the corner is (4.2, 46). The first covers
    # 2.2 * 4 = 8.8, the second 1.2 * 40 = 48 more, the last nothing.
    results = [student(0, 0.5, 100), student(1, 0.9, 1000), student(2, 0.7, 10_000)]
    data = hypervolume.gather(view(results))
    assert data.seconds == (10, 20, 30)
    assert data.percent == pytest.approx((100 * 8.8 / 56.8, 100, 100))
    assert data.unit == (1.0, "seconds")
    assert hypervolume.gather(view(results[:1])) is None


def test_pauses_of_a_sweep_are_no_time():
    # Two at once until 15, then nothing for 85 s, then five more: 20 s were trained.
    results = [
        student(0, 0.5, 10, started=0.0, seconds=10.0),
        student(1, 0.5, 10, started=5.0, seconds=10.0),
        student(2, 0.5, 10, started=100.0, seconds=5.0),
    ]
    assert hypervolume.seconds_trained(tuple(results)) == {"t0": 10, "t1": 15, "t2": 20}


def test_the_spread_of_strategies_by_hand():
    # Of 1, 2, 3 and 4 the quartiles are 1.75, 2.5 and 3.25.
    accuracies = [0.91, 0.92, 0.93, 0.94]
    results = [student(i, a, 1000) for i, a in enumerate(accuracies)]
    data = strategies.gather(view([*results, student(4, 0.9, 1000, strategy=NONE)]))
    assert data.classes == ("1k",)
    assert list(data.cells) == ["none", "kd"]
    (cell,) = data.cells["kd"]
    assert (cell.lower, cell.median, cell.upper) == pytest.approx((91.75, 92.5, 93.25))
    assert cell.values == pytest.approx((91, 92, 93, 94))


def test_few_sizes_have_a_class_each_and_many_are_cut_by_a_factor():
    few = [student(i, 0.9, size) for i, size in enumerate([100, 3000, 100])]
    assert [(c.low, c.high, len(c.results)) for c in size_classes(few, "params")] == [
        (100, 100, 2), (3000, 3000, 1)
    ]  # fmt: skip
    # From 100 on by factors of 2: 100 to 199, 200 to 399, 400 to 799, 800 to 1599.
    many = [student(i, 0.9, 100 * (i + 1)) for i in range(12)]
    assert [(c.low, c.high) for c in size_classes(many, "params")] == [
        (100, 100), (200, 300), (400, 700), (800, 1200)
    ]  # fmt: skip
    assert [c.words for c in size_classes(many, "params")][1] == "200 to 300"
    assert size_classes([RUN[0].model_copy(update={"metrics": {}})], "params") == []


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=40))
def test_every_student_is_in_one_class_and_classes_do_not_overlap(sizes):
    results = [student(i, 0.9, size) for i, size in enumerate(sizes)]
    found = size_classes(results, "params")
    assert len(found) <= MOST_CLASSES
    assert sorted(r.number for c in found for r in c.results) == list(range(len(sizes)))
    assert all(a.high < b.low for a, b in pairwise(found))


def test_an_axis_scales_numbers_and_orders_names():
    found = coordinates.coordinate("T", [1.0, 100.0, 10.0, None])
    # More than a factor of 20: by the logarithm.
    assert found.places == pytest.approx((0, 1, 0.5, -0.12))
    assert found.marks[-1] == (-0.12, "\N{EN DASH}")
    assert coordinates.coordinate("a", [0.0, 1.0, 0.25]).places == pytest.approx((0, 1, 0.25))
    named = coordinates.coordinate("s", ["kd", "none", "dkd"])
    assert named.places == (0.5, 1, 0)
    assert [text for _, text in named.ticks] == ["dkd", "kd", "none"]


def test_fifths_are_by_rank():
    assert coordinates.fifths([5, 1, 2, 3, 4]) == (0, 4, 3, 2, 1)
    assert coordinates.fifths([1.0, 2.0]) == (2, 0)


def test_a_student_without_a_setting_passes_its_axis_below():
    cooler = {**KD, "temperature": 2.0}
    results = [
        student(0, 0.8, 1000), student(1, 0.9, 2000, strategy=cooler),
        student(2, 0.7, 3000, strategy=NONE),
    ]  # fmt: skip
    for number, result in enumerate(results):
        strategy = result.trial["strategy"]
        drawn = {"strategy[kd].temperature": strategy.get("temperature")} if number < 2 else {}
        results[number] = result.model_copy(update={"params": {**result.params, **drawn}})
    data = coordinates.gather(view(results))
    (found,) = [each for each in data.coordinates if each.name == "T"]
    assert found.places == (1, 0, -0.12)
    assert coordinates.gather(view(results[:1])) is None


def test_the_settings_that_matter_most_come_first_and_those_of_no_share_not():
    shares = {"accuracy": {"a": 0.25, "b": 0.75, "c": 0.0}, "params": {"d": 1.0}}
    data = importance.gather(view(RUN, shares))
    assert data.settings == ("b", "a", "d")
    assert data.shares == {"accuracy": (0.75, 0.25, 0.0), "params": (0.0, 0.0, 1.0)}
    assert importance.gather(view(RUN)) is None
    assert importance.gather(view(RUN, {"accuracy": {"a": 0.0}})) is None


def test_curves_are_of_the_front_and_of_each_replicate():
    data = curves.gather(view(RUN))
    assert [curve.values for curve in data.curves] == [
        (50, 70, 75, 80), (60, 80, 85, 90), (70, 90)
    ]  # fmt: skip
    assert [curve.name for curve in data.curves] == ["1k: kd", "10k: none", "100k: fitnet"]
    points = replicated(0, [0.75, 0.85], 1000, epochs=(0.5, 0.6))
    data = curves.gather(view(points))
    assert [(curve.member, curve.values) for curve in data.curves] == [(0, (50, 60))] * 2
    assert curves.gather(view([student(0, 0.9, 10)])) is None


@given(st.integers(0, 60), st.integers(2, 12))
def test_evenly_keeps_both_ends(num, most):
    found = curves.evenly(num, most)
    assert len(found) <= most
    if num:
        assert {found[0], found[-1]} == {0, num - 1}
