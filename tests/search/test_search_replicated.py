"""``search.replicates``: what the sampler proposes is trained several times, and told once."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.trial import TrialState
from search_sweeps import ask_all, changed, replicated_of, result_of, sampler_of

from kdsweep.results.record import TrialResult
from kdsweep.search import sampler as sampler_module
from kdsweep.spec.sweep import Bound

SAMPLERS = ["tpe", "random", "nsga2", "grid"]


@pytest.fixture
def studies(monkeypatch):
    """The Optuna studies that samplers make, the newest last."""
    made, create = [], sampler_module.optuna.create_study
    monkeypatch.setattr(
        sampler_module.optuna,
        "create_study",
        lambda **given: made.append(create(**given)) or made[-1],
    )
    return made


def replicated(sweep, *, replicates=3, **search):
    return changed(sweep, search={"trials": 4, "replicates": replicates, **search})


def noisy(proposal, **more):
    """The made-up result of a proposal, with the luck of its replicate."""
    luck = (0.0, 0.05, -0.02)[proposal.replicate % 3]
    found = result_of(proposal)
    return result_of(proposal, **{"accuracy": found.metrics["accuracy"] + luck, **more})


def as_read(result):
    """A record as it comes back from disk."""
    return TrialResult.model_validate_json(result.model_dump_json())


@pytest.mark.parametrize("name", SAMPLERS)
def test_one_replicate_is_the_sampler_itself(conditional, name):
    sweep = changed(conditional, search={"sampler": name, "trials": 8, "replicates": 1})
    assert ask_all(replicated_of(sweep)) == ask_all(sampler_of(sweep))


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_point_is_proposed_so_often_in_a_row(conditional, name):
    found = ask_all(replicated_of(replicated(conditional, sampler=name)))
    assert [p.number for p in found] == list(range(3 * (2 + 4)))
    assert [p.replicate for p in found] == [0, 1, 2] * 6
    assert {p.replicates for p in found} == {3}
    assert [p.role for p in found] == ["control"] * 6 + ["trial"] * 12
    points = [found[first].assignment for first in range(0, 18, 3)]
    assert [p.assignment for p in found] == [point for point in points for _ in range(3)]
    assert len({str(point.changes) for point in points}) == 6


def test_the_mean_is_told_when_the_last_replicate_has_ended(conditional, studies):
    sampler = replicated_of(replicated(conditional))
    trials = [sampler.ask() for _ in range(3)]
    for luck, proposal in ((0.5, trials[1]), (0.75, trials[2])):
        sampler.tell(proposal.number, result_of(proposal, accuracy=luck))
        assert studies[-1].trials[0].state == TrialState.RUNNING
    sampler.tell(0, result_of(trials[0], accuracy=0.25))
    (told,) = studies[-1].trials
    assert told.state == TrialState.COMPLETE
    assert told.values == [0.5, math.log(result_of(trials[0]).metrics["params"])]
    assert told.params == trials[0].assignment.params


@pytest.mark.parametrize("replicate", [0, 1, 2])
@pytest.mark.parametrize(
    "outcome",
    [{"status": "failed"}, {"status": "stopped"}, {"accuracy": math.nan}, {"params": None}],
)
def test_a_point_is_failed_if_one_of_its_replicates_is(conditional, studies, replicate, outcome):
    def tell(proposal):
        is_it = proposal.number == 3 * 4 + replicate
        return result_of(proposal, **(outcome if is_it else {}))

    ask_all(replicated_of(replicated(conditional)), tell=tell)
    states = [trial.state for trial in studies[-1].trials]
    complete = TrialState.COMPLETE
    assert states == [complete] * 4 + [TrialState.FAIL, complete]


def test_constraints_are_of_the_mean(conditional, studies):
    sweep = replicated(conditional, trials=1, replicates=2)
    sweep = changed(sweep, constraints={"latency_ms": Bound(max=0.5)})
    ask_all(replicated_of(sweep), tell=lambda p: result_of(p, latency_ms=(0.25, 1.25)[p.replicate]))
    assert [trial.constraints for trial in studies[-1].trials] == [{"latency_ms.max": 0.25}] * 3


def run_in_order(sampler, *, lanes, choose):
    """Keep ``lanes`` trials running; ``choose(n)`` says which of ``n`` of them ends next."""
    proposed, running = [], []
    while True:
        while len(running) < lanes and (proposal := sampler.ask()) is not None:
            proposed.append(proposal)
            running.append(proposal)
        if not running:
            assert sampler.exhausted
            return proposed
        ended = running.pop(choose(len(running)))
        sampler.tell(ended.number, noisy(ended))


@settings(max_examples=20, deadline=None)
@given(data=st.data(), lanes=st.integers(1, 8))
def test_in_batches_any_order_of_completion_gives_the_same_trials(conditional, data, lanes):
    sweep = replicated(conditional, trials=10, batch=2, seed=1)
    expected = run_in_order(replicated_of(sweep), lanes=1, choose=lambda n: 0)
    proposed = run_in_order(
        replicated_of(sweep), lanes=lanes, choose=lambda n: data.draw(st.integers(0, n - 1))
    )
    assert proposed == expected


def test_a_batch_counts_points(conditional):
    sampler = replicated_of(replicated(conditional, batch=2))
    trials = [sampler.ask() for _ in range(6)]
    for proposal in reversed(trials):
        assert sampler.ask() is None
        assert not sampler.exhausted
        sampler.tell(proposal.number, result_of(proposal))
    assert sampler.ask().number == 6


def test_the_grid_has_every_point_once_for_each_replicate(gridded):
    search = {"sampler": "grid", "grid_points": 2, "trials": 6, "replicates": 2}
    found = ask_all(replicated_of(changed(gridded, search=search)))
    points = [p.assignment.params for p in found if p.role == "trial"]
    assert points == [p.params for p in gridded.space.grid(2) for _ in range(2)]
    assert [p.role for p in found].count("control") == 4


def first_records(sweep, number):
    """The records of the first trials of a sweep."""
    sampler, records = replicated_of(sweep), []
    while len(records) < number:
        proposal = sampler.ask()
        records.append(noisy(proposal))
        sampler.tell(proposal.number, records[-1])
    return [as_read(record) for record in records]


@pytest.mark.parametrize("num_done", [0, 1, 2, 3, 7, 9, 17, 18])
@pytest.mark.parametrize("name", SAMPLERS)
def test_a_resumed_sweep_trains_what_is_missing(conditional, name, num_done):
    sweep = replicated(conditional, sampler=name)
    done = first_records(sweep, num_done)
    rest = ask_all(replicated_of(sweep, done))
    assert [p.number for p in rest] == list(range(num_done, 18))
    assert [p.number % 3 for p in rest] == [p.replicate for p in rest]
    if num_done % 3:
        cut = done[-1]
        (point,) = {str(p.assignment.changes) for p in rest if p.number // 3 == cut.point}
        assert point == str(cut.changes)
    assert [r.role for r in (*done, *rest)] == ["control"] * 6 + ["trial"] * 12


@pytest.mark.parametrize("status", ["stopped", "running"])
@pytest.mark.parametrize("name", SAMPLERS)
def test_finished_replicates_of_a_point_that_was_cut_short_are_kept(
    conditional, studies, name, status
):
    sweep = replicated(conditional, sampler=name, trials=5)
    done = first_records(sweep, 15)
    cut = {4, 7, 8, 14}
    done = [r.model_copy(update={"status": status}) if r.number in cut else r for r in done]
    # A trial that was never begun has no record.
    done = [r for r in done if r.number != 12]
    rest = ask_all(replicated_of(sweep, done), tell=noisy)
    assert [p.number for p in rest] == [4, 7, 8, 12, 14, *range(15, 21)]
    by_number = {record.number: record for record in done}
    for proposal in rest[:5]:
        before = by_number[13 if proposal.number == 12 else proposal.number]
        assert (proposal.role, proposal.assignment.params) == (before.role, before.params)
        assert proposal.assignment.changes == before.changes
        assert proposal.replicate == proposal.number % 3
    if name != "grid":
        trials = studies[-1].trials
        assert {trial.state for trial in trials} == {TrialState.COMPLETE}
        assert len(trials) == 7
        # The mean over a kept replicate and two that ran again: luck 0, 0.05 and -0.02.
        of_point_2 = next(t for t in trials if t.params == by_number[6].params)
        assert of_point_2.values[0] == pytest.approx(by_number[6].metrics["accuracy"] + 0.01)


def test_the_study_is_rebuilt_with_points(conditional, studies):
    sweep = replicated(conditional)
    done = first_records(sweep, 12)
    done[10] = done[10].model_copy(update={"status": "failed"})
    replicated_of(sweep, done)
    complete = TrialState.COMPLETE
    assert [t.state for t in studies[-1].trials] == [complete] * 3 + [TrialState.FAIL]
    for trial, first in zip(studies[-1].trials, done[::3], strict=True):
        assert trial.params == first.params
        if trial.state == complete:
            mean = first.metrics["accuracy"] + 0.01
            assert trial.values == pytest.approx([mean, math.log(first.metrics["params"])])


def test_nothing_is_left_of_a_sweep_that_is_done(conditional):
    sweep = replicated(conditional)
    sampler = replicated_of(sweep, first_records(sweep, 18))
    assert sampler.exhausted
    assert sampler.ask() is None
