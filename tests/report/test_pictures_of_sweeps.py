from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sweep_views import NONE, RUN, replicated, shares, student, view

from kdsweep.report.importance import ObjectiveImportance, SettingShare
from kdsweep.report.pictures import curves, hypervolume, importance, strategies
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


def test_every_setting_is_a_bar_beside_chance_and_those_above_it_are_told_apart():
    given = shares(train__lr=(0.6, 0.2), alpha=(0.3, 0.3), seed=(0.1, 1.5), weight=(None, None))
    data = importance.gather(view(RUN, given))
    assert data.sentences == (
        (0.0, "Accuracy: 1 of 4 settings told from chance, 20 complete students."),
    )
    assert [bar.label for bar in data.bars] == ["train.lr", "alpha", "seed", "weight"]
    assert [bar.share for bar in data.bars] == pytest.approx([60, 30, 10, 0])
    # The axis ends beyond 100 percent, and says how far chance reaches beyond that.
    assert data.edge == 105
    assert [bar.chance for bar in data.bars] == pytest.approx([20, 30, 105, 0])
    assert [bar.beyond for bar in data.bars] == ["", "", "150%", ""]
    assert [bar.remark for bar in data.bars][3] == (
        "too few to tell: 5 of the 12 students that it takes"
    )
    figure = importance.draw_figure(data).to_plotly_json()
    bars = {trace["name"]: list(trace["x"]) for trace in figure["data"]}
    assert bars == {
        "what shuffled outcomes reach in 1 of 20": pytest.approx([20, 30, 105]),
        "told from chance": pytest.approx([60]),
        "not told from chance": pytest.approx([30, 10]),
    }
    texts = [each["text"] for each in figure["layout"]["annotations"]]
    assert "to 150% \N{RIGHTWARDS ARROW}" in texts
    assert data.bars[1].hover == "alpha: 30.0%, by chance up to 30.0%, 20 students"


def test_where_no_setting_is_told_from_chance_the_picture_says_so_with_its_bars():
    data = importance.gather(view(RUN, shares(lr=(0.6, 0.9), alpha=(0.4, 0.5))))
    ((_, said),) = data.sentences
    assert said == "Accuracy: no setting is told from chance, 20 complete students."
    assert len(data.bars) == 2
    figure = importance.draw_figure(data).to_plotly_json()
    assert [trace["name"] for trace in figure["data"]] == [
        "what shuffled outcomes reach in 1 of 20", "not told from chance"
    ]  # fmt: skip
    assert importance.draw_png(data).startswith(b"\x89PNG")


def test_a_picture_without_bars_says_why():
    given = {"accuracy": ObjectiveImportance((), 3, "3 complete trials have one, 12 are needed")}
    data = importance.gather(view(RUN, given))
    assert data.bars == ()
    figure = importance.draw_figure(data).to_plotly_json()
    assert [each["text"] for each in figure["layout"]["annotations"]] == [
        "No importance for accuracy: 3 complete trials have one, 12 are needed."
    ]
    assert importance.draw_png(data).startswith(b"\x89PNG")
    # Of what was not computed there is no picture.
    assert importance.gather(view(RUN)) is None


def test_of_very_many_settings_the_least_are_left_out():
    many = {"accuracy": ObjectiveImportance(
        tuple(SettingShare(f"s{n}", 1 / 40, 0.1, 20) for n in range(40)), 20
    )}  # fmt: skip
    data = importance.gather(view(RUN, many))
    assert (len(data.bars), data.left_out) == (30, 10)


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
