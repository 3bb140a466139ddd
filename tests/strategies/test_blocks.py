"""Which block learns from which: the three maps by hand, and what they promise for all depths."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdsweep.strategies.parts.blocks import mapped


@pytest.mark.parametrize(
    ("layer_map", "student", "teacher", "expected"),
    [
        # TinyBERT's g(m) = 3 m, counted from 1: 3, 6, 9, 12.
        ("uniform", 4, 12, (2, 5, 8, 11)),
        ("uniform", 6, 12, (1, 3, 5, 7, 9, 11)),
        # 5/3, 10/3, 5 -> 2, 3, 5; and 5/2 is rounded up.
        ("uniform", 3, 5, (1, 2, 4)),
        ("uniform", 2, 5, (2, 4)),
        ("uniform", 1, 12, (11,)),
        ("last", 4, 12, (8, 9, 10, 11)),
        ("last", 1, 12, (11,)),
        # The blocks that DistilBERT was initialised from.
        ("skip", 6, 12, (0, 2, 4, 7, 9, 11)),
        ("skip", 2, 12, (0, 11)),
        ("skip", 1, 12, (11,)),
        ("skip", 3, 4, (0, 2, 3)),
    ],
)
def test_maps_by_hand(layer_map, student, teacher, expected):
    assert mapped(layer_map, student=student, teacher=teacher) == expected


@given(
    layer_map=st.sampled_from(["uniform", "last", "skip"]),
    student=st.integers(1, 60),
    more=st.integers(0, 60),
)
def test_every_block_learns_from_another_in_order_and_the_last_from_the_last(
    layer_map, student, more
):
    found = mapped(layer_map, student=student, teacher=student + more)
    assert len(found) == len(set(found)) == student
    assert list(found) == sorted(found)
    assert found[0] >= 0
    assert found[-1] == student + more - 1
    if not more:
        assert found == tuple(range(student))
