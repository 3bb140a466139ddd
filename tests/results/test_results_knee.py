import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_records import trial_result

from kdsweep.results.knee import knee_distances
from kdsweep.results.pareto import size_and_quality
from kdsweep.results.select import select

TWO = {"accuracy": "max", "params": "min"}


def student(number, accuracy, params, **more):
    return trial_result(number, metrics={"accuracy": accuracy, "params": params, **more})


# Decades: x = 0, 1/4, 1/2, 1; accuracies: y = 1, 0.6, 0.2, 0.
FOUR = [
    student(0, 0.5, 100),
    student(1, 0.7, 1_000),
    student(2, 0.9, 10_000),
    student(3, 1.0, 1_000_000),
]


def test_distances_by_hand():
    found = knee_distances([*FOUR, student(4, 0.4, 500)], TWO)
    assert [member.number for member, _ in found] == [0, 1, 2, 3]
    wanted = [0, 0.15 / math.sqrt(2), 0.3 / math.sqrt(2), 0]
    assert [distance for _, distance in found] == pytest.approx(wanted)


def test_select_takes_the_knee_then_the_others_by_their_distance():
    choice = select(FOUR, TWO, prefer="knee")
    assert choice.chosen is FOUR[2]
    # Both ends are on the line: the more accurate one first.
    assert choice.runners_up == (FOUR[1], FOUR[3], FOUR[0])


def test_the_knee_is_of_what_fits():
    # Without the largest x = 0, 1/2, 1 and y = 1, 1/2, 0: on the line, so the better end.
    choice = select(FOUR, TWO, prefer="knee", max_params=10_000)
    assert choice.chosen is FOUR[2]
    assert select(FOUR, TWO, prefer="knee", max_params=1_000).chosen is FOUR[1]
    assert select(FOUR, TWO, prefer="knee", max_params=100).chosen is FOUR[0]


def test_trials_off_the_front_come_last():
    beaten = student(4, 0.89, 20_000)
    assert select([*FOUR[:3], beaten], TWO, prefer="knee").fitting[-1] is beaten


def test_a_front_that_bends_away_has_its_better_end_for_a_knee():
    # x = 0, 1/2, 1 and y = 1, 0.9, 0: (1 - 0.5 - 0.9) / sqrt(2) < 0.
    bent = [student(0, 0.5, 100), student(1, 0.55, 1_000), student(2, 1.0, 10_000)]
    assert knee_distances(bent, TWO)[1][1] == pytest.approx(-0.4 / math.sqrt(2))
    assert select(bent, TWO, prefer="knee").chosen is bent[2]


def test_the_objectives_of_a_knee_are_a_size_and_a_quality():
    assert size_and_quality(TWO) == {"params": "min", "accuracy": "max"}
    assert size_and_quality({"loss": "min", "latency_ms": "min", "params": "min"}) == {
        "latency_ms": "min", "loss": "min"
    }  # fmt: skip
    assert size_and_quality({"accuracy": "max"}) == {"params": "min", "accuracy": "max"}


def test_of_a_loss_the_less_is_the_better():
    losses = [student(0, 0.5, 100, loss=1.0), student(1, 0.5, 1_000, loss=0.2),
              student(2, 0.5, 10_000, loss=0.0)]  # fmt: skip
    found = knee_distances(losses, {"loss": "min", "params": "min"})
    assert [distance for _, distance in found] == pytest.approx([0, 0.3 / math.sqrt(2), 0])


def test_sizes_without_a_logarithm_take_no_part():
    assert knee_distances([student(0, 0.5, 0)], TWO) == []
    assert knee_distances([], TWO) == []


@given(
    st.lists(
        st.tuples(st.integers(1, 10**9), st.integers(0, 1000)), min_size=1, max_size=12
    )
)  # fmt: skip
def test_no_member_is_farther_from_the_line_than_the_chosen_one(found):
    students = [student(i, share / 1000, size) for i, (size, share) in enumerate(found)]
    far = {member.number: distance for member, distance in knee_distances(students, TWO)}
    chosen = select(students, TWO, prefer="knee").chosen
    assert far[chosen.number] >= max(far.values()) - 1e-9
    assert all(-1 <= distance <= math.sqrt(0.5) + 1e-9 for distance in far.values())
