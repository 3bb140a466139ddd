import math
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sweep_views import KD, NONE, student, view

from kdsweep.report.pictures import coordinates
from kdsweep.report.pictures.canvas import broken
from kdsweep.report.pictures.scales import (
    ABSENT,
    Scale,
    coordinate,
    scale_in,
    scale_of_most,
)
from kdsweep.sweep_file.space import space_of

SPACE = space_of(
    """
space:
  train.lr: {loguniform: [1.0e-3, 1.0e-1]}
  train.epochs: {int: [1, 64], log: true}
  data.limit: {choice: [10, 100, 5000]}
  strategy:
    choice:
      - {name: none}
      - {name: kd, temperature: {loguniform: [1, 4]}, alpha: {uniform: [0, 1]}}
      - {name: dkd, temperature: {loguniform: [2, 16]}}
"""
)


def test_an_axis_scales_numbers_and_orders_names():
    found = coordinate("T", [1.0, 100.0, 10.0, None])
    # More than a factor of 20: by the logarithm.
    assert found.places == pytest.approx((0, 1, 0.5, ABSENT))
    assert found.marks[-1] == (ABSENT, "without")
    assert coordinate("a", [0.0, 1.0, 0.25]).places == pytest.approx((0, 1, 0.25))
    named = coordinate("s", ["kd", "none", "dkd"])
    assert named.places == (0.5, 1, 0)
    assert [text for _, text in named.ticks] == ["dkd", "kd", "none"]


def test_an_axis_has_the_bounds_and_the_logarithm_of_the_space():
    assert scale_in(SPACE, "train.lr", [0.01]) == (Scale(0.001, 0.1, True), False)
    assert scale_in(SPACE, "train.epochs", [2]) == (Scale(1, 64, True), False)
    assert scale_in(SPACE, "strategy.alpha", [0.5, None]) == (Scale(0, 1, False), False)
    # Two branches have a temperature: from the least of both to the greatest.
    assert scale_in(SPACE, "strategy.temperature", [3.0]) == (Scale(1, 16, True), False)
    # A choice among numbers is in order, whatever their distance; what is not searched has none.
    assert scale_in(SPACE, "data.limit", [10]) == (None, True)
    assert scale_in(SPACE, "train.momentum", [0.9]) == (None, False)
    assert scale_in(None, "train.lr", [0.01]) == (None, False)


def test_ticks_of_a_logarithmic_axis_are_real_values_at_their_places():
    found = coordinate("lr", [0.002, 0.01, 0.1], scale=Scale(0.001, 0.1, True))
    assert found.places == pytest.approx((0.150515, 0.5, 1), abs=1e-6)  # log10(2) / 2
    assert {text: place for place, text in found.ticks} == pytest.approx(
        {"0.001": 0, "0.002": 0.150515, "0.005": 0.349485, "0.01": 0.5, "0.02": 0.650515,
         "0.05": 0.849485, "0.1": 1}, abs=1e-6,
    )  # fmt: skip


def test_numbers_of_a_choice_are_in_order_and_evenly_apart():
    found = coordinate("limit", [5000, 10, 100], in_order=True)
    assert found.places == (1, 0, 0.5)
    assert [text for _, text in found.ticks] == ["10", "100", "5000"]


def test_a_value_beyond_the_bounds_is_beyond_the_end_with_its_value():
    found = coordinate("lr", [0.01, 1e-9, 7.0], scale=Scale(0.001, 0.1, True))
    assert found.places[0] == pytest.approx(0.5)
    assert found.places[1] < 0
    assert found.places[2] > 1
    assert [text for _, text in found.ticks][-2:] == [
        "1e-09 \N{DOWNWARDS ARROW}", "7 \N{UPWARDS ARROW}"
    ]  # fmt: skip


def test_zero_on_a_logarithmic_axis_is_below_it():
    # As a control that has no weight decay.
    found = coordinate("decay", [0.0, 1e-12, 1.0], scale=Scale(1e-12, 1.0, True))
    assert found.places[0] < 0
    assert found.places[1:] == (0, 1)
    assert found.ticks[-1] == (found.places[0], "0 \N{DOWNWARDS ARROW}")


def test_one_at_chance_level_does_not_squeeze_the_others():
    # Quartiles 0.90 and 0.94, so that what is below 0.84 is far from the most.
    values = [90.0, 91.0, 92.0, 94.0, 95.0, 96.0, 10.0]
    assert scale_of_most(values, []) == Scale(90.0, 96.0, False)
    # A member of the front is inside, however far.
    assert scale_of_most(values, [10.0]) == Scale(10.0, 96.0, False)
    assert scale_of_most([5.0, 5.0], []) == Scale(5.0, 5.0, False)


positive = st.floats(1e-6, 1e6)


@example([1.0, 1.0], 1.0000000000000002e-06, 1e-06, True)
@given(st.lists(positive, min_size=2, max_size=20), positive, positive, st.booleans())
def test_every_line_is_within_the_picture_and_ticks_can_be_read(values, one, other, logarithmic):
    low, high = sorted((one, other))
    found = coordinate("x", values, scale=Scale(low, high, logarithmic))
    assert all(ABSENT < place < 1.1 for place in found.places)
    places = sorted(place for place, _ in found.ticks)
    assert all(b - a >= 0.0699 for a, b in pairwise(places))
    order = sorted(range(len(values)), key=values.__getitem__)
    assert all(found.places[a] <= found.places[b] for a, b in pairwise(order))


def test_students_are_ranked_in_equal_parts():
    assert coordinates.ranked([5, 1, 2, 3, 4], 5) == (0, 4, 3, 2, 1)
    assert coordinates.ranked([1.0, 2.0], 2) == (1, 0)
    # Equal ones are in the same part.
    assert coordinates.ranked([3, 1, 3, 3], 2) == (0, 1, 0, 0)


def drawn(number, strategy, **more):
    """A student whose strategy has what was drawn for it."""
    name = strategy["name"]
    keys = {"temperature", "alpha", "weight"} & set(strategy)
    params = {"strategy": name, **{f"strategy[{name}].{key}": strategy[key] for key in keys}}
    found = student(number, 0.5 + number / 100, 1000 * (number + 1), strategy=strategy, **more)
    return found.model_copy(update={"params": params})


def test_a_student_without_a_setting_passes_its_axis_below():
    results = [drawn(0, KD), drawn(1, {**KD, "temperature": 1.0}), drawn(2, NONE)]
    data = coordinates.gather(view(results, space=SPACE))
    (found,) = [each for each in data.coordinates if each.name == "T"]
    # Of 1 to 16 by the logarithm.
    assert found.places == pytest.approx((math.log(4.25) / math.log(16), 0, ABSENT))
    assert coordinates.gather(view(results[:1])) is None


def test_an_axis_says_whose_weight_it_is():
    fitnet = [drawn(n, {"name": "fitnet", "weight": 0.1 * (n + 1)}) for n in range(3)]
    names = [each.name for each in coordinates.gather(view([*fitnet, drawn(3, KD)])).coordinates]
    assert "fitnet.weight" in names
    other = drawn(4, {"name": "mine.losses:Attention", "weight": 0.7})
    data = coordinates.gather(view([*fitnet, other]))
    assert "strategy.weight" in [each.name for each in data.coordinates]
    assert "Attention.weight" in [
        each.name for each in coordinates.gather(
            view([other, drawn(5, {"name": "mine.losses:Attention", "weight": 0.2})])
        ).coordinates
    ]  # fmt: skip


def test_long_names_are_broken_and_push_the_next_axis_away():
    assert broken("attention_transfer", 14) == ("attention_", "transfer")
    assert broken("kd+attention_transfer", 14) == ("kd+attention_", "transfer")
    assert broken("kd", 14) == ("kd",)
    # Without a place to break at it stays whole.
    assert broken("x" * 20, 14) == ("x" * 20,)
    names = ("kd", "attention_transfer")
    results = [drawn(n, {"name": names[n % 2], "temperature": 1.0 + n}) for n in range(4)]
    data = coordinates.gather(view(results))
    assert [each.name for each in data.coordinates][1:3] == ["strategy", "T"]
    # Of ten characters in a line, eight of which a step has room for.
    assert data.xs[:3] == pytest.approx((0, 1, 2.25))
    figure = coordinates.draw_figure(data).to_plotly_json()["layout"]
    (name,) = [each for each in figure["annotations"] if each["text"].startswith("attention")]
    assert (name["text"], name["x"]) == ("attention_<br>transfer", 1)
    assert list(figure["xaxis"]["tickvals"]) == pytest.approx(data.xs)
    # So many pixels a step, and the margins.
    assert figure["meta"]["least_width"] == round(130 + 62 * (data.xs[-1] + 1.1))


def test_of_few_students_halves_are_told_apart_and_of_many_fifths():
    few = coordinates.gather(view([drawn(n, KD) for n in range(4)]))
    assert ([name for name, _ in few.legend], few.groups) == (
        ["better half", "other half"], (1, 1, 0, 0)
    )  # fmt: skip
    many = coordinates.gather(view([drawn(n, KD) for n in range(10)]))
    assert (many.legend[0][0], many.groups) == ("best fifth", (4, 4, 3, 3, 2, 2, 1, 1, 0, 0))
    alike = [
        drawn(n, {**KD, "alpha": n / 9}).model_copy(
            update={"metrics": {"accuracy": 0.5, "params": 10.0 * (n + 1)}}
        )
        for n in range(10)
    ]
    data = coordinates.gather(view(alike))
    assert (data.legend[0][0], set(data.groups)) == ("all are alike", {0})


def test_of_very_many_students_those_in_the_middle_are_hidden_at_first():
    students = [student(n, 0.5 + n / 1000, 1000 + n) for n in range(260)]
    data = coordinates.gather(view(students))
    figure = coordinates.draw_figure(data).to_plotly_json()
    shown = {trace["name"]: trace["visible"] for trace in figure["data"]}
    assert shown == {
        "best fifth": True, "second fifth": "legendonly", "middle fifth": "legendonly",
        "fourth fifth": "legendonly", "last fifth": True,
    }  # fmt: skip
    assert list(coordinates.gather(view(students[:250])).hidden) == []
    assert coordinates.draw_png(data).startswith(b"\x89PNG")
