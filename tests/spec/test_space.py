"""The search space: names, walks, corners, grids, and every refusal with its sentence."""

import math

import pytest

from kdsweep.errors import SpecError
from kdsweep.spec import Space

RAW = {
    "student.width": {"choice": [4, 8]},
    "train.lr": {"loguniform": [1e-4, 1e-2]},
    "strategy": {
        "choice": [
            {"name": "none"},
            {
                "name": "kd",
                "temperature": {"loguniform": [1, 20]},
                "extra": {"choice": [None, {"fitnet": {"weight": {"uniform": [0, 1]}}}]},
            },
        ]
    },
}


def refusal(raw):
    with pytest.raises(SpecError) as caught:
        Space.parse(raw)
    return list(caught.value.problems)


def draw(space, **drawn):
    """Resolve with the given labels by name, and the first or lowest of the others."""
    return space.resolve(lambda d: drawn.get(d.name, d.ends()[0]))


def test_dimensions_are_flat_with_unique_names_and_conditions():
    found = {d.name: (d.path, d.kind, d.conditions) for d in Space.parse(RAW).dimensions()}
    kd = ("strategy", "kd")
    hint = ("strategy[kd].extra", "option 2")
    assert found == {
        "student.width": ("student.width", "choice", ()),
        "train.lr": ("train.lr", "loguniform", ()),
        "strategy": ("strategy", "choice", ()),
        "strategy[kd].temperature": ("strategy.temperature", "loguniform", (kd,)),
        "strategy[kd].extra": ("strategy.extra", "choice", (kd,)),
        "strategy[kd].extra[option 2].fitnet.weight": (
            "strategy.extra.fitnet.weight",
            "uniform",
            (kd, hint),
        ),
    }


def test_resolve_asks_only_for_what_is_reached():
    asked = []

    def suggest(dimension):
        asked.append(dimension.name)
        return dimension.ends()[0]

    point = Space.parse(RAW).resolve(suggest)
    assert asked == ["student.width", "train.lr", "strategy"]
    assert point.params == {"student.width": 4, "train.lr": 1e-4, "strategy": "none"}
    assert point.changes == {"student.width": 4, "train.lr": 1e-4, "strategy": {"name": "none"}}


def test_resolve_goes_into_branches_of_branches():
    point = draw(Space.parse(RAW), **{"strategy": "kd", "strategy[kd].extra": "option 2"})
    assert point.params == {
        "student.width": 4,
        "train.lr": 1e-4,
        "strategy": "kd",
        "strategy[kd].temperature": 1.0,
        "strategy[kd].extra": "option 2",
        "strategy[kd].extra[option 2].fitnet.weight": 0.0,
    }
    assert point.changes["strategy"] == {
        "name": "kd",
        "temperature": 1.0,
        "extra": {"fitnet": {"weight": 0.0}},
    }


def test_resolve_refuses_an_answer_outside_its_dimension():
    with pytest.raises(SpecError, match="must be one of 4, 8"):
        draw(Space.parse(RAW), **{"student.width": 5})
    with pytest.raises(SpecError, match=r"space\.train\.lr: 0\.1 is not allowed: must be a number"):
        draw(Space.parse(RAW), **{"train.lr": 0.1})


def test_points_do_not_share_what_they_hold():
    space = Space.parse({"a": {"choice": [[1, 2], {"name": "x", "deep": {"list": [1]}}]}})
    first = space.resolve(lambda d: "x").changes["a"]
    first["deep"]["list"].append(2)
    assert space.resolve(lambda d: "x").changes["a"]["deep"]["list"] == [1]


@pytest.mark.parametrize(
    ("members", "labels"),
    [
        ([None, True, 3, 0.5, "text"], (None, True, 3, 0.5, "text")),
        ([[1, 2], [3]], ("[1, 2]", "[3]")),
        ([{"name": "a"}, {"name": "b", "x": 1}], ("a", "b")),
        ([{"name": "a"}, {"name": "a", "x": 1}, {"x": 1}], ("a#1", "a#2", "option 3")),
        (["a", {"name": "a"}], ("a", "a#2")),
        ([{"uniform": [0, 1]}, None], ("option 1", None)),
        (["option 2", {"x": 1}, "option 2#2"], ("option 2", "option 2#2'", "option 2#2")),
    ],
)
def test_labels(members, labels):
    assert Space.parse({"a": {"choice": members}}).dimensions()[0].labels == labels


def test_a_member_may_be_a_range_itself():
    space = Space.parse({"train.clip_norm": {"choice": [None, {"loguniform": [0.1, 10]}]}})
    assert [d.name for d in space.dimensions()] == [
        "train.clip_norm",
        "train.clip_norm[option 2]",
    ]
    drawn = draw(space, **{"train.clip_norm": "option 2", "train.clip_norm[option 2]": 3.0})
    assert drawn.changes == {"train.clip_norm": 3.0}


def test_corners_vary_one_path_at_a_time_then_all():
    space = Space.parse(
        {
            "width": {"int": [4, 8], "step": 2},
            "strategy": {
                "choice": [{"name": "none"}, {"name": "kd", "t": {"uniform": [1, 2]}, "x": 5}]
            },
        }
    )
    assert [corner.changes for corner in space.corners()] == [
        {"width": 4},
        {"width": 8},
        {"strategy": {"name": "none"}},
        {"strategy": {"name": "kd", "t": 1.0, "x": 5}},
        {"strategy": {"name": "kd", "t": 1.0, "x": 5}},
        {"strategy": {"name": "kd", "t": 2.0, "x": 5}},
        {"width": 4, "strategy": {"name": "none"}},
        {"width": 8, "strategy": {"name": "kd", "t": 2.0, "x": 5}},
    ]


def test_grid_by_hand():
    space = Space.parse(
        {
            "lr": {"loguniform": [0.01, 1]},
            "strategy": {
                "choice": [{"name": "none"}, {"name": "kd", "alpha": {"uniform": [0, 1]}}]
            },
        }
    )
    points = list(space.grid(3))
    assert len(points) == space.grid_size(3) == 3 * (1 + 3)
    assert [p.params.get("strategy[kd].alpha") for p in points[:4]] == [None, 0.0, 0.5, 1.0]
    middle = points[4].params["lr"]
    assert math.isclose(middle, 0.1)
    assert points[-1].params == {"lr": 1.0, "strategy": "kd", "strategy[kd].alpha": 1.0}


@pytest.mark.parametrize(
    ("form", "points", "values"),
    [
        ({"int": [1, 9]}, 3, (1, 5, 9)),
        ({"int": [1, 2]}, 5, (1, 2)),
        ({"int": [4, 16], "step": 4}, 3, (4, 12, 16)),
        ({"int": [1, 100], "log": True}, 3, (1, 10, 100)),
        ({"uniform": [0, 1]}, 2, (0.0, 1.0)),
    ],
)
def test_values_of_a_range(form, points, values):
    dimension = Space.parse({"a": form}).dimensions()[0]
    assert dimension.values(points) == values
    assert all(dimension.contains(value) for value in values)


def test_locate_is_the_inverse():
    space = Space.parse(RAW)
    trial = {
        "student": {"name": "cnn", "width": 8},
        "train": {"lr": 0.001, "epochs": 3},
        "strategy": {"name": "kd", "temperature": 4, "extra": {"fitnet": {"weight": 1}}},
    }
    located = space.locate(trial)
    assert located == {
        "student.width": 8,
        "train.lr": 0.001,
        "strategy": "kd",
        "strategy[kd].temperature": 4.0,
        "strategy[kd].extra": "option 2",
        "strategy[kd].extra[option 2].fitnet.weight": 1.0,
    }
    assert space.locate({**trial, "student": {"name": "cnn", "width": 5}}) is None
    assert space.locate({**trial, "train": {"epochs": 3}}) is None
    assert space.locate({**trial, "strategy": {"name": "kd", "temperature": 4}}) is None
    assert space.locate({**trial, "strategy": {"name": "none", "more": 1}}) is None


def test_locate_with_defaults_compares_what_is_left_out():
    space = Space.parse(
        {"strategy": {"choice": [{"name": "kd"}, {"name": "kd", "t": {"uniform": [0, 9]}}]}}
    )

    def fill(path, value):
        return {"t": 4.0, **value} if path == "strategy" else value

    assert space.locate({"strategy": {"name": "kd"}}, defaults=fill) == {"strategy": "kd#1"}
    assert space.locate({"strategy": {"name": "kd", "t": 5}}, defaults=fill) == {
        "strategy": "kd#2",
        "strategy[kd#2].t": 5.0,
    }
    assert space.locate({"strategy": {"name": "kd", "t": 10}}, defaults=fill) is None


def test_under_keeps_a_path_and_what_lies_below():
    space = Space.parse(
        {p: {"choice": [1, 2]} for p in ("student.width", "students.x", "student.depth")}
    )
    assert [p for p, _ in space.under("student").entries] == ["student.width", "student.depth"]


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({"loguniform": [1e-2, 1e-4]},
         "[0.01, 0.0001] is upside down: did you mean [0.0001, 0.01]?"),
        ({"uniform": [1, 1]}, "[1, 1] has one value: set it in trial, or widen the range"),
        ({"loguniform": [0, 1]}, "0 is not allowed: a logarithmic range must start above 0"),
        (
            {"int": [0, 8], "log": True},
            "0 is not allowed: a logarithmic range must start above 0",
        ),
        ({"uniform": [0, math.inf]}, "inf is not allowed: both ends must be finite"),
        ({"uniform": [math.nan, 1]}, "nan is not allowed: both ends must be finite"),
        ({"uniform": [-1e308, 1e308]},
         "[-1e+308, 1e+308] is not allowed: wider than a float can count"),
        ({"uniform": [True, 2]}, "True is not a number: uniform must be [low, high]"),
        (
            {"uniform": ["0.1", 2]},
            "'0.1' is not a number: uniform must be [low, high] (write it without quotes)",
        ),
        ({"uniform": 3}, "uniform is 3: must be [low, high]"),
        ({"uniform": [1, 2, 3]}, "uniform is [1, 2, 3]: must be [low, high]"),
        ({"int": [1, 2.5]}, "2.5 is not a whole number: int must be [low, high] of whole numbers"),
        ({"int": [0, 2**60]}, f"{2**60} is not allowed: must be within -2**53..2**53"),
        (
            {"int": [1, 8], "step": 4},
            "8 cannot be reached from 1 in steps of 4: the nearest allowed end is 5 or 9",
        ),
        (
            {"int": [1, 4], "step": 8},
            "4 cannot be reached from 1 in steps of 8: the nearest allowed end is 9",
        ),
        ({"int": [1, 8], "step": 0}, "step is 0: must be a whole number of at least 1"),
        ({"int": [1, 8], "log": 1}, "log is 1: must be true or false"),
        ({"int": [1, 9], "step": 4, "log": True}, "has both log and step: keep one of the two"),
        (
            {"int": [1, 9], "stepp": 4},
            "unknown key 'stepp'; did you mean 'step'? (allowed beside int: log, step)",
        ),
        (
            {"uniform": [1, 9], "log": True},
            "unknown key 'log'; did you mean {loguniform: [low, high]}? "
            "(allowed beside uniform: nothing)",
        ),
        ({"uniform": [0, 1], "int": [0, 1]}, "has both 'uniform' and 'int': keep one of the two"),
        ({"choice": []}, "choice is []: must be a list of one member or more"),
        ({"choice": 4}, "choice is 4: must be a list of one member or more"),
        ({"choice": [4, 8, 4]}, "members 1 and 3 of choice are the same (4): remove one"),
        ({"choice": [1, True]}, "members 1 and 2 of choice are the same (True): remove one"),
        (
            {"choice": [{"name": "kd"}, {"name": "kd"}]},
            "members 1 and 2 of choice are the same ({'name': 'kd'}): remove one",
        ),
        ({"choice": [4], "log": True}, "unknown key 'log' (allowed beside choice: nothing)"),
        (
            {"loguniorm": [1, 2]},
            "unknown key 'loguniorm'; did you mean 'loguniform'? "
            "(allowed: choice, uniform, loguniform, int, together)",
        ),
        (
            [4, 8],
            "[4, 8] is not a dimension: must be {choice: [..]}, {uniform: [low, high]}, "
            "{loguniform: [low, high]} or {int: [low, high]}; did you mean {choice: [4, 8]}?",
        ),
        (
            {},
            "is empty: must be {choice: [..]}, {uniform: [low, high]}, "
            "{loguniform: [low, high]} or {int: [low, high]}",
        ),
    ],
)  # fmt: skip
def test_a_bad_dimension_is_refused_with_its_sentence(form, sentence):
    assert refusal({"train.lr": form}) == [f"space.train.lr: {sentence}"]


def test_a_bad_range_inside_a_branch_is_named_by_its_dimension():
    raw = {"strategy": {"choice": [{"name": "kd", "loss": {"t": {"uniform": [2, 1]}}}]}}
    assert refusal(raw) == [
        "space.strategy[kd].loss.t: [2, 1] is upside down: did you mean [1, 2]?"
    ]


def test_nothing_is_searched_inside_a_list():
    raw = {"a": {"choice": [[{"uniform": [1, 2]}], 3]}}
    assert refusal(raw) == [
        "space.a[[{\"uniform\": [1, 2]}]]: {'uniform': [1, 2]} stands inside a list, where nothing "
        "is searched: make each whole list a member of a choice"
    ]


def test_a_constant_must_be_finite_and_plain():
    assert refusal({"a": {"choice": [math.inf, {1, 2}]}}) == [
        "space.a[inf]: inf is not allowed: must be finite",
        "space.a[{1, 2}]: {1, 2} is not allowed: must be null, true, false, a number, text, "
        "a list or a mapping",
    ]


@pytest.mark.parametrize("path", ["", "a..b", ".a", "a[0]", 3])
def test_a_path_is_keys_joined_by_dots(path):
    assert refusal({path: {"choice": [1]}}) == [
        f"space: {path!r} is not a path: must be keys joined by dots, as train.lr"
    ]


def test_a_path_inside_another_is_refused():
    raw = {"strategy": {"choice": ["kd"]}, "strategy.temperature": {"uniform": [1, 2]}}
    assert refusal(raw) == [
        "space.strategy.temperature: lies inside space.strategy, which sets it as well: "
        "keep one of the two"
    ]


def test_a_key_of_a_member_has_no_dots():
    assert refusal({"a": {"choice": [{"b.c": {"uniform": [0, 1]}}]}}) == [
        "space.a[option 1]: 'b.c' is not a key: must be text without dots and brackets"
    ]


def test_all_problems_are_reported_together():
    raw = {"a": {"uniform": [2, 1]}, "b": 3, "c": {"choice": [{"int": ["x", 2]}]}}
    assert [problem.split(":")[0] for problem in refusal(raw)] == [
        "space.a",
        "space.b",
        "space.c[option 1]",
    ]


def test_a_space_is_a_mapping():
    assert refusal([1]) == ["space: [1] is not a mapping of dotted paths to what they may be"]
