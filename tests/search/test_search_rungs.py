"""Who goes on at a rung: by hand, and for any order of any trials."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdsweep.results.record import EpochMetrics, TrialResult
from kdsweep.search.rungs import FEWEST, Rung, Rungs, rungs_of
from kdsweep.search.scheduler import FrontScheduler
from kdsweep.spec import SearchSpec, TrainSpec

RUNG = Rung(epoch=5, epochs=20)
OBJECTIVES = {"accuracy": "max", "params": "min"}


class WithoutOctaves(Rungs):
    keeps_octaves = False


def epoch(number, accuracy, loss=1.0):
    return EpochMetrics(epoch=number, accuracy=accuracy, loss=loss, lr=0.1, seconds=0.5)


def sizes(params):
    return {"params": params, "macs": 10 * params, "size_bytes": 4 * params}


def judged(rungs, key, params, accuracy, *, at=5, loss=1.0):
    rungs.enter(key, sizes=sizes(params), rungs=(RUNG, Rung(10, 20)))
    return rungs.judge(key, epoch(at, accuracy, loss))


def goes_on(rungs, key, params, accuracy, **more):
    return judged(rungs, key, params, accuracy, **more).goes_on


def test_among_equals_in_size_it_is_successive_halving():
    rungs = Rungs(OBJECTIVES, eta=3)
    # Of the first two nobody is ended; then one in three goes on, those before included.
    found = [goes_on(rungs, str(n), 100, a) for n, a in enumerate([0.5, 0.4, 0.3, 0.6, 0.45, 0.55])]
    # Two of 3 stand better than 0.3, two of 5 better than 0.45, and one of 6 better than 0.55.
    assert found == [True, True, False, True, False, True]


def test_a_small_student_goes_on_whatever_a_large_one_has():
    rungs = Rungs(OBJECTIVES, eta=3)
    for n, accuracy in enumerate([0.9, 0.91, 0.92, 0.93]):
        judged(rungs, f"large {n}", 10_000, accuracy)
    assert goes_on(rungs, "small", 100, 0.2)
    assert goes_on(rungs, "larger than the small one, and better", 200, 0.25)
    assert not goes_on(rungs, "as large as the large ones", 10_000, 0.85)


def test_by_accuracy_alone_the_small_one_would_be_ended():
    rungs = Rungs({"accuracy": "max"}, eta=3)
    for n, accuracy in enumerate([0.9, 0.91, 0.92, 0.93]):
        judged(rungs, f"large {n}", 10_000, accuracy)
    assert not goes_on(rungs, "small", 100, 0.2)


def test_why_a_trial_was_ended_is_said_in_numbers():
    rungs = Rungs(OBJECTIVES, eta=3)
    for n, accuracy in enumerate([0.5, 0.6, 0.7]):
        judged(rungs, str(n), 100, accuracy)
    said = judged(rungs, "last", 100, 0.4)
    assert not said.goes_on
    assert said.why == (
        "ended at epoch 5 of 20: accuracy 30.00 points behind the best of those no larger, "
        "and 3 of the 4 that came so far do better in that"
    )


def test_the_same_is_said_to_whoever_asks_again():
    rungs = Rungs(OBJECTIVES, eta=3)
    for n, accuracy in enumerate([0.5, 0.6, 0.7]):
        judged(rungs, str(n), 100, accuracy)
    first = judged(rungs, "last", 100, 0.4)
    # It is not counted twice, and what has come since changes nothing.
    for n in range(5):
        judged(rungs, f"later {n}", 100, 0.1)
    assert judged(rungs, "last", 100, 0.4) == first


def test_each_rung_has_its_own_field_and_other_epochs_have_none():
    rungs = Rungs(OBJECTIVES, eta=3)
    for n, accuracy in enumerate([0.5, 0.6, 0.7]):
        judged(rungs, str(n), 100, accuracy)
    assert goes_on(rungs, "a", 100, 0.1, at=6)
    assert goes_on(rungs, "b", 100, 0.1, at=10)
    # Trainings of another length are not held against these.
    rungs.enter("c", sizes=sizes(100), rungs=(Rung(5, 40),))
    assert rungs.judge("c", epoch(5, 0.1)).goes_on
    assert rungs.judge("unknown, as a control", epoch(5, 0.1)).goes_on


def test_losses_are_minimised_and_what_is_not_a_number_is_worst():
    rungs = Rungs({"loss": "min", "params": "min"}, eta=3)
    for n, loss in enumerate([0.5, 0.6, 0.7]):
        judged(rungs, str(n), 100, 0.1, loss=loss)
    assert goes_on(rungs, "best", 100, 0.1, loss=0.4)
    assert not goes_on(rungs, "nan", 100, 0.1, loss=math.nan)


def test_multiply_adds_stand_for_the_latency():
    rungs = Rungs({"accuracy": "max", "latency_ms": "min"}, eta=3)
    for n, accuracy in enumerate([0.5, 0.6, 0.7]):
        judged(rungs, str(n), 1000, accuracy)
    assert goes_on(rungs, "small", 100, 0.1)
    assert not goes_on(rungs, "larger", 1100, 0.1)


FRONT = [(100, 0.2), (200, 0.4), (400, 0.5), (800, 0.55), (1600, 0.56)]
"""Each larger one is ahead of the next smaller, by 0.2, 0.1, 0.05, 0.01."""


def test_of_the_front_those_that_are_far_ahead_of_smaller_ones_go_on():
    rungs = WithoutOctaves(OBJECTIVES, eta=3)
    assert [goes_on(rungs, str(n), *each) for n, each in enumerate(FRONT)] == [
        True, True, False, False, False,
    ]  # fmt: skip
    # What is ahead by more than those before it goes on.
    assert goes_on(rungs, "leap", 3200, 0.8)
    said = judged(rungs, "no leap", 6400, 0.81)
    assert "accuracy 1.00 points ahead of the best" in said.why


def test_the_best_of_each_octave_of_size_goes_on():
    rungs = Rungs(OBJECTIVES, eta=3)
    assert all(goes_on(rungs, str(n), *each) for n, each in enumerate(FRONT))
    # Nearest to 1024 are 725 to 1448: there 0.55 is the best so far.
    assert not goes_on(rungs, "worse in its octave", 1400, 0.54)
    assert goes_on(rungs, "as good in its octave", 1400, 0.55)
    # No number stands well anywhere, be it the first of its octave.
    assert not goes_on(rungs, "nan", 50_000, math.nan)


def test_octaves_are_of_all_sizes_together():
    rungs = Rungs({"accuracy": "max", "params": "min", "macs": "min"}, eta=3)
    found = {}
    for key, params, macs, accuracy in (
        ("a", 128, 1024, 0.9), ("b", 128, 1024, 0.8), ("c", 128, 1024, 0.7),
        ("more macs", 128, 4096, 0.5), ("the same", 128, 4096, 0.4),
    ):  # fmt: skip
        rungs.enter(key, sizes={"params": params, "macs": macs}, rungs=(RUNG,))
        found[key] = rungs.judge(key, epoch(5, accuracy)).goes_on
    assert (found["c"], found["more macs"], found["the same"]) == (False, True, False)


def test_a_larger_student_that_came_first_is_held_against_a_smaller_one_that_came_later():
    rungs = Rungs(OBJECTIVES, eta=2)
    for n, (params, accuracy) in enumerate([(1000, 0.9), (900, 0.3), (100, 0.89), (2000, 0.92)]):
        judged(rungs, str(n), params, accuracy)
    # 0.9 was far ahead until 0.89 came: now ahead by 0.01, and the new one by 0.02 of it.
    assert goes_on(rungs, "new", 5000, 0.94)


def test_with_several_sizes_no_larger_is_no_larger_in_each():
    rungs = WithoutOctaves({"accuracy": "max", "params": "min", "macs": "min"}, eta=3)
    for n in range(4):
        rungs.enter(str(n), sizes={"params": 100, "macs": 900}, rungs=(RUNG,))
        rungs.judge(str(n), epoch(5, 0.9))
    for key, params, macs, answer in (("p", 200, 800, True), ("q", 200, 950, False)):
        rungs.enter(key, sizes={"params": params, "macs": macs}, rungs=(RUNG,))
        assert rungs.judge(key, epoch(5, 0.1)).goes_on == answer


def test_a_trial_goes_on_that_is_good_in_one_of_two_measured_objectives():
    rungs = Rungs({"accuracy": "max", "loss": "min", "params": "min"}, eta=3)
    for n in range(4):
        judged(rungs, str(n), 100, 0.9, loss=0.5)
    assert goes_on(rungs, "confident", 100, 0.8, loss=0.3)
    assert not goes_on(rungs, "neither", 100, 0.8, loss=0.6)


def test_sizes_alone_end_nobody():
    rungs = Rungs({"params": "min"}, eta=3)
    assert all(goes_on(rungs, str(n), 100 * n, 0.1) for n in range(9))


POINTS = st.lists(st.tuples(st.integers(1, 6), st.integers(0, 8)), min_size=1, max_size=40)


def behind(points):
    """How far each is behind the best of the others that are no larger."""
    return [
        max((b for j, (q, b) in enumerate(points) if q <= p and j != i), default=-math.inf) - a
        for i, (p, a) in enumerate(points)
    ]


@given(POINTS, st.floats(1.5, 5))
def test_any_trials_in_any_order(points, eta):
    rungs, alone = Rungs(OBJECTIVES, eta=eta), WithoutOctaves(OBJECTIVES, eta=eta)
    for n, (params, accuracy) in enumerate(points, start=1):
        found = behind(points[:n])
        before = sum(each < found[-1] for each in found)
        # Eighths are added and taken from each other without rounding.
        stands_well = goes_on(alone, str(n), params, accuracy / 8)
        assert stands_well == (n < FEWEST or before < n / eta)
        octave = [a for q, a in points[:n] if round(math.log2(q)) == round(math.log2(params))]
        answer = goes_on(rungs, str(n), params, accuracy / 8)
        assert answer == (stands_well or accuracy == max(octave))
        if all(q > params for q, _ in points[: n - 1]):
            assert answer


def result(key, accuracies, *, status="complete", role="trial", params=100):
    return TrialResult(
        trial_id=key, number=1, role=role, status=status, name="", trial={"train": TRAIN},
        epochs=[epoch(n, a, 1 - a) for n, a in enumerate(accuracies, start=1)],
        metrics={"accuracy": accuracies[-1], "loss": 1 - accuracies[-1], **sizes(params)},
    )  # fmt: skip


TRAIN = {"epochs": 20, "schedule": {"name": "per_rung", "ends": [0.25, 0.5]}}
SEARCH = SearchSpec()


def curve(at_rung, at_end):
    return [0.0] * 4 + [at_rung] + [0.0] * 14 + [at_end]


def test_what_a_pruned_trial_would_have_come_to_is_the_median_of_what_others_gained():
    rungs = Rungs(OBJECTIVES, eta=3)
    cut = result("cut", [0.0] * 4 + [0.3], status="pruned")
    # Nobody has come to the end: what is known is the value at the rung.
    assert rungs.estimated(cut).metrics["accuracy"] == 0.3
    rungs.remember(
        [result(f"{n}", curve(0.5, 0.5 + g)) for n, g in enumerate((0.1, 0.2, 0.45))], SEARCH
    )
    estimated = rungs.estimated(cut)
    assert estimated.metrics == pytest.approx(cut.metrics | {"accuracy": 0.5, "loss": 0.5})
    assert estimated.status == "pruned"
    assert rungs.estimated(result("whole", curve(0.5, 0.6))).metrics["accuracy"] == 0.6


def test_an_estimate_is_a_possible_value():
    rungs = Rungs(OBJECTIVES, eta=3)
    rungs.remember([result("whole", curve(0.1, 0.9))], SEARCH)
    estimated = rungs.estimated(result("cut", [0.0] * 4 + [0.5], status="pruned"))
    assert (estimated.metrics["accuracy"], estimated.metrics["loss"]) == (1.0, 0.0)


def test_an_estimate_is_no_better_than_the_best_of_those_that_were_above():
    rungs = Rungs(OBJECTIVES, eta=3)
    # What it gained from there is much in the middle, but little for those that dominate it.
    small = [result(f"s{n}", curve(0.2, 0.9), params=10) for n in range(5)]
    rungs.remember([*small, result("a", curve(0.5, 0.6)), result("b", curve(0.6, 0.65))], SEARCH)
    assert not judged(rungs, "cut", 100, 0.4).goes_on
    estimated = rungs.estimated(result("cut", [0.0] * 4 + [0.4], status="pruned"))
    assert (estimated.metrics["accuracy"], estimated.metrics["loss"]) == (0.65, pytest.approx(0.35))


def test_trials_of_an_earlier_process_are_held_against_later_ones():
    rungs = Rungs(OBJECTIVES, eta=3)
    rungs.remember(
        [
            *(result(f"{n}", curve(0.5, 0.9)) for n in range(3)),
            result("control", curve(0.99, 0.99), role="control"),
            result("half", [0.0] * 4 + [0.99], status="stopped"),
        ],
        SEARCH,
    )
    said = judged(rungs, "new", 100, 0.4)
    assert said.why.endswith("3 of the 4 that came so far do better in that")


def test_rungs_follow_from_the_settings_of_the_trial():
    train = TrainSpec.model_validate(TRAIN)
    assert rungs_of(train, SEARCH) == (Rung(5, 20), Rung(10, 20))
    assert rungs_of(train, SearchSpec(rungs=None)) == ()
    assert rungs_of(train, SearchSpec(replicates=2)) == ()
    assert rungs_of(train, SearchSpec(batch=2)) == ()
    assert rungs_of(TrainSpec(epochs=20), SEARCH) == ()


class Answers:
    """Stands for the switchboard: keeps what it is told."""

    def __init__(self):
        self.given = []

    @property
    def answer(self):
        return self

    def remote(self, *told):
        self.given.append(told)


def test_the_scheduler_answers_the_lanes_that_wait_and_leaves_the_rest_to_tune():
    rungs, board = Rungs(OBJECTIVES, eta=3), Answers()
    scheduler = FrontScheduler(rungs, board)
    for n, accuracy in enumerate([0.5, 0.6, 0.7, 0.4]):
        rungs.enter(str(n), sizes=sizes(100), rungs=(RUNG,))
        at = {"key": str(n), "at_rung": epoch(5, accuracy).model_dump_json()}
        # Tune counts results; the rung is known by the epoch.
        assert scheduler.on_trial_result(None, None, {**at, "training_iteration": 1}) == "CONTINUE"
    assert scheduler.on_trial_result(None, None, {"key": "0", "at_rung": None}) == "CONTINUE"
    assert [(key, at, told["goes_on"]) for key, at, told in board.given] == [
        ("0", 5, True), ("1", 5, True), ("2", 5, True), ("3", 5, False),
    ]  # fmt: skip
    assert board.given[-1][2]["why"].startswith("ended at epoch 5 of 20")
