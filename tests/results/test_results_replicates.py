"""Replicates become one result: mean, deviation, and a definite trial to stand for them."""

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdsweep.results.pareto import front
from kdsweep.results.record import TrialResult
from kdsweep.results.replicates import Gathering, PointResult, by_point, deviation, merged
from kdsweep.results.select import select

TWO = {"accuracy": "max", "params": "min"}


def replicate(point, index, accuracy, *, of=3, params=100.0, **more):
    number = of * point + index
    given = {
        "trial_id": f"t{number}",
        "number": number,
        "point": point,
        "replicate": index,
        "replicates": of,
        "status": "complete",
        "name": f"kd w{point}",
        "trial": {"seed": index},
        "metrics": {"accuracy": accuracy, "params": params},
        "weights": f"trials/t{number}/student.safetensors",
        **more,
    }
    return TrialResult(**given)


def point(number, accuracies, **more):
    return [replicate(number, i, a, of=len(accuracies), **more) for i, a in enumerate(accuracies)]


def test_the_mean_and_the_sample_deviation_by_hand():
    found = merged(point(4, [0.5, 0.75, 1.0]))
    assert isinstance(found, PointResult)
    assert found.metrics == {"accuracy": 0.75, "params": 100.0}
    assert found.deviations == {"accuracy": 0.25, "params": 0.0}
    assert (found.status, found.point, found.replicates) == ("complete", 4, 3)
    assert found.trial_ids == ("t12", "t13", "t14")
    assert deviation(found, "accuracy") == 0.25
    assert deviation(found, "loss") is None


@given(st.lists(st.floats(0, 1), min_size=2, max_size=9))
def test_mean_and_deviation_are_those_of_the_standard_library(accuracies):
    found = merged(point(0, accuracies))
    assert found.metrics["accuracy"] == pytest.approx(statistics.mean(accuracies), abs=1e-12)
    assert found.deviations["accuracy"] == pytest.approx(statistics.stdev(accuracies), abs=1e-9)


@pytest.mark.parametrize(
    ("accuracies", "index"),
    [
        ([0.9, 0.5, 0.7], 2),
        ([0.9, 0.5], 1),  # of two the lower
        ([0.5, 0.9, 0.6, 0.7], 2),
        ([0.5, 0.5, 0.5], 1),
        ([math.nan, 0.5, 0.9], 1),
    ],
)
def test_the_trial_behind_a_point_is_the_one_of_median_accuracy(accuracies, index):
    found = merged(point(2, accuracies))
    of = len(accuracies)
    assert (found.trial_id, found.number) == (f"t{of * 2 + index}", of * 2 + index)
    assert found.trial == {"seed": index}
    assert found.weights == f"trials/t{of * 2 + index}/student.safetensors"


@given(st.lists(st.floats(0, 1), min_size=2, max_size=7, unique=True))
def test_it_is_never_the_luckiest(accuracies):
    assert merged(point(0, accuracies)).replicate != accuracies.index(max(accuracies))


@given(st.permutations(range(4)))
def test_the_order_of_the_records_does_not_matter(order):
    records = point(1, [0.4, 0.8, 0.6, 0.6])
    assert merged([records[i] for i in order]) == merged(records)


def test_a_point_of_which_one_failed_is_failed_with_its_error():
    records = point(0, [0.5, 0.5, 0.5])
    records[1] = records[1].model_copy(update={"status": "failed", "error": "no memory"})
    found = merged(records)
    assert (found.status, found.error, found.metrics) == ("failed", "no memory", {})
    assert found.trial_ids == ("t0", "t1", "t2")


@pytest.mark.parametrize("status", ["running", "stopped"])
def test_a_point_that_was_cut_short_is_not_complete(status):
    records = point(0, [0.5, 0.5, 0.5])
    assert merged(records[:2]).status == "stopped"
    cut = records[2].model_copy(update={"status": status})
    assert merged([*records[:2], cut]).status == "stopped"
    failed = records[0].model_copy(update={"status": "failed"})
    assert merged([failed, records[1]]).status == "stopped"


def test_a_metric_counts_if_every_replicate_has_it():
    records = point(0, [0.5, 0.5], metrics={"accuracy": 0.5, "latency_ms": 1.0, "loss": 1.0})
    without = {"accuracy": 0.5, "loss": math.nan}
    records[0] = records[0].model_copy(update={"metrics": without})
    found = merged(records)
    assert set(found.metrics) == {"accuracy", "loss"}
    assert math.isnan(found.metrics["loss"])


def test_an_infinite_loss_is_no_error():
    found = merged(point(0, [0.5, 0.5], metrics={"loss": math.inf}))
    assert found.metrics["loss"] == math.inf
    assert math.isnan(found.deviations["loss"])


def alone(number, accuracy, **more):
    return replicate(number, 0, accuracy, of=1, **more)


def test_trials_without_replicates_stay_as_they_are():
    records = [alone(n, 0.5) for n in range(3)]
    assert all(a is b for a, b in zip(by_point(records), records, strict=True))
    assert Gathering().add(records[0]) is records[0]
    assert deviation(records[0], "accuracy") is None


def test_points_come_in_the_order_in_which_they_begin_and_the_teacher_is_not_among_them():
    teacher = alone(0, 0.99, role="teacher", trial_id="teacher-0")
    first, second = point(0, [0.5, 0.6, 0.7]), point(1, [0.6, 0.7, 0.8])
    mixed = [teacher, first[0], second[2], first[2], second[0], first[1], second[1]]
    found = by_point(mixed)
    assert found == [teacher, merged(first), merged(second)]
    assert by_point(found) == found


@given(st.permutations(range(9)))
def test_gathering_gives_each_point_once_with_its_last_replicate(order):
    records = [each for n in range(3) for each in point(n, [0.1 * n, 0.2, 0.3])]
    gathering, found, seen = Gathering(), [], []
    for i in order:
        seen.append(records[i])
        whole = gathering.add(records[i])
        last = sum(each.point == records[i].point for each in seen) == 3
        assert (whole is not None) == last
        found += [whole] if whole is not None else []
    assert sorted(found, key=lambda r: r.point) == by_point(records)


def test_a_record_from_before_there_were_replicates_reads_as_a_point_of_its_own():
    old = alone(7, 0.5).model_dump(exclude={"point", "replicate", "replicates"})
    read = TrialResult.model_validate(old)
    assert (read.point, read.replicate, read.replicates) == (7, 0, 1)
    assert (read.label, read.trial_ids) == ("kd w7", ("t7",))


def test_labels():
    records = point(3, [0.5, 0.5])
    assert [r.label for r in records] == ["kd w3 (1/2)", "kd w3 (2/2)"]
    assert merged(records).label == "kd w3"


# Point 1 has the luckiest seed and the lower mean; point 2 lacks a replicate; point 3 failed.
STEADY, LUCKY = point(0, [0.90, 0.91, 0.92]), point(1, [0.70, 0.75, 0.99])
MISSING = point(2, [0.99, 0.99, 0.99], params=10.0)[:2]
FAILED = point(3, [0.99, 0.99, 0.99], params=10.0)
FAILED[1] = FAILED[1].model_copy(update={"status": "failed", "metrics": {}})
SMALL = point(4, [0.80, 0.82, 0.84], params=50.0)
RUN = [*STEADY, *LUCKY, *MISSING, *FAILED, *SMALL]


def test_the_front_is_of_means_and_of_whole_points():
    found = front(RUN, TWO)
    assert [r.point for r in found] == [4, 0]
    assert [r.metrics["accuracy"] for r in found] == pytest.approx([0.82, 0.91])
    assert [r.trial_id for r in found] == ["t13", "t1"]


def test_the_front_can_be_kept_up_to_date_by_points():
    so_far = []
    for each in (STEADY, LUCKY, SMALL):
        so_far = front([*so_far, merged(each)], TWO)
    assert so_far == front(RUN, TWO)


def test_constraints_hold_for_the_mean():
    assert [r.point for r in front(RUN, TWO, constraints={"accuracy": {"min": 0.82}})] == [4, 0]
    assert [r.point for r in front(RUN, TWO, constraints={"accuracy": {"min": 0.83}})] == [0]


def test_select_chooses_among_points():
    choice = select(RUN, TWO)
    assert (choice.chosen.point, choice.chosen.trial_id) == (0, "t1")
    assert [r.point for r in choice.runners_up] == [4, 1]
    assert select(RUN, TWO, min_accuracy=0.95).advice == (
        "min accuracy 91.00% (--min-accuracy 0.91, by 4.00 points) lets trial 1 (kd w0) fit",
    )
    rejected = select(RUN, TWO, max_params=60).rejected
    assert [(r.point, why) for r, why in rejected] == [
        (0, ("params 100 > 60",)), (1, ("params 100 > 60",)),
    ]  # fmt: skip
