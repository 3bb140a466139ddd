"""A confirmation's trials: every point with every seed, once, in whatever process."""

import json

import pytest
from confirmed_runs import POINTS, SEEDS, confirms
from hypothesis import given
from hypothesis import strategies as st
from search_sweeps import changed, result_of
from test_search_searcher import Silent, job_of

from kdsweep.results.confirms import ConfirmedPoint
from kdsweep.results.meta import RunMeta
from kdsweep.results.store import RunStore
from kdsweep.search.budget import Budget
from kdsweep.search.fixed_points import FixedPoints, without_search
from kdsweep.search.journal import Journal
from kdsweep.search.rungs import Rungs
from kdsweep.search.searcher import FrontSearcher
from kdsweep.spec import TrialSpec
from kdsweep.spec.sweep import BudgetSpec


def all_of(points):
    found = []
    while (proposal := points.ask()) is not None:
        found.append(proposal)
    return found


def test_every_point_comes_once_with_every_seed():
    points = FixedPoints(confirms())
    found = all_of(points)
    assert points.exhausted
    assert [p.number for p in found] == list(range(8))
    assert [p.role for p in found] == ["trial"] * 4 + ["control"] * 4
    assert [p.beside["seed"] for p in found] == [*SEEDS] * 4
    assert [p.assignment.changes for p in found[::2]] == [point.changes for point in POINTS]


@given(ended=st.sets(st.integers(0, 7)))
def test_what_has_ended_does_not_come_again(ended):
    proposals = {p.number: p for p in all_of(FixedPoints(confirms()))}
    done = [result_of(proposals[n], status="failed" if n % 3 else "complete") for n in ended]
    left = [p.number for p in all_of(FixedPoints(confirms(), done))]
    assert left == [n for n in range(8) if n not in ended]


def test_one_that_was_cut_short_comes_again():
    proposals = all_of(FixedPoints(confirms()))
    done = [result_of(proposals[3], status="stopped")]
    assert len(all_of(FixedPoints(confirms(), done))) == 8


def test_nothing_of_the_search_ends_a_trial_early(conditional):
    sweep = changed(conditional, search={"trials": 9, "budget": BudgetSpec(epochs=3)})
    found = without_search(sweep, confirms()).spec.search
    assert (found.rungs, found.budget, found.batch, found.ends_early) == (None, None, None, None)
    assert without_search(sweep, None) is sweep


@pytest.fixture
def searcher(tmp_path, conditional):
    """A searcher over a confirmation of two students of the sweep, with validation data."""
    points = (
        ConfirmedPoint(kind="student", name="a", changes={"student.width": 2}),
        ConfirmedPoint(kind="own_control", name="b", changes={"strategy": {"name": "none"}}),
    )
    of = confirms(points=points, controls={}, with_validation=True)
    meta = RunMeta(
        sweep_id="b" * 32, name="run", created="2026-11-21T10:00:00+00:00",
        objectives=conditional.spec.objectives, confirms=of, replicates=2,
    )  # fmt: skip
    store = RunStore.create(tmp_path / "run", meta=meta, sweep_text="")
    sweep = without_search(conditional, of)
    return FrontSearcher(
        sweep, FixedPoints(of), Journal(store, Silent(), None), store,
        rungs=Rungs(sweep.spec.objectives, eta=1.0),
        budget=Budget(sweep.spec.search.budget, cost_per_hour=None), board="board",
        namespace="kdsweep", on_refusal=print,
    ), store  # fmt: skip


def test_its_jobs_open_the_test_data_and_have_no_rungs(searcher):
    searcher, store = searcher
    jobs = [job_of(searcher.suggest(f"tune-{n}")) for n in range(4)]
    assert searcher.suggest("tune-4") == "FINISHED"
    assert all(job["opens_test"] is True and "rungs" not in job for job in jobs)
    trials = [TrialSpec.model_validate(job["trial"]) for job in jobs]
    assert [(t.seed, t.with_validation) for t in trials] == [(s, True) for s in [*SEEDS] * 2]
    assert [t.strategy.name for t in trials] == ["kd", "kd", "none", "none"]
    records = store.read()
    assert [(r.point, r.replicate, r.replicates) for r in records] == [
        (0, 0, 2), (0, 1, 2), (1, 0, 2), (1, 1, 2),
    ]  # fmt: skip
    # The trial file trains the same student again.
    assert "with_validation: true" in store.trial_file("00000").read_text()
    assert json.loads(records[0].model_dump_json())["changes"] == {"student.width": 2}
