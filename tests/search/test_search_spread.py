"""The first trials cover the sizes of the students, as far as these are known untrained."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from search_sweeps import ask_all, changed, result_of, sampler_of
from test_search_resume import as_read
from test_search_unseen import sized

from kdsweep.search import optuna_terms
from kdsweep.search.spread import MOST_STUDENTS, Spread
from kdsweep.spec import Space

SPACE = Space.parse(
    {
        "student.width": {"int": [1, 64], "log": True},
        "train.lr": {"loguniform": [1e-4, 1e-1]},
    }
)

NUM_STARTS = 6
"""Of the conditional sweep: controls, trial as written, fitnet, and twice kd without labels."""


def anything(point):
    return True


@settings(max_examples=40, deadline=None)
@given(
    power=st.floats(-3, 3).filter(lambda power: abs(power) > 0.1),
    strata=st.integers(1, 12),
    starts=st.lists(st.integers(1, 64), max_size=5),
    seed=st.integers(0, 1000),
)
def test_the_first_picks_cover_every_stratum_that_there_is(power, strata, starts, seed):
    """With ``strata`` picks each part of the range has had a point, the starts counted."""

    def size_of(changes):
        return float(changes["student.width"]) ** power

    spread = Spread(SPACE, size_of, num_strata=strata, seed=seed)
    covered = [{"student.width": width} for width in starts]
    picks = []
    while len(picks) < strata:
        picks.append(spread.pick([*covered, *(p.changes for p in picks)], anything))
    strata_of = [spread.stratum(size_of(each)) for each in covered + [p.changes for p in picks]]
    # Both ends are candidates, whatever was drawn at random.
    assert {0, strata - 1} <= set(strata_of)
    reached = {spread.stratum(float(width) ** power) for width in range(1, 65)}
    candidates = Spread(SPACE, size_of, num_strata=strata, seed=seed)
    there = {spread.stratum(size_of(point.changes)) for point in all_of(candidates)}
    assert there <= reached
    assert there <= set(strata_of)


def all_of(spread):
    found = []
    while (point := spread.pick([p.changes for p in found], anything)) is not None:
        found.append(point)
    return found


def test_what_has_been_covered_by_starts_is_left_for_later():
    spread = Spread(SPACE, lambda changes: float(changes["student.width"]), num_strata=3, seed=0)
    # Widths 1..4, 4..16 and 16..64: the first two are taken, so the third is first.
    first = spread.pick([{"student.width": 2}, {"student.width": 8}], anything)
    assert first.changes["student.width"] >= 16


def test_a_point_that_is_not_admitted_is_not_picked():
    spread = Spread(SPACE, lambda changes: float(changes["student.width"]), num_strata=4, seed=0)
    small = [spread.pick([], lambda p: p.changes["student.width"] <= 2) for _ in range(3)]
    assert {point.changes["student.width"] for point in small} <= {1, 2}
    assert spread.pick([], lambda point: False) is None


def test_only_so_many_students_are_built():
    built = set()

    def size_of(changes):
        built.add(changes["student.width"])
        return float(changes["student.width"])

    space = Space.parse({"student.width": {"int": [1, 10**6]}})
    Spread(space, size_of, num_strata=5, seed=0).pick([], anything)
    assert len(built) == MOST_STUDENTS


@pytest.mark.parametrize(
    ("objectives", "counts"),
    [
        ({"accuracy": "max", "params": "min"}, True),
        ({"accuracy": "max", "latency_ms": "min"}, True),  # by the multiply-adds
        ({"accuracy": "max"}, False),
    ],
)
def test_sizes_are_spread_where_an_objective_is_a_size(conditional, objectives, counts):
    sweep = changed(conditional, search={"trials": 14, "seed": 1}, objectives=objectives)
    asked = []
    sampler = sampler_of(sweep, sizes_of=lambda changes: asked.append(changes) or sized(changes))
    found = ask_all(sampler)
    widths = Counter(p.assignment.params["student.width"] for p in found[NUM_STARTS:])
    if counts:
        # The starts are all of width 4.
        assert min(widths[2], widths[8]) >= 3
    assert bool(asked) == counts


@pytest.mark.parametrize("name", ["tpe", "nsga2", "gp"])
def test_the_trials_after_the_starts_are_the_spread_ones(conditional, name):
    """The smallest and the largest student come at once, before any result is known."""
    sweep = changed(conditional, search={"sampler": name, "trials": 6, "seed": 1})
    found = ask_all(sampler_of(sweep, sizes_of=sized))
    assert {p.assignment.params["student.width"] for p in found[:NUM_STARTS]} == {4}
    # 100 parameters for each of width, and 8 to 32 more.
    first, second = sorted(sized(p.assignment.changes)["params"] for p in found[NUM_STARTS:])
    assert first < 300
    assert second > 800


@pytest.mark.parametrize("cut", [3, 6, 7, 9, 16])
def test_a_resume_goes_on_with_the_spread_where_it_was(conditional, cut):
    """As many spread trials in all, and none of them a second time."""
    sweep = changed(conditional, search={"sampler": "tpe", "trials": 30, "seed": 3})
    done = first_records_of(sweep, cut)
    whole, sampler = (sampler_of(sweep, given, sizes_of=sized) for given in ((), done))
    num_spread = NUM_STARTS + optuna_terms.NUM_SPREAD["tpe"]
    straight = [whole.ask().assignment.params for _ in range(num_spread)]
    after = [sampler.ask().assignment.params for _ in range(num_spread - cut)]
    records = [result.params for result in done]
    assert not [params for params in after if params in records]
    assert widths_of(records + after) == widths_of(straight)


def first_records_of(sweep, number):
    """The records of the first trials by a sampler that knows sizes."""
    sampler = sampler_of(sweep, sizes_of=sized)
    found = []
    for _ in range(number):
        proposal = sampler.ask()
        sampler.tell(proposal.number, result_of(proposal))
        found.append(as_read(result_of(proposal)))
    return found


def widths_of(points):
    return Counter(params["student.width"] for params in points)
