"""Hints and attention maps against numbers worked by hand and NumPy, and their gradients."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.autograd import gradcheck

from kdsweep.errors import TrialError
from kdsweep.losses.attention import attention_map, attention_transfer
from kdsweep.losses.features import hint


def random_maps(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def numpy_attention(features):
    flat = (features.double().numpy() ** 2).mean(axis=1).reshape(len(features), -1)
    return flat / np.linalg.norm(flat, axis=1, keepdims=True)


def test_hint_by_hand():
    # (1^2 + 2^2) / 2 = 2.5; (0^2 + 2^2) / 2 = 2
    student = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).reshape(2, 1, 1, 2)
    teacher = torch.tensor([[0.0, 0.0], [3.0, 2.0]]).reshape(2, 1, 1, 2)
    torch.testing.assert_close(hint(student, teacher), torch.tensor([2.5, 2.0]))


@pytest.mark.parametrize("shape", [(5, 3, 4, 2), (5, 3)])
def test_hint_against_numpy_and_mse(shape):
    student, teacher = random_maps(*shape, seed=1), random_maps(*shape, seed=2)
    squares = (student.double().numpy() - teacher.double().numpy()) ** 2
    expected = squares.reshape(5, -1).mean(axis=1)
    np.testing.assert_allclose(hint(student, teacher).numpy(), expected, rtol=1e-5)
    torch.testing.assert_close(hint(student, teacher).mean(), nn.MSELoss()(student, teacher))


def test_attention_by_hand():
    # student: channels (0, sqrt 6) and (sqrt 8, 0): mean squares (4, 3), length 5: Q = (.8, .6)
    # teacher: one channel (sqrt 3, 2): squares (3, 4), length 5: Q = (.6, .8)
    # mean of (.2^2, .2^2) = .04
    student = torch.tensor([[[[0.0, math.sqrt(6)]], [[math.sqrt(8), 0.0]]]])
    teacher = torch.tensor([[[[math.sqrt(3), 2.0]]]])
    torch.testing.assert_close(attention_map(student), torch.tensor([[0.8, 0.6]]))
    torch.testing.assert_close(attention_transfer(student, teacher), torch.tensor([0.04]))


def test_attention_against_numpy():
    student, teacher = random_maps(6, 4, 5, 3, seed=1), random_maps(6, 7, 5, 3, seed=2)
    expected = ((numpy_attention(student) - numpy_attention(teacher)) ** 2).mean(axis=1)
    np.testing.assert_allclose(attention_transfer(student, teacher).numpy(), expected, rtol=1e-4)


def test_attention_is_a_mean_over_pixels_of_each_example_alone():
    student, teacher = random_maps(4, 3, 2, 2, seed=1), random_maps(4, 5, 2, 2, seed=2)
    alone = torch.cat(
        [attention_transfer(student[i : i + 1], teacher[i : i + 1]) for i in range(4)]
    )
    torch.testing.assert_close(attention_transfer(student, teacher), alone)
    wider = [
        torch.cat([maps, torch.zeros(4, maps.shape[1], 2, 2)], dim=3) for maps in (student, teacher)
    ]
    torch.testing.assert_close(attention_transfer(*wider), alone / 2)


def test_attention_does_not_depend_on_scale():
    maps = random_maps(3, 4, 5, 5)
    torch.testing.assert_close(attention_map(maps), attention_map(-1000 * maps))


@pytest.mark.parametrize("num_examples", [1, 3])
def test_maps_of_zeros_have_finite_losses_and_gradients(num_examples):
    student = torch.zeros(num_examples, 4, 3, 3, requires_grad=True)
    teacher = random_maps(num_examples, 2, 3, 3)
    # A teacher's map of length one against zeros: 1 / (H W).
    loss = attention_transfer(student, teacher)
    torch.testing.assert_close(loss, torch.full((num_examples,), 1 / 9))
    (loss + hint(student, torch.zeros_like(student))).sum().backward()
    assert torch.equal(student.grad, torch.zeros_like(student))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(dtype):
    # Squares of 1e-4 underflow in float16.
    student = (1e-4 * random_maps(3, 4, 3, 3, seed=1)).to(dtype)
    teacher = (1e-4 * random_maps(3, 4, 3, 3, seed=2)).to(dtype)
    for loss in (hint, attention_transfer):
        got = loss(student, teacher)
        assert got.dtype == torch.float32
        torch.testing.assert_close(got, loss(student.float(), teacher.float()))
        assert (got > 0).all()


def test_gradients_are_those_of_finite_differences():
    student = random_maps(2, 3, 2, 2, seed=1, dtype=torch.float64).requires_grad_()
    teacher = random_maps(2, 3, 2, 2, seed=2, dtype=torch.float64).requires_grad_()
    assert gradcheck(hint, (student, teacher))
    assert gradcheck(attention_transfer, (student, teacher))


def test_a_hint_does_not_broadcast():
    with pytest.raises(TrialError, match=r"student \[4, 8, 2, 2\] and teacher \[4, 1, 2, 2\]"):
        hint(torch.zeros(4, 8, 2, 2), torch.zeros(4, 1, 2, 2))


def test_maps_of_equal_area_but_other_sides_are_refused():
    with pytest.raises(TrialError, match=r"student \[1, 1, 2, 8\] and teacher \[1, 1, 4, 4\]"):
        attention_transfer(torch.ones(1, 3, 2, 8), torch.ones(1, 3, 4, 4))


def test_attention_of_vectors_is_refused():
    with pytest.raises(TrialError, match=r"features \[4, 8\]: attention is of maps \[N, D, H, W\]"):
        attention_map(torch.zeros(4, 8))
