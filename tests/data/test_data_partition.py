import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from kdsweep.data.partition import Shares, stratified, stratified_subset
from kdsweep.errors import SpecError

SIZES = st.lists(st.integers(3, 40), min_size=1, max_size=6)


def labels_of(sizes: list[int]) -> np.ndarray:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    return np.random.default_rng(0).permutation(labels)


@settings(deadline=None)
@given(
    SIZES,
    st.sampled_from([0.0, 0.1, 0.25, 0.4]),
    st.sampled_from([0.0, 0.1, 0.5]),
    st.integers(0, 9),
)
def test_parts_are_disjoint_whole_and_in_proportion(
    sizes: list[int], validation: float, test: float, seed: int
) -> None:
    labels = labels_of(sizes)
    names = [str(k) for k in range(len(sizes))]
    cut = stratified(labels, validation=validation, test=test, seed=seed, class_names=names)
    everything = np.concatenate([cut.train, cut.validation, cut.test])
    assert sorted(everything) == list(range(len(labels)))
    for part, share in ((cut.validation, validation), (cut.test, test)):
        assert list(part) == sorted(part)
        for label, size in enumerate(sizes):
            held = int((labels[part] == label).sum())
            assert held == 0 if share == 0 else held >= 1 and abs(held - size * share) <= 1
    assert set(labels[cut.train]) == set(range(len(sizes)))


def test_the_seed_and_nothing_else_decides() -> None:
    labels = labels_of([30, 30])
    first, same, other = (
        stratified(labels, validation=0.2, test=0.2, seed=seed, class_names="ab")
        for seed in (0, 0, 1)
    )
    assert np.array_equal(first.test, same.test)
    assert not np.array_equal(first.test, other.test)


def test_classes_too_small_are_all_named() -> None:
    with pytest.raises(SpecError) as caught:
        stratified(
            np.array([0, 0, 1, 1, 1]), validation=0.2, test=0.2, seed=0, class_names=["a", "b", "c"]
        )
    assert caught.value.problems == (
        "data: class 'a' has too few samples to split (2); it needs 3: one for each part",
        "data: class 'c' has too few samples to split (0); it needs 3: one for each part",
    )


@settings(deadline=None)
@given(SIZES, st.integers(2, 60))
def test_a_subset_keeps_the_shares(sizes: list[int], limit: int) -> None:
    labels = labels_of(sizes)
    kept = stratified_subset(labels, limit)
    assert len(kept) == len(set(kept)) == min(limit, len(labels))
    assert list(kept) == sorted(kept)
    if limit >= len(sizes):
        for label, size in enumerate(sizes):
            held = int((labels[kept] == label).sum())
            # Two off at most, and one more for each class that the smallest are granted.
            assert held >= 1
            assert abs(held - size * len(kept) / len(labels)) <= 1 + len(sizes)


def test_subset_by_hand() -> None:
    labels = np.repeat([0, 1], [40, 20])
    kept = stratified_subset(labels, 12)
    assert np.bincount(labels[kept]).tolist() == [8, 4]
    assert len(stratified_subset(labels, None)) == 60


def test_shares_that_leave_nothing_are_refused() -> None:
    with pytest.raises(ValidationError, match="leave nothing to train on"):
        Shares(validation=0.5, test=0.5)


def test_many_classes_that_are_too_small_are_one_sentence():
    labels = np.arange(30, dtype=np.int64)
    with pytest.raises(SpecError) as refused:
        stratified(
            labels, validation=0.2, test=0.2, seed=0, class_names=[f"c{i}" for i in range(30)]
        )
    assert refused.value.problems == (
        "data: 30 classes have too few samples to split: 'c0' (1), 'c1' (1), 'c2' (1), 'c3' (1) "
        "and 26 more; each needs 3: one for each part",
    )
