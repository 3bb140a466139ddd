"""Limits from three sides: given, as a distance from the teacher, and the sweep's own."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_records import trial_result

from kdsweep.errors import ResultError
from kdsweep.results.knee import knee_distances
from kdsweep.results.limits import accuracies_words, bytes_of, points_words
from kdsweep.results.select import PREFERENCES, preferred_metric, select

TWO = {"accuracy": "max", "params": "min"}


def student(number, accuracy, params, **more):
    metrics = {"accuracy": accuracy, "params": params, **more}
    return trial_result(number, name=f"kd w{number}", metrics=metrics)


RUN = [student(0, 0.80, 1_000), student(1, 0.90, 5_000), student(2, 0.97, 40_000)]


def test_within_is_a_distance_from_the_teacher():
    choice = select(RUN, TWO, within=0.08, teacher_accuracy=0.98, prefer="params")
    assert choice.chosen is RUN[1]
    assert choice.rejected == (
        (RUN[0], ("accuracy 80.00% < 90.00% (within 8.00 points of the teacher's 98.00%)",)),
    )


def test_within_includes_its_end():
    # In floating point 0.97 - 0.07 is a little less than 0.9, and 0.99 - 0.09 a little more.
    for teacher, within in ((0.97, 0.07), (0.99, 0.09)):
        choice = select(RUN, TWO, within=within, teacher_accuracy=teacher, prefer="params")
        assert choice.chosen is RUN[1]


def test_within_needs_a_teacher_of_known_accuracy():
    for unknown in (None, math.nan):
        with pytest.raises(ResultError) as refused:
            select(RUN, TWO, within=0.1, teacher_accuracy=unknown)
        assert str(refused.value) == (
            "--within is a distance from the teacher's validation accuracy, which this run does "
            "not know: give --min-accuracy"
        )


def test_advice_for_a_distance_is_a_distance():
    choice = select(RUN, TWO, within=0.01, teacher_accuracy=0.9801)
    assert choice.advice == (
        "within 1.01 points of the teacher (--within 0.0101, by 0.01 points) lets trial 2 (kd w2) "
        "fit",
    )
    assert select(RUN, TWO, within=0.0101, teacher_accuracy=0.9801).chosen is RUN[2]


def test_the_sweeps_own_constraints_hold_and_are_named():
    own = {"params": {"max": 20_000}}
    choice = select(RUN, TWO, constraints=own)
    assert choice.chosen is RUN[1]
    assert choice.rejected == ((RUN[2], ("params 40,000 > 20,000 (the sweep's own constraint)",)),)
    assert choice.rejected_of_front == choice.rejected


def test_constraints_may_ask_for_the_least_of_a_size():
    own = {"params": {"min": 2_000, "max": None}}
    assert select(RUN, TWO, constraints=own, prefer="params").chosen is RUN[1]


def test_advice_about_a_constraint_names_the_option_that_lifts_them():
    own = {"params": {"max": 2_000}}
    choice = select(RUN, TWO, min_accuracy=0.85, constraints=own)
    assert choice.advice == (
        "min accuracy 80.00% (--min-accuracy 0.8, by 5.00 points) lets trial 0 (kd w0) fit",
        "--ignore-constraints (it misses the sweep's own max params 2,000 by 3,000) lets trial 1 "
        "(kd w1) fit",
    )
    assert select(RUN, TWO, min_accuracy=0.85).chosen is RUN[2]


def test_a_constrained_metric_that_was_not_measured_does_not_fit():
    choice = select(RUN, TWO, constraints={"latency_ms": {"max": 3.0}})
    assert choice.advice == ("no trial of this run measured latency_ms: choose without it",)


def shares():
    return st.integers(0, 1000).map(lambda n: n / 1000)


def sizes():
    return st.integers(1, 10**7)


students = st.lists(
    st.tuples(shares(), sizes(), st.floats(1e-3, 1e3)), min_size=1, max_size=10
).map(
    lambda found: [
        student(i, accuracy, size, latency_ms=ms) for i, (accuracy, size, ms) in enumerate(found)
    ]
)  # fmt: skip
optional = st.none()
asked = st.fixed_dictionaries(
    {
        "max_params": optional | st.floats(1, 1e7),
        "max_latency_ms": optional | st.floats(1e-3, 1e3),
        "min_accuracy": optional | shares() | st.floats(0, 1),
        "within": optional | shares() | st.floats(0, 1),
        "teacher_accuracy": shares() | st.floats(0, 1),
        "constraints": st.just({})
        | st.fixed_dictionaries({"params": st.fixed_dictionaries({"min": sizes()})})
        | st.fixed_dictionaries({"latency_ms": st.fixed_dictionaries({"max": st.floats(0.1, 9)})}),
        "prefer": st.sampled_from(PREFERENCES),
    }
)


def fits(result, asked):
    """Whether a student fits, said without the code that is tested."""
    value, good = result.metrics, True
    for name, metric in (("max_params", "params"), ("max_latency_ms", "latency_ms")):
        good &= asked[name] is None or value[metric] <= asked[name]
    good &= asked["min_accuracy"] is None or value["accuracy"] >= asked["min_accuracy"]
    if asked["within"] is not None:
        good &= value["accuracy"] >= asked["teacher_accuracy"] - asked["within"] - 1e-9
    for metric, bounds in asked["constraints"].items():
        good &= bounds.get("min", -math.inf) <= value[metric] <= bounds.get("max", math.inf)
    return good


@given(students, asked)
def test_what_is_chosen_fits_and_nothing_that_fits_beats_it(found, asked):
    choice = select(found, TWO, **asked)
    assert len(choice.fitting) + len(choice.rejected) == len(found)
    assert all(fits(each, asked) for each in choice.fitting)
    if choice.chosen is None:
        return
    if asked["prefer"] == "knee":
        far = {m.number: d for m, d in knee_distances(choice.fitting, TWO)}
        assert far[choice.chosen.number] >= max(far.values()) - 1e-9
        return
    metric = preferred_metric(asked["prefer"], TWO)
    best = max if metric == "accuracy" else min
    assert choice.chosen.metrics[metric] == best(each.metrics[metric] for each in choice.fitting)


@given(students, asked)
def test_relaxing_as_advised_lets_the_named_trial_fit(found, asked):
    choice = select(found, TWO, **asked)
    assert (choice.chosen is None) == bool(choice.relaxations)
    names = {"params": "max_params", "latency_ms": "max_latency_ms", "accuracy": "min_accuracy"}
    for relaxation in choice.relaxations:
        relaxed = dict(asked)
        for limit, bound in relaxation.bounds:
            if limit.is_own:
                relaxed["constraints"] = {}
            else:
                relaxed["within" if limit.teacher is not None else names[limit.metric]] = bound
        again = select(found, TWO, **relaxed)
        assert relaxation.trial in again.fitting


@given(st.integers(1, 10**9))
def test_the_kb_that_are_advised_let_the_trial_fit(num_bytes):
    """Whoever types the number that was printed gets the student that was named."""
    one = student(0, 0.9, 10, size_bytes=float(num_bytes))
    (sentence,) = select([one], TWO, max_size_bytes=num_bytes / 2).advice
    advised = sentence.removeprefix("max size ").partition(" kB")[0].replace(",", "")
    assert select([one], TWO, max_size_bytes=bytes_of(float(advised))).chosen is one
    assert float(advised) == num_bytes / 1000


def test_a_constraint_of_the_file_stays_in_its_bytes():
    one = student(0, 0.9, 10, size_bytes=9256.0)
    own = select([one], TWO, constraints={"size_bytes": {"max": 5000}})
    assert own.rejected[0][1] == ("size_bytes 9,256 > 5,000 (the sweep's own constraint)",)
    given = select([one], TWO, max_size_bytes=5000)
    assert given.rejected[0][1] == ("size 9.256 kB > 5 kB",)


@pytest.mark.parametrize(("shares", "words"), [
    ((0.8, 0.95), ["80.00%", "95.00%"]),
    ((0.976071, 0.976072), ["97.6071%", "97.6072%"]),  # what differs is told apart
    ((0.976, 0.976), ["97.60%", "97.60%"]),
])  # fmt: skip
def test_accuracies_are_in_percent_and_told_apart(shares, words):
    assert accuracies_words(*shares) == words


@pytest.mark.parametrize(
    ("distance", "words"),
    [(0.15, "15.00 points"), (0, "0.00 points"), (0.00002, "0.002 points")],
)
def test_distances_are_in_points_and_never_nothing(distance, words):
    assert points_words(distance) == words
