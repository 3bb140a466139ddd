"""``search.batch``: the same sequence of trials, whatever finishes first."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from search_sweeps import ask_all, changed, result_of, sampler_of

from kdsweep.spec.sweep import Bound


def outcome_of(proposal):
    """Every third fails, whoever asks; the others are complete."""
    return result_of(proposal, status="failed" if proposal.number % 3 == 1 else "complete")


def run_in_order(sampler, *, lanes, choose):
    """Keep ``lanes`` trials running; ``choose(n)`` says which of ``n`` of them ends next."""
    proposed, running, most = [], [], 0
    while True:
        while len(running) < lanes and (proposal := sampler.ask()) is not None:
            proposed.append(proposal)
            running.append(proposal)
        most = max(most, len(running))
        if not running:
            assert sampler.exhausted
            return proposed, most
        ended = running.pop(choose(len(running)))
        sampler.tell(ended.number, outcome_of(ended))


@pytest.fixture(scope="module")
def batched(conditional):
    # 2 controls and 15 trials in batches of 4: the last batch holds one.
    search = {"sampler": "tpe", "trials": 15, "batch": 4, "seed": 1}
    return changed(conditional, search=search, constraints={"params": Bound(max=500)})


@pytest.fixture(scope="module")
def expected(batched):
    return run_in_order(sampler_of(batched), lanes=1, choose=lambda n: 0)[0]


@settings(max_examples=25, deadline=None)
@given(data=st.data(), lanes=st.integers(1, 6))
def test_any_order_of_completion_gives_the_same_trials(batched, expected, data, lanes):
    proposed, most = run_in_order(
        sampler_of(batched), lanes=lanes, choose=lambda n: data.draw(st.integers(0, n - 1))
    )
    assert proposed == expected
    assert most <= min(lanes, 4)


def test_the_sampler_is_past_its_random_start_within_those_trials(batched, expected, conditional):
    """Else the property above would hold for a sampler that hears of nothing."""
    search = batched.spec.search.model_copy(update={"seed": 1})
    silent = changed(batched, search=search)
    other = []
    sampler = sampler_of(silent)
    while (proposal := sampler.ask()) is not None:
        other.append(proposal)
        sampler.tell(proposal.number, result_of(proposal, status="failed"))
    assert [p.assignment for p in other] != [p.assignment for p in expected]


def test_no_more_than_a_batch_is_asked_for_before_its_results_are_in(batched):
    sampler = sampler_of(batched)
    first = [sampler.ask() for _ in range(4)]
    assert [p.number for p in first] == [0, 1, 2, 3]
    for proposal in first[1:]:
        assert sampler.ask() is None
        assert not sampler.exhausted
        sampler.tell(proposal.number, result_of(proposal))
    assert sampler.ask() is None
    sampler.tell(0, result_of(first[0], status="failed"))
    assert sampler.ask().number == 4


def test_a_last_batch_that_is_not_full_ends_the_search(conditional):
    sampler = sampler_of(changed(conditional, search={"trials": 3, "batch": 4}))
    found = ask_all_at_once(sampler)
    assert [len(batch) for batch in found] == [4, 1]
    assert sampler.exhausted


def ask_all_at_once(sampler):
    """Batch after batch, each told from its end."""
    batches = []
    while not sampler.exhausted:
        batch = []
        while (proposal := sampler.ask()) is not None:
            batch.append(proposal)
        batches.append(batch)
        for proposal in reversed(batch):
            sampler.tell(proposal.number, result_of(proposal))
    return batches


def test_a_batch_of_one_is_the_plain_sequential_search(conditional):
    search = {"trials": 12, "seed": 2}
    plain = ask_all(sampler_of(changed(conditional, search=search)))
    single = ask_all(sampler_of(changed(conditional, search=search | {"batch": 1})))
    assert single == plain


def test_a_grid_in_batches_keeps_its_order(gridded):
    search = {"sampler": "grid", "grid_points": 2, "trials": 6, "batch": 3}
    batches = ask_all_at_once(sampler_of(changed(gridded, search=search)))
    points = [p.assignment.params for batch in batches for p in batch if p.role == "trial"]
    assert [len(batch) for batch in batches] == [3, 3, 2]
    assert points == [point.params for point in gridded.space.grid(2)]
