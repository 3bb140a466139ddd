"""Variational information against numbers by hand and NumPy, its variance, and its gradients."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck

from kdsweep.errors import TrialError
from kdsweep.losses.variational import scale_of, variance, variational_information


def maps(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def test_by_hand():
    # Variances e and 1: channel 0 is off by 2: 1/2 (4 / e + 1); channel 1 by 3: 1/2 (9 + 0).
    scale = torch.tensor([scale_of(math.e), scale_of(1.0)])
    mean, teacher = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 3.0]])
    expected = torch.tensor([(0.5 * (4 / math.e + 1) + 4.5) / 2])
    torch.testing.assert_close(variational_information(mean, scale, teacher), expected)


@pytest.mark.parametrize("space", [(), (3, 2)])
def test_against_numpy(space):
    mean, teacher, scale = maps(5, 4, *space, seed=1), maps(5, 4, *space, seed=2), maps(4, seed=3)
    var = np.log1p(np.exp(scale.double().numpy())) + 1e-5
    var = var.reshape(1, 4, *[1] * len(space))
    squares = (mean.double().numpy() - teacher.double().numpy()) ** 2
    expected = (0.5 * (squares / var + np.log(var))).reshape(5, -1).mean(axis=1)
    got = variational_information(mean, scale, teacher)
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-5)


@given(st.floats(2e-5, 1e4))
def test_the_scale_of_a_variance_gives_it_back(wanted):
    scale = torch.tensor([scale_of(wanted)], dtype=torch.float64)
    assert variance(scale).item() == pytest.approx(wanted, rel=1e-6)


def test_a_variance_never_falls_to_zero():
    scale = torch.tensor([-1000.0], requires_grad=True)
    loss = variational_information(torch.zeros(1, 1), scale, torch.zeros(1, 1))
    torch.testing.assert_close(loss, torch.tensor([0.5 * math.log(1e-5)]))
    loss.sum().backward()
    assert scale.grad.isfinite().all()


def test_the_best_variance_is_the_mean_squared_difference():
    mean, teacher = maps(64, 1, 8, 8, seed=1), maps(64, 1, 8, 8, seed=2)
    best = (mean - teacher).square().mean().item()
    scale = torch.tensor([scale_of(best)], requires_grad=True)
    variational_information(mean, scale, teacher).mean().backward()
    assert scale.grad.abs().item() < 1e-6
    at_best, below, above = (
        variational_information(mean, torch.tensor([scale_of(factor * best)]), teacher).mean()
        for factor in (1, 0.9, 1.1)
    )
    assert at_best < min(below, above)


def test_zeros_and_one_example_are_finite():
    mean = torch.zeros(1, 2, 1, 1, requires_grad=True)
    loss = variational_information(mean, torch.zeros(2), torch.zeros(1, 2, 1, 1))
    torch.testing.assert_close(loss, torch.tensor([0.5 * math.log(math.log(2) + 1e-5)]))
    loss.sum().backward()
    assert torch.equal(mean.grad, torch.zeros(1, 2, 1, 1))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(dtype):
    # Squares of 300 overflow in float16.
    mean, teacher = (300 * maps(3, 2, 2, 2, seed=seed).to(dtype) for seed in (1, 2))
    scale = maps(2, seed=3).to(dtype)
    got = variational_information(mean, scale, teacher)
    assert got.dtype == torch.float32
    wide = variational_information(mean.float(), scale.float(), teacher.float())
    torch.testing.assert_close(got, wide)


def test_gradients_are_those_of_finite_differences():
    made = [maps(*shape, seed=1, dtype=torch.float64).requires_grad_()
            for shape in ((2, 3, 2, 2), (3,), (2, 3, 2, 2))]  # fmt: skip
    assert gradcheck(variational_information, made)


def test_a_prediction_of_another_shape_is_refused():
    with pytest.raises(TrialError, match=r"student \[4, 8, 2, 2\] and teacher \[4, 1, 2, 2\]"):
        variational_information(torch.zeros(4, 8, 2, 2), torch.zeros(8), torch.zeros(4, 1, 2, 2))
    with pytest.raises(TrialError, match=r"scale \[1\] and teacher \[4, 8\]: there must be one"):
        variational_information(torch.zeros(4, 8), torch.zeros(1), torch.zeros(4, 8))
