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
    # 0.3 has two above it: 2 of 3 have fewer. 0.45 has two of 5, and 0.55 one of 6.
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
        "ended at epoch 5 of 20: of 4 trials that came so far 3 dominate it, "
        "and 3 have fewer above them"
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
    assert not goes_on(rungs, "large", 2000, 0.1)


POINTS = st.lists(st.tuples(st.integers(1, 6), st.integers(0, 8)), min_size=1, max_size=40)


def dominates(one, other):
    return one[0] <= other[0] and one[1] >= other[1] and one != other


@given(POINTS, st.floats(1.5, 5))
def test_nobody_on_the_front_so_far_is_ended_and_the_ended_have_many_before_them(points, eta):
    rungs, seen = Rungs(OBJECTIVES, eta=eta), []
    for n, point in enumerate(points):
        seen.append(point)
        above = [sum(dominates(q, p) for q in seen) for p in seen]
        answer = goes_on(rungs, str(n), point[0], point[1] / 10)
        before = sum(count < above[-1] for count in above)
        assert answer == (len(seen) < FEWEST or above[-1] == 0 or before < len(seen) / eta)


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
    assert said.why.startswith("ended at epoch 5 of 20: of 4 trials that came so far 3 dominate it")


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
