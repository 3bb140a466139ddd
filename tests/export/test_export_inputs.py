"""Pixels and ids as an exported network takes them, and how two networks are compared."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from kdsweep.batch import Tokens
from kdsweep.data.treatment import Normalisation, Treatment
from kdsweep.data.views import Augment
from kdsweep.errors import ResultError
from kdsweep.export.checking import (
    ABSOLUTE,
    RELATIVE,
    Tally,
    refuse_disagreement,
    refuse_nonsense,
)
from kdsweep.export.inputs import Contract, Samples, deployed

CHANNELS = 3
ONE_STEP = 1 / 255
"""The least that a standard deviation is taken to be."""


def values(low, high):
    each = st.floats(low, high, allow_subnormal=False)
    return st.lists(each, min_size=CHANNELS, max_size=CHANNELS).map(tuple)


@given(values(0, 1), values(ONE_STEP, 1))
def test_every_pixel_comes_back_from_what_the_data_made_of_it(mean, std):
    normalisation = Normalisation(mean, std)
    pixels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(2, CHANNELS, 16, 16)
    treatment = Treatment(normalisation, Augment(), torch.device("cpu"))
    seen = treatment.batch(pixels, torch.zeros(2), torch.arange(2), None).images
    contract = Contract((CHANNELS, 16, 16), normalisation)
    raw = contract.raw(seen)
    assert raw.dtype == torch.uint8
    assert torch.equal(raw, pixels)
    # Bit by bit what the trial's data gave.
    assert torch.equal(deployed(nn.Identity(), contract)(raw), seen)


def test_texts_are_filled_up_with_padding_to_their_length():
    contract = Contract(Tokens(5, 10))
    assert contract.raw(torch.tensor([[1, 2, 3]])).tolist() == [[1, 2, 3, 0, 0]]
    assert contract.blank(2).tolist() == [[1] * 5] * 2
    assert (contract.name, contract.dtype, contract.sizes) == ("tokens", torch.int64, (5,))


def test_images_that_are_no_bytes_go_in_as_the_data_give_them():
    contract = Contract((1, 2, 2))
    seen = torch.randn(3, 1, 2, 2)
    assert contract.raw(seen) is seen
    assert contract.dtype == torch.float32
    assert torch.equal(deployed(nn.Identity(), contract)(seen), seen)


# Two samples of two classes, the largest logit is 4.
WANTED = torch.tensor([[4.0, 0.0], [1.0, 2.0]])
BATCH = Samples(torch.zeros(2, 1), WANTED, torch.tensor([0, 0]))
ALLOWED = ABSOLUTE + 4 * RELATIVE


def tally(found):
    made = Tally()
    made.add(found, BATCH)
    return made


def test_a_tally_by_hand():
    made = tally(WANTED + torch.tensor([[0.0, 0.0], [0.0, ALLOWED / 2]]))
    refuse_disagreement("it", made)
    assert made.agreement.max_difference == pytest.approx(ALLOWED / 2, rel=1e-3)
    assert made.agreement.tolerance == pytest.approx(ALLOWED)
    assert made.agreement.same_class == 1.0
    assert made.quality.accuracy == 0.5
    # -log softmax of class 0: log(1 + e^-4) and log(1 + e^1).
    by_hand = (math.log1p(math.exp(-4)) + math.log1p(math.e)) / 2
    assert made.quality.loss == pytest.approx(by_hand, rel=1e-3)


def test_more_than_is_allowed_is_refused_with_both_numbers():
    made = tally(WANTED + torch.tensor([[0.0, 0.25], [0.0, 0.0]]))
    with pytest.raises(ResultError) as refused:
        refuse_disagreement("student.onnx", made)
    assert str(refused.value) == (
        "student.onnx disagrees with the student, so nothing was written: of 2 validation samples "
        "at once the logits differ by up to 0.25, and 0.0005 is allowed"
    )


def test_what_is_no_number_or_of_another_shape_agrees_with_nothing():
    for found, said in (
        (torch.full((2, 2), math.nan), "differ by up to nan"),
        (torch.zeros(2, 3), r"its output is \[2, 3\], the student's is \[2, 2\]"),
    ):
        with pytest.raises(ResultError, match=said):
            refuse_disagreement("it", tally(found))
        with pytest.raises(ResultError, match="it gives no usable logits, so nothing was written"):
            refuse_nonsense("it", tally(found))
    refuse_nonsense("int8 may differ", tally(WANTED + 1.0))
