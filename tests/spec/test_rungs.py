"""Where the rungs of a trial are: by hand for each schedule, within bounds for all settings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdsweep.spec import TrainSpec
from kdsweep.spec.rungs import EARLIEST, RungSpec, rung_epochs


@pytest.mark.parametrize(
    ("schedule", "epochs", "expected"),
    [
        ({"name": "per_rung"}, 20, (3, 9)),
        ({"name": "per_rung"}, 60, (3, 9, 27)),
        ({"name": "per_rung", "ends": [0.1, 0.5]}, 20, (10,)),  # 2 epochs are less than the grace
        ({"name": "steps"}, 240, (125, 185)),
        ({"name": "steps", "milestones": [0.625, 0.75, 0.875]}, 240, (155, 185, 215)),
        ({"name": "steps", "milestones": [0.99]}, 20, ()),
        ("constant", 20, (5, 15)),
        ("constant", 8, (3,)),
        ("constant", 3, ()),
        ("cosine", 200, ()),  # mid-schedule nothing can be compared
    ],
    ids=str,
)
def test_rungs_sit_where_the_schedule_allows(schedule, epochs, expected):
    assert rung_epochs(TrainSpec(epochs=epochs, schedule=schedule), RungSpec()) == expected


def test_grace_and_eta_move_them():
    constant = TrainSpec(epochs=100, schedule="constant")
    assert rung_epochs(constant, RungSpec(grace=30, eta=2)) == (30, 60)
    assert rung_epochs(TrainSpec(epochs=20, schedule="per_rung"), RungSpec(grace=1)) == (1, 3, 9)


@given(
    st.sampled_from(["per_rung", "steps", "constant", "cosine"]),
    st.integers(1, 1000),
    st.integers(1, 50),
    st.floats(1.01, 20),
    st.floats(0, 0.049),
)
def test_rungs_rise_after_the_grace_and_warm_up_and_before_the_end(
    name, epochs, grace, eta, warmup
):
    schedule = {"name": name, "warmup": warmup}
    found = rung_epochs(TrainSpec(epochs=epochs, schedule=schedule), RungSpec(grace=grace, eta=eta))
    assert list(found) == sorted(set(found))
    assert all(max(grace, warmup * epochs) <= epoch < epochs for epoch in found)
    if name == "constant":
        assert all(epoch >= EARLIEST * epochs for epoch in found)
