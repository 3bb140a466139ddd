"""The sampler by itself: what is proposed, in which order, and what the study hears of it."""

import math
from dataclasses import replace

import pytest
from optuna.trial import TrialState
from search_sweeps import ask_all, changed, result_of, sampler_of

from kdsweep.search import sampler as sampler_module
from kdsweep.spec.sweep import Bound
from kdsweep.sweep_file import at

OBJECTIVES = {
    1: {"accuracy": "max"},
    2: {"accuracy": "max", "params": "min"},
    4: {"accuracy": "max", "loss": "min", "params": "min", "latency_ms": "min"},
}


@pytest.fixture
def studies(monkeypatch):
    """The Optuna studies that samplers make, the newest last."""
    made = []
    create = sampler_module.optuna.create_study

    def create_study(**settings):
        made.append(create(**settings))
        return made[-1]

    monkeypatch.setattr(sampler_module.optuna, "create_study", create_study)
    return made


def is_reached(params, dimension):
    return all(params.get(name) == label for name, label in dimension.conditions)


def test_controls_come_first_then_the_starts_then_the_sampler(conditional):
    sweep = changed(conditional, search={"trials": 8})
    found = ask_all(sampler_of(sweep))
    assert [p.number for p in found] == list(range(10))
    assert [p.role for p in found] == ["control"] * 2 + ["trial"] * 8
    trials = [at(sweep.spec.trial, p.assignment.changes) for p in found]
    # Plain kd lies in the space and is the second control; as a trial it comes among the starts.
    assert [t.strategy.name for t in trials[:4]] == ["none", "kd", "kd", "fitnet"]
    assert trials[1].strategy.settings == {"temperature": 4.0, "alpha": 0.1}
    assert trials[2].strategy.settings == {"temperature": 2.0, "alpha": 0.5}
    as_written = sweep.locate(sweep.spec.trial)
    assert found[2].assignment.params == as_written
    # The student and the training of a control are the sweep's own.
    assert [t.student.settings["width"] for t in trials[:3]] == [4, 4, 4]


def test_only_as_many_starts_as_trials_are_asked_for(conditional):
    found = ask_all(sampler_of(changed(conditional, search={"trials": 1})))
    assert [p.role for p in found] == ["control", "control", "trial"]


@pytest.mark.parametrize("objectives", [1, 2, 4])
@pytest.mark.parametrize("name", ["tpe", "random", "nsga2", "nsga3", "gp", "grid"])
def test_every_sampler_on_a_conditional_space(conditional, studies, name, objectives):
    # A model of GPs takes its time, and begins with the eleventh trial, the controls counted.
    trials = 10 if name == "gp" else 13
    search = {"sampler": name, "trials": trials, "seed": 3}
    if name in ("nsga2", "nsga3"):
        search["population"] = 4
    if name == "grid":
        search["grid_points"] = 2
    sweep = changed(conditional, search=search, objectives=OBJECTIVES[objectives])
    found = ask_all(sampler_of(sweep))
    assert sum(p.role == "trial" for p in found) == trials
    for proposal in found[2:]:
        params = proposal.assignment.params
        reached = {d.name for d in sweep.space.dimensions() if is_reached(params, d)}
        assert set(params) == reached
        at(sweep.spec.trial, proposal.assignment.changes)
    assert studies[-1].get_trials(states=[TrialState.RUNNING, TrialState.WAITING]) == []
    assert len(studies[-1].directions) == objectives


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        ({}, TrialState.COMPLETE),
        ({"status": "failed"}, TrialState.FAIL),
        ({"status": "stopped"}, TrialState.FAIL),
        ({"accuracy": math.nan}, TrialState.FAIL),
        ({"params": math.inf}, TrialState.FAIL),
        ({"accuracy": None}, TrialState.FAIL),
    ],
)
def test_every_trial_is_told_and_none_is_left_running(conditional, studies, outcome, state):
    sweep = changed(conditional, search={"trials": 6})
    proposals = ask_all(
        sampler_of(sweep), tell=lambda p: result_of(p, **(outcome if p.number == 5 else {}))
    )
    by_id = {trial.user_attrs["trial_id"]: trial for trial in studies[-1].trials}
    assert by_id["00005"].state == state
    others = [trial.state for key, trial in by_id.items() if key != "00005"]
    assert set(others) == {TrialState.COMPLETE}
    told = by_id["00004"]
    assert told.params == proposals[4].assignment.params
    expected = result_of(proposals[4]).metrics
    # Sizes are told by their logarithm: the sampler's measure of a front then sees small students.
    assert told.values == [expected["accuracy"], math.log(expected["params"])]


def test_constraints_are_set_before_the_result_is_told(conditional, studies, monkeypatch):
    sweep = changed(
        conditional,
        search={"trials": 3},
        constraints={"params": Bound(max=300.0), "latency_ms": Bound(min=0.25, max=0.75)},
    )
    sampler = sampler_of(sweep)
    calls, trial_class = [], sampler_module.optuna.Trial
    study_class = sampler_module.optuna.Study
    set_constraint, tell = trial_class.set_constraint, study_class.tell
    monkeypatch.setattr(
        trial_class, "set_constraint", lambda *a: (calls.append(a[1]), set_constraint(*a))
    )
    monkeypatch.setattr(study_class, "tell", lambda *a, **k: (calls.append("tell"), tell(*a, **k)))
    proposals = ask_all(sampler, tell=lambda p: result_of(p, params=420.0))
    whole = ["params.max", "latency_ms.max", "latency_ms.min", "tell"]
    assert sorted(calls[:4]) == sorted(whole)
    assert calls == calls[:4] * len(proposals)
    assert calls[3] == "tell"
    # Params 420 against 300; latency 0.1 x width 4 = 0.4 against 0.25..0.75.
    violated = next(t for t in studies[-1].trials if t.params["student.width"] == 4).constraints
    assert violated["params.max"] == pytest.approx(120.0)
    assert violated["latency_ms.max"] == pytest.approx(-0.35)
    assert violated["latency_ms.min"] == pytest.approx(-0.15)


@pytest.mark.parametrize("value", [None, math.nan])
def test_a_bound_on_what_was_not_measured_is_not_met(conditional, studies, value):
    sweep = changed(conditional, search={"trials": 1}, constraints={"macs": Bound(min=1, max=1e9)})
    ask_all(sampler_of(sweep), tell=lambda p: result_of(p, macs=value))
    assert studies[-1].trials[-1].constraints == {"macs.max": math.inf, "macs.min": math.inf}


def test_a_control_outside_the_space_is_no_trial_of_the_study(conditional, studies):
    """kd's published alpha lies outside: the study hears of the other control alone."""
    spec = conditional.spec
    space = type(conditional.space).parse(
        {
            "train.lr": {"loguniform": [1e-4, 1e-1]},
            "strategy": {"choice": ["none", {"name": "kd", "alpha": {"uniform": [0.8, 1.0]}}]},
        }
    )
    sweep = replace(changed(conditional, search={"trials": 2}, space={}), space=space)
    found = ask_all(sampler_of(sweep))
    assert [p.role for p in found] == ["control", "control", "trial", "trial"]
    assert [bool(p.assignment.params) for p in found] == [True, False, True, True]
    assert at(spec.trial, found[1].assignment.changes).strategy.name == "kd"
    assert len(studies[-1].trials) == 3


@pytest.mark.parametrize("name", ["tpe", "random", "nsga2"])
def test_the_seed_alone_gives_the_sequence(conditional, name):
    def sequence(seed):
        search = {"sampler": name, "trials": 14, "seed": seed}
        return [
            p.assignment.params for p in ask_all(sampler_of(changed(conditional, search=search)))
        ]

    assert sequence(5) == sequence(5)
    assert sequence(5) != sequence(6)


def test_a_result_of_nobody_is_an_error(conditional):
    sampler = sampler_of(conditional)
    proposal = sampler.ask()
    sampler.tell(proposal.number, result_of(proposal))
    with pytest.raises(KeyError):
        sampler.tell(proposal.number, result_of(proposal))


def test_the_grid_has_every_point_exactly_once(gridded):
    found = ask_all(sampler_of(gridded))
    points = [p.assignment.params for p in found if p.role == "trial"]
    assert [p.role for p in found] == ["control"] * 2 + ["trial"] * 6
    assert points == [point.params for point in gridded.space.grid(2)]
    assert {(p["student.width"], p["strategy"], p.get("strategy[kd].alpha")) for p in points} == {
        (2, "none", None), (2, "kd", 0.25), (2, "kd", 0.75),
        (4, "none", None), (4, "kd", 0.25), (4, "kd", 0.75),
    }  # fmt: skip


def test_a_grid_larger_than_the_trials_is_cut(gridded):
    search = {"sampler": "grid", "grid_points": 2, "trials": 4}
    found = ask_all(sampler_of(changed(gridded, search=search)))
    assert sum(p.role == "trial" for p in found) == 4
