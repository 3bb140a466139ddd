import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kdsweep.data.views import Augment, apply, fit_problems, scramble, view_numbers

EVERYTHING = Augment(crop=2, flip=True, cutout=3, views=8)


def numbered(num: int, *, channels: int = 2, side: int = 7) -> torch.Tensor:
    """Images in which no two pixels of one image are equal, and none is zero."""
    pixels = torch.arange(1, channels * side * side + 1, dtype=torch.uint8)
    return pixels.view(1, channels, side, side).repeat(num, 1, 1, 1)


def mixed(value: int) -> int:
    """The hash in plain Python integers."""
    value &= 0xFFFFFFFF
    value = ((value ^ (value >> 15)) * 0x2C1B3C6D) & 0xFFFFFFFF
    value = ((value ^ (value >> 12)) * 0x297A2D39) & 0xFFFFFFFF
    return value ^ (value >> 15)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 2**31 - 1))
def test_hash_is_that_of_plain_integers(sample: int, salt: int) -> None:
    expected = mixed(mixed(sample + 0x9E3779B1) + ((salt * 0x9E3779B1) & 0xFFFFFFFF))
    assert scramble(torch.tensor([sample]), salt).tolist() == [expected]
    assert scramble(torch.tensor([sample]), torch.tensor([salt])).tolist() == [expected]


def test_every_bit_of_an_id_reaches_every_bit_of_its_hash() -> None:
    ids = torch.arange(4096) * 977
    plain = scramble(ids, 5)
    for bit in range(32):
        flipped = plain ^ scramble(ids ^ (1 << bit), 5)
        shares = [((flipped >> k) & 1).double().mean().item() for k in range(32)]
        assert min(shares) > 0.4, bit
        assert max(shares) < 0.6, bit


@settings(max_examples=60, deadline=None)
@given(
    ids=st.lists(st.integers(0, 2**31), min_size=1, max_size=9),
    slot=st.integers(0, 7),
    cut=st.integers(1, 8),
)
def test_a_view_does_not_depend_on_its_batch(ids: list[int], slot: int, cut: int) -> None:
    images, index = numbered(len(ids)), torch.tensor(ids)
    whole = apply(images, index, slot, EVERYTHING)
    pieces = [
        apply(part, some, slot, EVERYTHING)
        for part, some in zip(images.split(cut), index.split(cut), strict=True)
    ]
    assert torch.equal(whole, torch.cat(pieces))
    assert torch.equal(whole.float(), apply(images.float(), index, slot, EVERYTHING))
    assert whole.dtype == torch.uint8


@settings(deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 40))
def test_an_id_shows_every_view_once_in_as_many_epochs(sample: int, views: int) -> None:
    augment = Augment(crop=1, views=views)
    seen = [view_numbers(torch.tensor([sample]), slot, augment).item() for slot in range(views)]
    assert sorted(seen) == list(range(views))


def test_crop_and_flip_give_a_window_of_the_padded_image() -> None:
    images, crop, side = numbered(600), 2, 7
    views = apply(images, torch.arange(600), 0, Augment(crop=crop, flip=True)).numpy()
    padded = np.pad(images[0].numpy(), ((0, 0), (crop, crop), (crop, crop)))
    windows = {
        padded[:, y : y + side, x : x + side][:, :, ::step].tobytes(): (y, x, step)
        for y in range(2 * crop + 1)
        for x in range(2 * crop + 1)
        for step in (1, -1)
    }
    found = [windows[view.tobytes()] for view in views]
    assert set(found) == set(windows.values())
    for values in zip(*found, strict=True):
        _, counts = np.unique(values, return_counts=True)
        assert counts.min() > 0.7 * counts.mean()


def test_cutout_zeroes_one_square_of_every_channel() -> None:
    views = apply(numbered(400), torch.arange(400), 3, Augment(cutout=3))
    zero = views == 0
    assert torch.equal(zero[:, 0], zero[:, 1])
    rows, columns = zero[:, 0].any(2).sum(1), zero[:, 0].any(1).sum(1)
    assert torch.equal(zero[:, 0].sum((1, 2)), rows * columns)
    assert {(2, 2), (3, 3), (2, 3), (3, 2)} == set(
        zip(rows.tolist(), columns.tolist(), strict=True)
    )
    assert torch.equal(views[~zero], numbered(400)[~zero])


def test_nothing_switched_on_is_one_view_of_the_very_same_tensor() -> None:
    images = numbered(3)
    assert Augment().num_views == 1
    assert apply(images, torch.arange(3), 0, Augment()) is images


def test_views_of_one_sample_differ() -> None:
    augment = Augment(crop=3, flip=True, views=8)
    views = {
        apply(numbered(1), torch.tensor([11]), slot, augment).numpy().tobytes() for slot in range(8)
    }
    assert len(views) >= 7


@pytest.mark.parametrize("name", ["crop", "cutout"])
def test_nothing_of_the_image_left_is_refused(name: str) -> None:
    assert fit_problems(Augment(**{name: 7}), (1, 8, 9)) == []
    assert fit_problems(Augment(**{name: 8}), (1, 8, 9)) == [
        f"data.augment.{name}: 8 is not allowed for images of 8x9: must be less than 8"
    ]
