import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdsweep.results.pareto import (
    dominates,
    domination_counts,
    front,
    hypervolume,
    non_dominated,
    points,
)
from kdsweep.results.record import TrialResult

TWO = {"accuracy": "max", "params": "min"}
FOUR = {"params": "min", "accuracy": "max", "loss": "min", "latency_ms": "min"}


def result(number, *, role="trial", status="complete", **metrics):
    return TrialResult(
        trial_id=f"t{number}", number=number, role=role, status=status, name=f"trial {number}",
        trial={}, metrics=metrics,
    )  # fmt: skip


# Few distinct values, so that ties and equal trials are common.
few = st.sampled_from([0.0, 0.25, 0.5, 1.0, 3.0])
metric = st.one_of(few, st.sampled_from([math.nan, math.inf]))


@st.composite
def result_lists(draw):
    rows = draw(
        st.lists(
            st.tuples(
                metric, metric, metric, metric,
                st.sampled_from(["complete", "complete", "complete", "failed", "stopped"]),
                st.sampled_from(["trial", "trial", "control", "teacher"]),
            ),
            max_size=25,
        )
    )  # fmt: skip
    return [
        result(i, accuracy=a, params=p, loss=loss, latency_ms=ms, status=status, role=role)
        for i, (a, p, loss, ms, status, role) in enumerate(rows)
    ]


def by_definition(results, objectives):
    """The front word for word, one comparison at a time."""
    sign = {metric: 1 if way == "min" else -1 for metric, way in objectives.items()}
    vectors = {
        r.number: [sign[m] * r.metrics[m] for m in objectives]
        for r in results
        if r.status == "complete"
        and r.role != "teacher"
        and all(math.isfinite(r.metrics[m]) for m in objectives)
    }

    def beaten(number):
        mine = vectors[number]
        for other, theirs in vectors.items():
            if theirs == mine and other < number:
                return True
            no_worse = all(t <= m for t, m in zip(theirs, mine, strict=True))
            if no_worse and theirs != mine:
                return True
        return False

    return {number for number in vectors if not beaten(number)}


@pytest.mark.parametrize("objectives", [{"accuracy": "max"}, TWO, FOUR], ids=["one", "two", "four"])
@given(results=result_lists())
def test_front_is_the_definition(objectives, results):
    found = front(results, objectives)
    assert {r.number for r in found} == by_definition(results, objectives)
    assert len(found) == len({r.number for r in found})


@given(results=result_lists(), extra=result_lists())
def test_front_can_be_kept_up_to_date(results, extra):
    later = [r.model_copy(update={"number": r.number + 100}) for r in extra]
    assert front([*front(results, TWO), *later], TWO) == front([*results, *later], TWO)


@given(results=result_lists())
def test_domination_counts_are_the_definition(results):
    clean = [r for r in results if all(math.isfinite(v) for v in r.metrics.values())]
    counts = domination_counts(points(clean, FOUR))
    assert counts.tolist() == [sum(dominates(o, r, FOUR) for o in clean) for r in clean]


def test_front_by_hand_is_sorted_by_size():
    results = [
        result(0, accuracy=0.95, params=900),
        result(1, accuracy=0.90, params=100),
        result(2, accuracy=0.89, params=200),  # beaten by 1
        result(3, accuracy=0.99, params=5000, role="teacher"),
        result(4, accuracy=math.nan, params=10),
        result(5, accuracy=0.95, params=900),  # the same as 0, later
        result(6, accuracy=0.92, params=400, role="control"),
        result(7, accuracy=0.99, params=50, status="failed"),
        result(8, params=1),  # died before it was evaluated
    ]
    assert [r.number for r in front(results, TWO)] == [1, 6, 0]


def test_constraints_include_their_bound():
    results = [result(0, accuracy=0.9, params=100), result(1, accuracy=0.95, params=101)]
    inside = front(results, TWO, constraints={"params": {"max": 100, "min": None}})
    assert [r.number for r in inside] == [0]
    assert [r.number for r in front(results, TWO, constraints={"accuracy": {"min": 0.95}})] == [1]
    assert front(results, TWO, constraints={"latency_ms": {"max": 1}}) == []


def test_without_a_size_the_best_comes_first():
    results = [result(0, accuracy=0.9, loss=0.1), result(1, accuracy=0.95, loss=0.2)]
    assert [r.number for r in front(results, {"accuracy": "max", "loss": "min"})] == [1, 0]


def test_no_results_no_front():
    assert front([], TWO) == []
    assert non_dominated(np.empty((0, 2))) == []
    assert domination_counts(np.empty((0, 2))).tolist() == []


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), columns=st.integers(1, 4))
def test_blocks_of_many_rows_agree_with_the_front(seed, columns):
    values = np.random.default_rng(seed).integers(0, 30, size=(600, columns)).astype(float)
    counts = domination_counts(values)
    best = {tuple(row) for row in values[counts == 0]}
    assert {tuple(values[i]) for i in non_dominated(values)} == best


def test_ten_thousand_trials_are_no_burden():
    values = np.random.default_rng(0).random((10_000, 4))
    assert non_dominated(values) == np.flatnonzero(domination_counts(values) == 0).tolist()


def test_hypervolume_by_hand():
    # Strips under the reference (4, 3): 3 wide and 1 high, then 2 wide and 1 high.
    #   (3, 2.5) is beaten, (5, 0) and (0, 3) are no better than the reference in one column.
    values = np.array([[2.0, 1.0], [1.0, 2.0], [3.0, 2.5], [5.0, 0.0], [0.0, 3.0], [1.0, 2.0]])
    assert hypervolume(values, (4.0, 3.0)) == 3 * 1 + 2 * 1
    assert hypervolume(np.empty((0, 2)), (4.0, 3.0)) == 0.0


@given(
    rows=st.lists(st.tuples(st.integers(-2, 9), st.integers(-2, 9)), max_size=20),
    corner=st.tuples(st.integers(0, 8), st.integers(0, 8)),
)
def test_hypervolume_counts_the_dominated_cells(rows, corner):
    """With whole numbers the area is a number of unit cells, named by their lower corners."""
    cells = sum(
        any(x <= i and y <= j for x, y in rows)
        for i in range(-2, corner[0])
        for j in range(-2, corner[1])
    )
    assert hypervolume(np.array(rows, dtype=float).reshape(-1, 2), corner) == cells


@given(
    rows=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=20),
    new=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_hypervolume_grows_with_what_is_on_the_front_and_never_shrinks(rows, new):
    before, after = np.array(rows), np.array([*rows, new])
    grown = hypervolume(after, (1.5, 1.5)) - hypervolume(before, (1.5, 1.5))
    assert grown >= -1e-12
    if len(before) not in non_dominated(after):
        assert grown == pytest.approx(0.0, abs=1e-12)
    elif (before > np.array(new) + 0.01).all():
        assert grown > 1e-5


@pytest.mark.parametrize(
    ("values", "reference", "why"),
    [
        (np.zeros((3, 4)), (1.0, 1.0), r"values \(3, 4\) and reference \(2,\): .* two objectives"),
        (np.zeros((3, 2)), (1.0, 1.0, 1.0), r"values \(3, 2\) and reference \(3,\)"),
        (np.zeros((3, 2)), (1.0, math.inf), r"reference \[1.0, inf\]: must be finite"),
    ],
)
def test_hypervolume_is_of_two_objectives_and_a_finite_corner(values, reference, why):
    with pytest.raises(ValueError, match=why):
        hypervolume(values, reference)
