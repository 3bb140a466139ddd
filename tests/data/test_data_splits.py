import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kdsweep.data.base import Split
from kdsweep.data.memory import InMemorySplit
from kdsweep.data.source import read_all
from kdsweep.data.stream import StreamedSplit
from kdsweep.data.treatment import (
    ImageSettings,
    Normalisation,
    Treatment,
    normalisation,
    settings_problems,
)
from kdsweep.data.views import Augment
from kdsweep.errors import SpecError

CPU = torch.device("cpu")
AUGMENT = Augment(crop=2, flip=True, cutout=2, views=4)
TREATMENT = Treatment(Normalisation((0.4, 0.5), (0.2, 0.3)), AUGMENT, CPU)
IMAGES = np.random.default_rng(0).integers(0, 256, (53, 2, 8, 8)).astype(np.uint8)
LABELS = torch.arange(53) % 5


class Source:
    """The images in reverse, as files might lie; number 7 cannot be read where ``broken``."""

    shape = (2, 8, 8)

    def __init__(self, *, broken: bool = False) -> None:
        self.broken = broken

    def read(self, index: int) -> np.ndarray:
        if self.broken and index == 7:
            raise SpecError("7.png cannot be read as an image")
        return IMAGES[52 - index]


def in_memory() -> InMemorySplit:
    return InMemorySplit(torch.from_numpy(IMAGES), LABELS, TREATMENT)


def streamed(workers: int = 0, *, broken: bool = False) -> StreamedSplit:
    index = np.arange(52, -1, -1)
    return StreamedSplit(Source(broken=broken), index, LABELS, TREATMENT, workers=workers)


@settings(max_examples=40, deadline=None)
@given(
    batch_size=st.integers(1, 60),
    epoch=st.integers(0, 9),
    seed=st.integers(0, 2**31 - 1),
    split=st.sampled_from([in_memory(), streamed()]),
)
def test_an_epoch_shows_every_sample_once(
    batch_size: int, epoch: int, seed: int, split: Split
) -> None:
    batches = list(split.shuffled(batch_size=batch_size, epoch=epoch, seed=seed))
    ids = torch.cat([batch.ids for batch in batches]).tolist()
    left_out = 53 % batch_size == 1 and batch_size > 1
    assert len(set(ids)) == len(ids) == 53 - left_out
    for batch in batches:
        assert torch.equal(batch.labels, LABELS[batch.ids])
        assert batch.view == epoch % 4
        assert batch.images.dtype == torch.float32


@settings(max_examples=40, deadline=None)
@given(batch_size=st.integers(4, 60), num_ranks=st.integers(1, 4), epoch=st.integers(0, 5))
def test_ranks_share_every_global_batch(batch_size: int, num_ranks: int, epoch: int) -> None:
    split = in_memory()
    alone = list(split.shuffled(batch_size=batch_size, epoch=epoch, seed=3))
    shares = [
        list(
            split.shuffled(
                batch_size=batch_size, epoch=epoch, seed=3, rank=rank, num_ranks=num_ranks
            )
        )
        for rank in range(num_ranks)
    ]
    steps = {len(share) for share in shares}
    assert len(steps) == 1
    last = 53 % batch_size
    assert steps == {53 // batch_size + (last >= 2 * num_ranks)}
    for step, whole in enumerate(alone[: steps.pop()]):
        parts = [share[step] for share in shares]
        assert min(len(part) for part in parts) >= 1
        joined = torch.cat([part.ids for part in parts])
        assert sorted(joined.tolist()) == sorted(whole.ids.tolist())
        assert parts[0].ids.tolist() == whole.ids.tolist()[::num_ranks]


@settings(max_examples=30, deadline=None)
@given(
    epoch=st.integers(0, 9),
    shuffled_size=st.integers(2, 53),
    order_size=st.integers(1, 53),
)
def test_stored_outputs_can_be_addressed_by_id_and_view(
    epoch: int, shuffled_size: int, order_size: int
) -> None:
    split = in_memory()
    ordered = list(split.in_order(batch_size=order_size, view=epoch % 4))
    assert torch.equal(torch.cat([each.ids for each in ordered]), torch.arange(53))
    images = torch.cat([each.images for each in ordered])
    for batch in split.shuffled(batch_size=shuffled_size, epoch=epoch, seed=1):
        assert torch.equal(batch.images, images[batch.ids])
        assert batch.view == epoch % 4


@pytest.mark.parametrize("workers", [0, 2])
def test_streamed_and_in_memory_give_the_same_batches(workers: int) -> None:
    held, stream = in_memory(), streamed(workers)
    epoch = {"batch_size": 8, "epoch": 2, "seed": 5, "rank": 1, "num_ranks": 2}
    for one, other in (
        (held.shuffled(**epoch), stream.shuffled(**epoch)),
        (held.in_order(batch_size=9), stream.in_order(batch_size=9)),
        (held.in_order(batch_size=9, view=3), stream.in_order(batch_size=9, view=3)),
    ):
        for left, right in zip(one, other, strict=True):
            assert torch.equal(left.ids, right.ids)
            assert torch.equal(left.labels, right.labels)
            assert torch.equal(left.images, right.images)
            assert left.view == right.view


def test_plain_images_are_normalised_and_not_augmented() -> None:
    (batch,) = in_memory().in_order(batch_size=53)
    expected = (IMAGES / 255 - np.array([0.4, 0.5])[:, None, None]) / np.array([0.2, 0.3])[
        :, None, None
    ]
    np.testing.assert_allclose(batch.images.numpy(), expected, atol=1e-5)
    assert batch.view == 0


def test_order_follows_from_seed_and_epoch() -> None:
    split = in_memory()

    def order(epoch: int, seed: int) -> list[int]:
        (batch,) = split.shuffled(batch_size=53, epoch=epoch, seed=seed)
        return batch.ids.tolist()

    assert order(1, 0) == order(1, 0)
    orders = {tuple(order(epoch, seed)) for epoch in range(10) for seed in range(10)}
    assert len(orders) == 100
    firsts = [order[0] for order in orders]
    assert len(set(firsts)) > 35


def test_reading_leaves_the_global_generator_alone() -> None:
    for split in (in_memory(), streamed(2)):
        torch.manual_seed(0)
        before = torch.get_rng_state()
        list(split.shuffled(batch_size=20, epoch=0, seed=0))
        assert torch.equal(torch.get_rng_state(), before)


def test_a_reader_may_stop_early_and_start_again() -> None:
    split = streamed(2)
    reader = split.shuffled(batch_size=4, epoch=0, seed=0)
    first = next(reader)
    again = next(split.shuffled(batch_size=4, epoch=0, seed=0))
    assert torch.equal(first.images, again.images)
    assert sum(len(batch) for batch in split.in_order(batch_size=10)) == 53


@pytest.mark.parametrize("workers", [0, 2])
def test_an_unreadable_image_is_named(workers: int) -> None:
    with pytest.raises(SpecError) as caught:
        list(streamed(workers, broken=True).in_order(batch_size=10))
    assert caught.value.problems == ("7.png cannot be read as an image",)


def test_fewer_samples_in_a_batch_than_workers_is_refused() -> None:
    with pytest.raises(SpecError, match=r"train\.batch_size: 2 is not allowed: the 3 workers"):
        in_memory().shuffled(batch_size=2, epoch=0, seed=0, rank=0, num_ranks=3)


def test_a_view_that_no_epoch_has_is_refused() -> None:
    for split in (in_memory(), streamed()):
        with pytest.raises(ValueError, match=r"view 4 is not in 0\.\.3"):
            split.in_order(batch_size=4, view=4)


def test_mean_and_std_by_hand() -> None:
    images = np.zeros((2, 2, 1, 2), np.uint8)
    images[:, 0] = [[[0, 255]], [[255, 255]]]  # mean 3/4, variance 3/16
    found = normalisation(ImageSettings(), images)
    assert found.mean == (0.75, 0.0)
    assert found.std == pytest.approx((3**0.5 / 4, 1 / 255))
    assert normalisation(ImageSettings(mean=(0.1, 0.2)), images).mean == (0.1, 0.2)


def test_mean_and_std_that_do_not_fit_are_refused() -> None:
    assert settings_problems(ImageSettings(mean=(0.5,), std=(0.0, 1.0, 1.0)), 3) == [
        "data.mean: [0.5] is not allowed: the images have 3 channels, give one value for each",
        "data.std: [0.0, 1.0, 1.0] is not allowed: must be greater than 0",
    ]
    assert settings_problems(ImageSettings(mean=(124, 0, 0), std=(1, 1, 1)), 3) == [
        "data.mean: [124.0, 0.0, 0.0] is not allowed: is of pixels in 0..1, and so at most 1; "
        "divide what is of pixels in 0..255 by 255",
    ]


def test_many_problems_are_cut_short() -> None:
    class Broken:
        shape = (1, 2, 2)

        def read(self, index: int) -> np.ndarray:
            raise SpecError(f"image {index // 2} cannot be read")

    with pytest.raises(SpecError) as caught:
        read_all(Broken(), np.arange(50))
    assert len(caught.value.problems) == 21
    assert caught.value.problems[0] == "image 0 cannot be read"
    assert caught.value.problems[-1] == "... and 5 more problems of this kind"
