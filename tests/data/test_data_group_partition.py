import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdsweep.data.partition import Index, Partition
from kdsweep.data.text.group_partition import by_group
from kdsweep.errors import SpecError


def cut(sizes: list[list[int]], *, seed: int = 0, share: float = 0.2) -> tuple[Partition, Index]:
    """A split of classes with groups of these sizes, and the group of each position."""
    flat = [(label, size) for label, groups in enumerate(sizes) for size in groups]
    groups = np.repeat(np.arange(len(flat)), [size for _, size in flat])
    labels = np.repeat([label for label, _ in flat], [size for _, size in flat])
    found = by_group(
        groups.astype(np.int64),
        labels.astype(np.int64),
        validation=share,
        test=share,
        seed=seed,
        class_names=[f"class {label}" for label in range(len(sizes))],
    )
    return found, groups


group_sizes = st.lists(st.integers(1, 30), min_size=3, max_size=12)


@settings(max_examples=40, deadline=None)
@given(sizes=st.lists(group_sizes, min_size=2, max_size=4), seed=st.integers(0, 2**31 - 1))
def test_groups_stay_whole_and_every_class_is_in_every_part(
    sizes: list[list[int]], seed: int
) -> None:
    found, groups = cut(sizes, seed=seed)
    parts = (found.train, found.validation, found.test)
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(groups)))
    held = [set(groups[part].tolist()) for part in parts]
    assert sum(map(len, held)) == len(set(groups.tolist()))
    first = 0
    for own in sizes:
        for each in held:
            assert each & set(range(first, first + len(own)))
        first += len(own)


def test_equal_groups_keep_the_shares_exactly() -> None:
    found, _ = cut([[3] * 10, [7] * 5])
    assert [len(part) for part in (found.train, found.validation, found.test)] == [39, 13, 13]


def test_of_many_orders_the_nearest_to_the_shares_is_taken() -> None:
    # Of 100, 20 and 20 are wanted: only 20 = 13 + 7 and 20 = 11 + 9 give both.
    found, groups = cut([[60, 13, 7, 11, 9]] * 2)
    for first in (0, 5):
        held = {
            frozenset(groups[part][(groups[part] >= first) & (groups[part] < first + 5)] - first)
            for part in (found.validation, found.test)
        }
        assert held == {frozenset({1, 2}), frozenset({3, 4})}


def test_three_groups_go_one_to_each_part() -> None:
    found, groups = cut([[50, 1, 1], [1, 1, 50]])
    assert sorted(len(set(groups[part])) for part in (found.train, found.test)) == [2, 2]
    assert len(found.train) == 100


def test_another_seed_is_another_split() -> None:
    sizes = [[4, 5, 6, 4, 5, 6, 4, 5, 6, 4, 5, 6]] * 3
    seen = {tuple(cut(sizes, seed=seed)[0].test.tolist()) for seed in range(20)}
    assert len(seen) > 15
    assert np.array_equal(cut(sizes, seed=3)[0].test, cut(sizes, seed=3)[0].test)


def test_a_class_with_two_groups_is_refused() -> None:
    with pytest.raises(SpecError) as caught:
        cut([[5, 5, 5], [9, 9]])
    assert caught.value.problems == (
        "data: class 'class 1' has too few modules to split (2); it needs 3: one for each part",
    )
