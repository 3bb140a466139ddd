"""Standardised logits: by hand, against NumPy, and rows without any deviation."""

import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from kdsweep.losses.standardise import standardise


def random_logits(*shape, seed=0, dtype=torch.float32):
    return 3 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype) + 2


def test_by_hand_with_the_unbiased_deviation():
    # (1, 2, 6): mean 3, squares 4 + 1 + 9 = 14, over C - 1 = 2: deviation sqrt 7
    got = standardise(torch.tensor([[1.0, 2.0, 6.0]]))
    expected = torch.tensor([[-2.0, -1.0, 3.0]]) / math.sqrt(7)
    torch.testing.assert_close(got, expected)


def test_against_numpy():
    logits = random_logits(7, 10)
    z = logits.double().numpy()
    mean, deviation = z.mean(axis=1, keepdims=True), z.std(axis=1, ddof=1, keepdims=True)
    expected = (z - mean) / (1e-7 + deviation)
    np.testing.assert_allclose(standardise(logits).numpy(), expected, rtol=1e-5, atol=1e-6)


def test_scale_and_shift_of_a_row_do_not_matter():
    logits = random_logits(5, 10, dtype=torch.float64)
    torch.testing.assert_close(standardise(1000 * logits - 77), standardise(logits))


def test_two_classes_leave_only_the_sign():
    got = standardise(torch.tensor([[5.0, -3.0], [0.1, 0.2]]))
    half = math.sqrt(0.5)
    torch.testing.assert_close(got, torch.tensor([[half, -half], [-half, half]]), rtol=1e-5, atol=0)


# Of 0.1, ten times, the mean is not 0.1 in float32, and of 1000.1 the deviation not small.
@pytest.mark.parametrize("value", [0.0, 0.1, 1000.1, -3e30])
@pytest.mark.parametrize("num_examples", [1, 3])
def test_constant_rows_are_zeros_with_a_gradient_of_zero(value, num_examples):
    logits = torch.full((num_examples, 10), value).requires_grad_()
    got = standardise(logits)
    assert torch.equal(got, torch.zeros(num_examples, 10))
    (got * random_logits(num_examples, 10)).sum().backward()
    assert torch.equal(logits.grad, torch.zeros(num_examples, 10))


def test_a_constant_row_leaves_the_others_as_they_are():
    logits = random_logits(3, 6)
    with_constant = logits.clone()
    with_constant[1] = 4.2
    got, expected = standardise(with_constant), standardise(logits)
    assert torch.equal(got[[0, 2]], expected[[0, 2]])


def test_dense_logits_are_standardised_at_each_position():
    logits = random_logits(2, 5, 3, 4)
    rows = logits.permute(0, 2, 3, 1).reshape(-1, 5)
    expected = standardise(rows).reshape(2, 3, 4, 5).permute(0, 3, 1, 2)
    torch.testing.assert_close(standardise(logits), expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(dtype):
    # The deviation of logits of this size is below the smallest float16.
    logits = (1e-6 * random_logits(4, 10)).to(dtype)
    got = standardise(logits)
    assert got.dtype == torch.float32
    assert torch.equal(got, standardise(logits.float()))


def test_gradients_are_those_of_finite_differences():
    logits = random_logits(3, 5, dtype=torch.float64).requires_grad_()
    assert gradcheck(standardise, (logits,))
