"""No point twice, none whose student is out of bounds, and an end where there are no more."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import TrialState
from search_sweeps import ask_all, changed, result_of, sampler_of, unknown
from test_search_batches import run_in_order
from test_search_resume import as_read

from kdsweep.search.draws import draw
from kdsweep.search.starts import starts
from kdsweep.spec import Space
from kdsweep.spec.dimension import Dimension
from kdsweep.spec.sweep import Bound

# 3 widths x 4 hidden x (none + 3 temperatures) = 48 points, two of which are the controls'.
FINITE = {
    "student.width": {"choice": [2, 4, 8]},
    "student.hidden": {"int": [8, 32], "step": 8},
    "strategy": {"choice": ["none", {"name": "kd", "temperature": {"choice": [2.0, 4.0, 8.0]}}]},
}
IN_SPACE = {"student": {"name": "cnn", "width": 4, "stages": 2, "hidden": 16}}


@pytest.fixture(scope="module")
def finite(conditional):
    trial = type(conditional.spec.trial).model_validate(
        conditional.spec.trial.model_dump(exclude={"student"}) | IN_SPACE
    )
    spec = conditional.spec.model_copy(update={"trial": trial, "space": FINITE})
    return replace(conditional, spec=spec, space=Space.parse(FINITE))


def sized(changes):
    """Sizes as ``metrics_of`` makes them up."""
    width, hidden = changes.get("student.width", 4), changes.get("student.hidden", 12)
    return {"params": 100.0 * width + hidden, "macs": 1000.0 * width}


def points_of(proposals):
    return [frozenset(p.assignment.params.items()) for p in proposals]


@pytest.mark.parametrize("name", ["auto", "tpe", "random", "nsga2"])
@pytest.mark.parametrize("lanes", [1, 5])
def test_a_finite_space_is_gone_through_point_by_point(finite, name, lanes):
    search = {"sampler": name, "trials": 1000, "seed": 2}
    sampler = sampler_of(changed(finite, search=search), sizes_of=sized)
    found, _ = run_in_order(sampler, lanes=lanes, choose=lambda n: n - 1)
    every = {frozenset(point.params.items()) for point in finite.space.points()}
    assert len(every) == 48
    assert sorted(map(sorted, points_of(found))) == sorted(map(sorted, every))
    assert [p.role for p in found] == ["control"] * 2 + ["trial"] * 46


def test_auto_goes_through_the_whole_of_a_small_space(finite):
    assert changed(finite, search={"trials": 48}).sampler.whole
    sweep = changed(finite, search={"trials": 48})
    assert (sweep.sampler.name, sweep.num_trials) == ("random", 46)
    assert not changed(finite, search={"trials": 47}).sampler.whole


@pytest.mark.parametrize("cut", [3, 20, 47])
def test_no_point_comes_again_after_a_resume(finite, cut):
    sweep = changed(finite, search={"sampler": "tpe", "trials": 1000})
    done = [as_read(result_of(p)) for p in ask_all(sampler_of(sweep))[:cut]]
    # A point that failed is known as well.
    done[-1] = done[-1].model_copy(update={"status": "failed"})
    rest = ask_all(sampler_of(sweep, done))
    points = [frozenset(result.params.items()) for result in done] + points_of(rest)
    assert len(points) == len(set(points)) == 48


def test_where_no_value_is_real_a_branch_may_be_finite_in_a_space_that_is_not(conditional):
    """``none`` has no settings: of the point that it makes with each student there is one."""
    space = {"student.width": {"choice": [2, 4]}, "strategy": conditional.spec.space["strategy"]}
    spec = conditional.spec.model_copy(update={"space": space})
    sweep = replace(conditional, spec=spec, space=Space.parse(space))
    found = ask_all(sampler_of(changed(sweep, search={"sampler": "tpe", "trials": 40})))
    plain = [p for p in found if p.assignment.params["strategy"] == "none"]
    assert len(found) == 42
    assert len(plain) == 2


def bounded(sweep, trials=20, **search):
    """400 to 500 parameters: width 4 alone."""
    return changed(
        sweep,
        search={"sampler": "tpe", "trials": trials, **search},
        constraints={"params": Bound(min=400, max=500), "accuracy": Bound(min=0.99)},
    )


@pytest.mark.parametrize("name", ["auto", "tpe", "random", "nsga2", "gp"])
def test_a_student_that_is_known_to_be_out_of_bounds_is_never_trained(conditional, name):
    trials = 7 if name == "gp" else 20
    found = ask_all(sampler_of(bounded(conditional, trials, sampler=name), sizes_of=sized))
    assert {p.assignment.params["student.width"] for p in found} == {4}
    assert [p.role for p in found] == ["control"] * 2 + ["trial"] * trials
    assert [p.number for p in found] == list(range(trials + 2))


def test_tpe_learns_where_students_are_too_large(conditional):
    """One width in 60 is allowed: at random hardly anything would be."""
    space = {
        "student.width": {"int": [2, 62]}, "train.lr": {"loguniform": [1e-4, 1e-1]},
        "train.label_smoothing": {"uniform": [0, 0.2]},
    }  # fmt: skip
    spec = conditional.spec.model_copy(update={"space": space})
    sweep = replace(conditional, spec=spec, space=Space.parse(space))
    sampler = sampler_of(bounded(sweep, 60), sizes_of=sized)
    at_random, find = [], sampler._unseen.find
    sampler._unseen.find = lambda: at_random.append(1) or find()
    trials = [p for p in ask_all(sampler) if p.role == "trial"]
    assert {p.assignment.params["student.width"] for p in trials} == {4}
    assert len(trials) == 60
    assert len(at_random) < 30


def test_nor_as_a_point_of_a_grid(gridded):
    sampler = sampler_of(changed(gridded, constraints={"params": Bound(max=300)}), sizes_of=sized)
    found = ask_all(sampler)
    # The controls train the trial's own student, of width 4, whatever the bounds say.
    assert [p.role for p in found] == ["control"] * 2 + ["trial"] * 3
    assert {p.assignment.params["student.width"] for p in found[2:]} == {2}
    assert sampler.ended_early == (
        "the search ends after 3 of 6 trials: no new point was found whose student meets the "
        "constraints on its size; widen the space or the constraints"
    )


def test_controls_and_starts_of_a_student_that_is_out_of_bounds(conditional):
    """The controls are trained all the same; the trial as written and the defaults are not."""
    sweep = changed(
        conditional, search={"sampler": "tpe", "trials": 9},
        constraints={"params": Bound(max=300)},
    )  # fmt: skip
    found = ask_all(sampler_of(sweep, sizes_of=sized))
    assert {p.assignment.params["student.width"] for p in found[:2]} == {4}
    assert {p.assignment.params["student.width"] for p in found[2:]} == {2}
    assert sum(p.role == "trial" for p in found) == 9
    assert any(start.role == "trial" for start in starts(sweep))


@pytest.mark.parametrize("name", ["tpe", "random", "nsga2"])
def test_bounds_that_no_student_meets_end_the_search(conditional, name):
    sweep = changed(
        conditional, search={"sampler": name, "trials": 9}, constraints={"macs": Bound(max=10)}
    )
    sampler = sampler_of(sweep, sizes_of=sized)
    assert [p.role for p in ask_all(sampler)] == ["control"] * 2
    assert sampler.ended_early == (
        "the search ends after 0 of 9 trials: no new point was found whose student meets the "
        "constraints on its size; widen the space or the constraints"
    )


def test_a_student_of_unknown_size_is_trained(conditional):
    sweep = changed(conditional, search={"trials": 9}, constraints={"macs": Bound(max=10)})
    assert len(ask_all(sampler_of(sweep, sizes_of=unknown))) == 11


def test_a_bounded_finite_space_ends_with_its_last_point_that_fits(finite):
    sampler = sampler_of(bounded(finite, 1000), sizes_of=sized)
    found = ask_all(sampler)
    # Width 4 with 4 hidden sizes and 4 ways of teaching, the two controls among them.
    assert len(set(points_of(found))) == len(found) == 16
    assert sampler.ended_early.startswith("the search ends after 14 of 46 trials: no new point")


def test_a_batch_that_ends_early_has_an_end(finite):
    sweep = changed(finite, search={"sampler": "tpe", "trials": 1000, "batch": 5},
                    constraints={"params": Bound(max=230)})  # fmt: skip
    sampler = sampler_of(sweep, sizes_of=sized)
    found, most = run_in_order(sampler, lanes=3, choose=lambda n: 0)
    assert most == 3
    assert sum(p.role == "trial" for p in found) == 12  # width 2, hidden 8, 16 and 24


def test_what_was_refused_leaves_nothing_running(conditional, monkeypatch):
    import optuna

    made, create = [], optuna.create_study
    monkeypatch.setattr(
        optuna, "create_study", lambda **given: made.append(create(**given)) or made[-1]
    )
    ask_all(sampler_of(bounded(conditional), sizes_of=sized))
    states = [trial.state for trial in made[-1].trials]
    assert TrialState.RUNNING not in states
    assert TrialState.WAITING not in states
    # What was trained has an accuracy, and misses its bound; what was refused has none.
    trained = [trial for trial in made[-1].trials if "accuracy.min" in trial.constraints]
    assert {trial.params["student.width"] for trial in trained} == {4}
    assert len(trained) == 22


RANGES = st.one_of(
    st.builds(
        lambda low, steps, step: Dimension(
            "d", "d", "int", low=low, high=low + steps * step, step=step
        ),
        st.integers(-50, 50), st.integers(1, 20), st.integers(1, 5),
    ),
    st.builds(
        lambda low, more: Dimension("d", "d", "int", low=low, high=low + more, log=True),
        st.integers(1, 50), st.integers(1, 1000),
    ),
    st.builds(
        lambda low, more: Dimension("d", "d", "uniform", low=low, high=low + more),
        st.floats(-1e6, 1e6), st.floats(1e-3, 1e6),
    ),
    st.builds(
        lambda low, times: Dimension("d", "d", "loguniform", low=low, high=low * times, log=True),
        st.floats(1e-6, 1e6), st.floats(1.1, 1e6),
    ),
    st.builds(lambda labels: Dimension("d", "d", "choice", labels=tuple(labels)),
              st.lists(st.text(), min_size=1, unique=True)),
)  # fmt: skip


@given(dimension=RANGES, seed=st.integers(0, 2**32))
def test_what_is_drawn_lies_in_its_dimension(dimension, seed):
    random = np.random.default_rng(seed)
    assert all(dimension.contains(draw(dimension, random)) for _ in range(20))


def test_both_ends_of_whole_numbers_are_drawn_as_often_as_others():
    random = np.random.default_rng(0)
    dimension = Dimension("d", "d", "int", low=0, high=4)
    counts = np.bincount([draw(dimension, random) for _ in range(5000)])
    # 1000 each; the standard deviation of a count is 28.
    assert (abs(counts - 1000) < 140).all()
