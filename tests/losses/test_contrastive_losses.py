"""Telling one's own entry from others: by hand, as published in NumPy, gradients, the traps."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck

from kdsweep.errors import TrialError
from kdsweep.losses.contrastive import log_sum_exp, nce, similarities


def normal(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def published(scores, num_samples):
    """The loss in the published form, with Z and the noise, of the first batch; in float64."""
    exponentials = np.exp(scores)
    normaliser = exponentials.mean() * num_samples
    likely = exponentials / normaliser
    num_negatives = scores.shape[1] - 1
    noise = num_negatives / num_samples
    own = np.log(likely[:, 0] / (likely[:, 0] + noise))
    others = np.log(noise / (likely[:, 1:] + noise))
    return -own - others.sum(axis=1)


def test_nce_by_hand():
    # m = 2 and two negatives, so that P(s) = e^s / (e^s + 4). Own: e^s = 4, P = 1/2.
    # Others: e^s = 4 and 12: 1 - P = 1/2 and 1/4. ln 2 + ln 2 + ln 4 = 4 ln 2.
    got = nce(torch.tensor([4.0]).log(), torch.tensor([[4.0, 12.0]]).log(), torch.tensor(2.0).log())
    torch.testing.assert_close(got, torch.tensor([4 * math.log(2)]))


def test_a_negative_that_does_not_count_is_not_there():
    # As by hand, with the last negative alone: K = 1, P(s) = e^s / (e^s + 2).
    # Own: 4 / 6; other: 1 - 12 / 14. ln 3/2 + ln 7.
    got = nce(
        torch.tensor([4.0]).log(),
        torch.tensor([[4.0, 12.0]]).log(),
        torch.tensor(2.0).log(),
        torch.tensor([[False, True]]),
    )
    torch.testing.assert_close(got, torch.tensor([math.log(1.5) + math.log(7)]))


@pytest.mark.parametrize("num_samples", [10, 50_000])
def test_nce_is_the_published_loss_whatever_the_number_of_samples(num_samples):
    scores = 3 * normal(6, 21, seed=1)
    every = torch.ones(6, 20, dtype=torch.bool)
    sums, numbers = log_sum_exp(scores[:, 0], scores[:, 1:], every)
    log_mean = torch.logsumexp(sums, dim=0) - numbers.sum().log()
    expected = published(scores.double().numpy(), num_samples)
    got = nce(scores[:, 0], scores[:, 1:], log_mean)
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-5)
    sums, numbers = log_sum_exp(scores[:, 0].double(), scores[:, 1:].double(), every)
    log_mean = torch.logsumexp(sums, dim=0) - numbers.sum().double().log()
    exact = nce(scores[:, 0].double(), scores[:, 1:].double(), log_mean)
    np.testing.assert_allclose(exact.numpy(), expected, rtol=1e-12)


def test_the_mean_of_the_exponentials_is_of_what_counts():
    positive, negatives = torch.tensor([1.0, 2.0]).log(), torch.tensor([[3.0, 50.0]] * 2).log()
    counted = torch.tensor([[True, False], [True, False]])
    sums, numbers = log_sum_exp(positive, negatives, counted)
    torch.testing.assert_close(sums.exp(), torch.tensor([4.0, 5.0]))
    assert numbers.tolist() == [2, 2]


def test_scores_that_no_exponential_holds():
    # e^1000 is infinite in float32: own entry certain, the other certainly not.
    got = nce(torch.tensor([1000.0, -1000.0]), torch.tensor([[-1000.0], [1000.0]]), torch.zeros(()))
    torch.testing.assert_close(got, torch.tensor([0.0, 2000.0]))


def test_without_any_negative_the_loss_and_gradients_are_finite():
    positive, negatives = torch.zeros(2, requires_grad=True), torch.zeros(2, 3, requires_grad=True)
    counted = torch.zeros(2, 3, dtype=torch.bool)
    loss = nce(positive, negatives, torch.zeros(()), counted)
    loss.sum().backward()
    torch.testing.assert_close(loss, torch.full((2,), math.log(2)))
    assert positive.grad.isfinite().all()
    assert torch.equal(negatives.grad, torch.zeros(2, 3))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(dtype):
    scores = (9 * normal(3, 5)).to(dtype)
    got = nce(scores[:, 0], scores[:, 1:], torch.zeros(()))
    assert got.dtype == torch.float32
    torch.testing.assert_close(
        got, nce(scores[:, 0].float(), scores[:, 1:].float(), torch.zeros(()))
    )
    anchors, bank = normal(2, 4).to(dtype), normal(9, 4, seed=1)
    entries = torch.tensor([[0, 8], [3, 3]])
    torch.testing.assert_close(
        similarities(anchors, bank, entries), similarities(anchors.float(), bank, entries)
    )


def test_gradients_are_those_of_finite_differences():
    scores = normal(3, 6, dtype=torch.float64).requires_grad_()
    counted = normal(3, 5, seed=1) > -0.5
    assert gradcheck(
        lambda s: nce(s[:, 0], s[:, 1:], torch.tensor(0.7, dtype=torch.float64), counted), (scores,)
    )
    anchors = normal(3, 4, dtype=torch.float64).requires_grad_()
    for num_entries in (2, 40):  # both ways of computing the products
        bank = normal(num_entries * 10, 4, seed=2, dtype=torch.float64)
        entries = torch.arange(6).reshape(3, 2)
        assert gradcheck(lambda a, b=bank, e=entries: similarities(a, b, e), (anchors,))


@settings(deadline=None)
@given(st.integers(1, 5), st.integers(1, 7), st.integers(1, 40), st.integers(1, 6))
def test_products_are_of_the_entries_asked_for(num_examples, num_entries, size, width):
    # Both ways of computing are reached: a bank smaller and larger than K * D.
    anchors, bank = normal(num_examples, width, seed=1), normal(size, width, seed=2)
    entries = torch.randint(size, (num_examples, num_entries))
    expected = np.einsum("nd,nkd->nk", anchors.numpy(), bank.numpy()[entries.numpy()])
    np.testing.assert_allclose(
        similarities(anchors, bank, entries).numpy(), expected, rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("size", [8, 100])
def test_a_bank_may_be_changed_before_the_gradient_is_computed(size):
    anchors = normal(2, 3).requires_grad_()
    bank, entries = normal(size, 3, seed=1), torch.tensor([[0, 1, 2], [3, 4, 5]])
    expected = bank[entries].sum(dim=1)
    products = similarities(anchors, bank, entries)
    bank.zero_()
    products.sum().backward()
    torch.testing.assert_close(anchors.grad, expected)


def test_other_shapes_are_refused():
    with pytest.raises(TrialError, match=r"anchors \[2, 3\], bank \[5, 4\] and entries \[2, 1\]"):
        similarities(torch.zeros(2, 3), torch.zeros(5, 4), torch.zeros(2, 1, dtype=torch.int64))
    with pytest.raises(TrialError, match=r"positive \[2, 1\] and negatives \[2, 3\]"):
        nce(torch.zeros(2, 1), torch.zeros(2, 3), torch.zeros(()))
