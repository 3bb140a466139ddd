"""``sampler: auto``: what it chooses for a space, and what it says."""

import pytest

from kdsweep.errors import SpecError
from kdsweep.spec import SearchSpec, Space
from kdsweep.spec.automatic import choose

LR = {"train.lr": {"loguniform": [1e-4, 1e-1]}}
WIDTH = {"student.width": {"int": [2, 32]}}
BRANCHES = {"strategy": {"choice": ["none", {"name": "kd", "alpha": {"uniform": [0, 1]}}]}}
FINITE = {"student.width": {"choice": [2, 4, 8]}, "student.depth": {"int": [1, 7], "step": 2}}


@pytest.mark.parametrize(
    ("space", "trials", "name", "why"),
    [
        ({**LR, **BRANCHES}, 40, "tpe", "1 of 3 settings are asked only on some branches"),
        (
            {**LR, **WIDTH},
            4000,
            "tpe",
            "4,000 trials are to learn from each other among points without end",
        ),
        (FINITE, 12, "random", "each of the 12 points of the space once"),
        (FINITE, 11, "tpe", "11 trials are to learn from each other among 12 points"),
        (WIDTH, 31, "random", "each of the 31 points of the space once"),
    ],
)
def test_the_rule(space, trials, name, why):
    chosen = choose(Space.parse(space), SearchSpec(trials=trials))
    assert (chosen.name, chosen.why) == (name, why)


@pytest.mark.parametrize("name", ["tpe", "random", "nsga2", "nsga3", "gp", "grid"])
def test_a_sampler_that_is_named_is_taken(name):
    for space in ({**LR, **BRANCHES}, FINITE):
        chosen = choose(Space.parse(space), SearchSpec(sampler=name))
        assert (chosen.name, chosen.why) == (name, "as the file says")


def test_a_choice_within_a_branch_counts_where_it_is_taken():
    # none, and kd with three temperatures, for each of two widths: 2 * (1 + 3).
    temperature = {"name": "kd", "temperature": {"choice": [1, 2, 4]}}
    space = Space.parse(
        {"student.width": {"choice": [2, 4]}, "strategy": {"choice": ["none", temperature]}}
    )
    assert space.num_points == 8
    points = [point.params for point in space.points()]
    assert len(points) == 8
    assert {"student.width": 4, "strategy": "kd", "strategy[kd].temperature": 2} in points
    assert choose(space, SearchSpec(trials=8)).whole


def test_whole_numbers_are_all_points_and_real_ones_have_no_end():
    steps = Space.parse({"student.width": {"int": [2, 20], "step": 6}})
    assert [point.changes["student.width"] for point in steps.points()] == [2, 8, 14, 20]
    log = Space.parse({"student.width": {"int": [1, 5], "log": True}})
    assert log.num_points == 5
    endless = Space.parse({**LR, **WIDTH})
    assert endless.num_points is None
    with pytest.raises(ValueError, match=r"train\.lr cannot be listed: it is a number"):
        list(endless.points())


def test_the_largest_space_is_counted_and_not_listed():
    wide = {f"student.n{n}": {"int": [-(2**53), 2**53]} for n in range(3)}
    assert Space.parse(wide).num_points == (2**54 + 1) ** 3


@pytest.mark.parametrize(("key", "wanted"), [("grid_points", "grid"), ("population", "nsga2 or")])
def test_what_auto_would_ignore_is_refused(tmp_path, key, wanted):
    from kdsweep.sweep_file import load

    path = tmp_path / "sweep.yaml"
    path.write_text(
        "name: n\ntrial: {data: {name: digits}, student: {name: cnn}, train: {epochs: 1}}\n"
        f"space: {{student.width: {{choice: [2, 4]}}}}\nsearch: {{{key}: 5}}\n"
    )
    with pytest.raises(
        SpecError, match=f"{key} does nothing for sampler 'auto' .it is for {wanted}"
    ):
        load(path)


def test_where_a_budget_decides_trials_are_not_counted_on():
    budget = {"budget": {"hours": 1}}
    chosen = choose(Space.parse({**LR, **WIDTH}), SearchSpec(**budget))
    assert chosen.why == "all trials are to learn from each other among points without end"
    wide = Space.parse({"student.width": {"int": [1, 1000]}})
    assert choose(wide, SearchSpec(**budget)).whole
    assert not choose(wide, SearchSpec(trials=40, **budget)).whole
