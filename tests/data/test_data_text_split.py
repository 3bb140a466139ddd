import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kdsweep.batch import Tokens
from kdsweep.data.base import DataInfo
from kdsweep.data.memory import InMemorySplit
from kdsweep.data.text.assembly import TextPart, texts_in_memory
from kdsweep.data.text.split import TextSplit
from kdsweep.data.text.table import TextTable, lengths
from kdsweep.data.treatment import Normalisation, Treatment
from kdsweep.data.views import Augment

CPU = torch.device("cpu")
NUM, LENGTH = 53, 30
LABELS = np.arange(NUM, dtype=np.int64) % 5
IDS = np.zeros((NUM, LENGTH), np.int16)
for number, row in enumerate(IDS):
    row[: LENGTH if number % 11 == 0 else 1 + number % 13] = number + 1


def texts(device: torch.device = CPU) -> TextSplit:
    return TextSplit(IDS, LABELS, device)


def images(*, tokens: np.ndarray | None = None) -> InMemorySplit:
    """Images that are augmented, of the same samples."""
    treatment = Treatment(Normalisation((0.5,), (0.2,)), Augment(crop=2, views=3), CPU)
    pixels = torch.arange(NUM * 16, dtype=torch.uint8).view(NUM, 1, 4, 4)
    return InMemorySplit(pixels, torch.from_numpy(LABELS), treatment, tokens=tokens)


@pytest.fixture(params=["texts", "images with texts"])
def split(request: pytest.FixtureRequest) -> TextSplit | InMemorySplit:
    return texts() if request.param == "texts" else images(tokens=IDS)


def test_lengths_by_hand() -> None:
    ids = np.array([[5, 6, 0, 0], [0, 0, 0, 0], [1, 2, 3, 4], [7, 0, 8, 0]])
    assert lengths(ids).tolist() == [2, 0, 4, 3]


@pytest.mark.parametrize(
    ("positions", "width"), [([0], 8), ([0, 1], 8), ([1, 2], 16), ([0, 3], 20), ([4], 8), ([5], 8)]
)
def test_a_batch_is_as_wide_as_its_longest_text_in_steps_of_eight(
    positions: list[int], width: int
) -> None:
    ids = np.zeros((6, 20), np.int32)
    for row, length in zip(ids, (1, 8, 9, 17, 0, 7), strict=True):
        row[:length] = 40_000
    table = TextTable(ids, CPU)
    assert list(table.widths([torch.tensor(positions)])) == [width]
    read = table.read(torch.tensor(positions), width)
    assert read.dtype == torch.int64
    assert read.tolist() == ids[positions, :width].tolist()


@settings(max_examples=40, deadline=None)
@given(
    batch_size=st.integers(4, 60),
    num_ranks=st.integers(1, 4),
    epoch=st.integers(0, 5),
    seed=st.integers(0, 2**31 - 1),
)
def test_order_and_shares_are_those_of_images(
    batch_size: int, num_ranks: int, epoch: int, seed: int
) -> None:
    for rank in range(num_ranks):
        asked = {"batch_size": batch_size, "epoch": epoch, "seed": seed}
        asked |= {"rank": rank, "num_ranks": num_ranks}
        for split in (texts(), images(tokens=IDS)):
            for one, other in zip(split.shuffled(**asked), images().shuffled(**asked), strict=True):
                assert torch.equal(one.ids, other.ids)
                assert torch.equal(one.labels, other.labels)
                width = one.tokens.shape[1]
                assert one.tokens.tolist() == IDS[one.ids.numpy(), :width].tolist()
                assert not IDS[one.ids.numpy(), width:].any()


@pytest.mark.parametrize("num_ranks", [1, 2, 3])
def test_batches_are_as_wide_on_every_rank(split: TextSplit, num_ranks: int) -> None:
    asked = {"batch_size": 8, "epoch": 1, "seed": 2}
    whole = [batch.tokens.shape[1] for batch in split.shuffled(**asked)]
    for rank in range(num_ranks):
        share = split.shuffled(**asked, rank=rank, num_ranks=num_ranks)
        widths = [batch.tokens.shape[1] for batch in share]
        assert widths == whole[: len(widths)]
        assert len(widths) >= NUM // 8
    assert len(set(whole)) > 1


@pytest.mark.parametrize("batch_size", [1, 7, 53, 100])
def test_every_text_once_in_order(split: TextSplit, batch_size: int) -> None:
    batches = list(split.in_order(batch_size=batch_size))
    assert torch.cat([batch.ids for batch in batches]).tolist() == list(range(NUM))
    assert torch.cat([batch.labels for batch in batches]).tolist() == LABELS.tolist()
    rows = [row[row != 0].tolist() for batch in batches for row in batch.tokens]
    assert rows == [row[row != 0].tolist() for row in IDS]


def test_a_text_has_one_view() -> None:
    (plain,) = texts().in_order(batch_size=NUM)
    (view,) = texts().in_order(batch_size=NUM, view=0)
    assert torch.equal(plain.tokens, view.tokens)
    assert view.view == 0
    with pytest.raises(ValueError, match=r"view 1 is not in 0\.\.0"):
        texts().in_order(batch_size=4, view=1)
    assert {batch.view for batch in texts().shuffled(batch_size=9, epoch=4, seed=0)} == {0}


def test_images_are_the_same_with_and_without_texts() -> None:
    asked = {"batch_size": 9, "epoch": 2, "seed": 1}
    for with_texts, alone in zip(
        images(tokens=IDS).shuffled(**asked), images().shuffled(**asked), strict=True
    ):
        assert list(with_texts.inputs) == ["images", "tokens"]
        assert torch.equal(with_texts.images, alone.images)
        assert with_texts.view == alone.view == 2


def test_reading_needs_no_value_of_the_device() -> None:
    """On ``meta`` there are none: to ask for one, as a wait for the device does, is an error."""
    split = texts(torch.device("meta"))
    asked = {"batch_size": 8, "epoch": 0, "seed": 0, "rank": 1, "num_ranks": 2}
    for one, other in zip(split.shuffled(**asked), texts().shuffled(**asked), strict=True):
        assert one.tokens.is_meta
        assert one.tokens.shape == other.tokens.shape
    for one, other in zip(
        split.in_order(batch_size=8), texts().in_order(batch_size=8), strict=True
    ):
        assert one.tokens.shape == other.tokens.shape


def test_reading_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    list(texts().shuffled(batch_size=20, epoch=0, seed=0))
    assert torch.equal(torch.get_rng_state(), before)


def fingerprint(
    ids: np.ndarray = IDS, labels: np.ndarray = LABELS, names: tuple[str, ...] = tuple("abcde")
) -> str:
    info = DataInfo(5, names, Tokens(LENGTH, 100))
    part = TextPart(IDS, LABELS)
    return texts_in_memory(info, (TextPart(ids, labels), part, part), CPU).fingerprint


def test_the_fingerprint_follows_all_that_networks_see() -> None:
    other = IDS.copy()
    other[3, 0] += 1
    found = {
        fingerprint(),
        fingerprint(ids=other),
        fingerprint(labels=LABELS[::-1].copy()),
        fingerprint(names=tuple("abcdf")),
    }
    assert len(found) == 4
    assert fingerprint(ids=IDS.copy()) == fingerprint()
