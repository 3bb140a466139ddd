"""A sampler that knows the trials of earlier sweeps."""

import math

import pytest
from earlier_sweeps import earlier, learning, written
from optuna.trial import TrialState
from search_sweeps import ask_all, changed, metrics_of, result_of, unknown

from kdsweep.search import sampler as sampler_module
from kdsweep.search.replicated import ReplicatedSampler
from kdsweep.search.sampler import Sampler
from kdsweep.search.starts import starts
from kdsweep.search.warm_start import warm_start_of


@pytest.fixture
def studies(monkeypatch):
    """The Optuna studies that samplers make, the newest last."""
    made, create = [], sampler_module.optuna.create_study
    monkeypatch.setattr(
        sampler_module.optuna,
        "create_study",
        lambda **settings: made.append(create(**settings)) or made[-1],
    )
    return made


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def warm_of(sweep, done=(), *, known=None):
    known = warm_start_of(sweep).trials if known is None else known
    return Sampler(sweep, starts(sweep), sizes_of=unknown, done=done, earlier=known)


@pytest.mark.parametrize("name", ["tpe", "nsga2", "nsga3", "gp"])
def test_the_study_knows_them_and_none_is_proposed_again(home, conditional, studies, name):
    earlier(home, changed(conditional, search={"trials": 20}), 22)
    population = ", population: 4" if name.startswith("nsga") else ""
    sweep = learning(home, search=f"sampler: {name}, trials: 3{population}")
    known = warm_start_of(sweep).trials
    found = ask_all(warm_of(sweep))
    trials = studies[-1].trials
    assert [t.params for t in trials[:22]] == [known[n].params for n in range(22)]
    assert {t.state for t in trials[:22]} == {TrialState.COMPLETE}
    assert trials[5].values == [known[5].metrics["accuracy"], math.log(known[5].metrics["params"])]
    # The controls are trained here as well; what begins a sweep else was trained there.
    assert [p.role for p in found] == ["control"] * 2 + ["trial"] * 3
    assert [p.number for p in found] == list(range(5))
    points = [trial.params for trial in known]
    assert all(p.assignment.params not in points for p in found if p.role == "trial")


def test_tpe_goes_on_where_the_earlier_trials_were_best(home, conditional):
    """Accuracy in these made-up results is highest at a rate of 10^-2.5, whatever the rest."""

    def far(proposals):
        rates = [math.log10(p.assignment.params["train.lr"]) for p in proposals]
        return sum(abs(rate + 2.5) for rate in rates) / len(rates)

    earlier(home, changed(conditional, search={"trials": 60}), 62)
    objective = ("space:", "objectives: {accuracy: max}\nspace:")
    sweep = learning(home, objective, search="sampler: tpe, trials: 10, seed: 5")
    warm = [p for p in ask_all(warm_of(sweep)) if p.role == "trial"]
    cold = [p for p in ask_all(warm_of(sweep, known=())) if p.role == "trial"]
    assert len(warm) == len(cold) == 10
    # At random it is 0.75 away on average, as 10^-4 and 10^-1 are 1.5 away.
    assert far(cold) > 0.5
    assert far(warm) < 0.35
    best = max(metrics_of(p)["accuracy"] for p in warm)
    assert best > max(metrics_of(p)["accuracy"] for p in cold) - 0.01


def test_nsga2_breeds_from_them(home, conditional, studies):
    earlier(home, changed(conditional, search={"trials": 20}), 22)
    sweep = learning(home, search="sampler: nsga2, population: 4, trials: 2")
    ask_all(warm_of(sweep))
    (key,) = studies[-1].trials[0].system_attrs
    generations = [trial.system_attrs.get(key) for trial in studies[-1].trials]
    assert generations[:22] == [0] * 22
    assert set(generations[24:]) == {1}


def test_a_resume_begins_with_the_same_knowledge(home, conditional):
    earlier(home, changed(conditional, search={"trials": 20}), 22)
    sweep = learning(home, search="sampler: tpe, trials: 8, seed: 2")
    known = warm_start_of(sweep).trials
    first = warm_of(sweep, known=known)
    done = []
    for _ in range(4):
        proposal = first.ask()
        done.append(result_of(proposal))
        first.tell(proposal.number, done[-1])
    rest = [ask_all(warm_of(sweep, done, known=known)) for _ in range(2)]
    assert rest[0] == rest[1]
    assert [p.number for p in rest[0]] == [4, 5, 6, 7, 8, 9]
    points = [t.params for t in known] + [result.params for result in done]
    assert all(p.assignment.params not in points for p in rest[0])


def test_failed_trials_are_known_as_failed(home, conditional, studies):
    earlier(
        home, conditional, change=lambda r: r.model_copy(
            update={"status": "failed" if r.number == 3 else r.status})
    )  # fmt: skip
    warm_of(learning(home, search="trials: 1"))
    states = [trial.state for trial in studies[-1].trials]
    assert states[3] == TrialState.FAIL
    assert states.count(TrialState.COMPLETE) == 11


def test_few_trials_leave_some_to_be_spread_over_the_sizes(home, conditional):
    earlier(home, conditional, 4)
    sweep = learning(home, search="sampler: tpe, trials: 20")
    known = warm_start_of(sweep).trials
    assert len(known) == 4
    assert warm_of(sweep, known=known)._num_to_spread == 6
    assert warm_of(sweep, known=())._num_to_spread == 10


def test_a_space_in_which_all_is_known_says_so(home):
    text = """
name: few
trial:
  data: {name: digits}
  student: {name: cnn, width: 4, stages: 2, hidden: 12}
  strategy: none
  train: {epochs: 1}
space: {student.width: {choice: [2, 4]}}
"""
    earlier(home, written(home, text=text), 9)
    sweep = learning(home, search="trials: 5", text=text)
    sampler = warm_of(sweep)
    assert [p.role for p in ask_all(sampler)] == ["control"]
    assert sampler.ended_early == (
        "the search ends after 0 of 1 trials: every point of the space has been tried, here or in "
        "the sweeps of warm_start"
    )


def test_points_of_replicates_go_to_the_sampler_as_they_are(home, conditional, studies):
    earlier(home, conditional, 6)
    sweep = learning(home, search="trials: 1, replicates: 2")
    known = warm_start_of(sweep).trials
    sampler = ReplicatedSampler(sweep, starts(sweep), sizes_of=unknown, earlier=known)
    found = ask_all(sampler)
    assert [p.number for p in found] == list(range(6))
    assert len([t for t in studies[-1].trials if t.state == TrialState.COMPLETE]) == 6 + 3
