"""Directions of embeddings and telling them apart: by hand, in NumPy, gradients, the traps."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.autograd import gradcheck

from kdsweep.errors import TrialError
from kdsweep.losses.embeddings import direction_mse, info_nce


def normal(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def unit(vectors):
    vectors = vectors.double().numpy()
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def infonce(temperature):
    return lambda student, teacher: info_nce(student, teacher, temperature)


def test_directions_by_hand():
    # (3, 4) / 5 = (.6, .8) against (1, 0): ((.4)^2 + (.8)^2) / 2 = .4, and 2 (1 - .6) / 2 = .4
    got = direction_mse(torch.tensor([[3.0, 4.0]]), torch.tensor([[7.0, 0.0]]))
    torch.testing.assert_close(got, torch.tensor([0.4]))


def test_directions_against_numpy_and_mse():
    student, teacher = normal(5, 7, seed=1), normal(5, 7, seed=2)
    expected = ((unit(student) - unit(teacher)) ** 2).mean(axis=1)
    got = direction_mse(student, teacher)
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-5)
    whole = nn.MSELoss()(torch.tensor(unit(student)), torch.tensor(unit(teacher)))
    torch.testing.assert_close(got.mean().double(), whole)


def test_info_nce_by_hand():
    # Cosines [[1, 0], [0, 1]] at temperature 1 / ln 3: each tells its own with 3 / (3 + 1).
    student, teacher = torch.eye(2), 5 * torch.eye(2)
    got = info_nce(student, teacher, 1 / math.log(3))
    torch.testing.assert_close(got, torch.full((2,), math.log(4 / 3)))


def test_info_nce_looks_both_ways():
    student, teacher = normal(6, 4, seed=1), normal(6, 4, seed=2)
    exponentials = np.exp(unit(student) @ unit(teacher).T / 0.2)
    own = np.diag(exponentials)
    there = -np.log(own / exponentials.sum(axis=1))
    back = -np.log(own / exponentials.sum(axis=0))
    got = info_nce(student, teacher, 0.2)
    np.testing.assert_allclose(got.numpy(), (there + back) / 2, rtol=1e-4)
    torch.testing.assert_close(got, info_nce(teacher, student, 0.2))


def test_one_example_has_nothing_to_be_told_from():
    student = normal(1, 3).requires_grad_()
    loss = info_nce(student, normal(1, 3, seed=1), 0.07)
    loss.sum().backward()
    assert loss.tolist() == [0]
    torch.testing.assert_close(student.grad, torch.zeros(1, 3))


def test_the_temperature_gets_a_gradient():
    # d/dT of -(cos - logsumexp) / T by finite differences is what gradcheck compares with.
    temperature = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    student, teacher = (normal(3, 4, seed=s, dtype=torch.float64) for s in (1, 2))
    assert gradcheck(lambda t: info_nce(student, teacher, t), (temperature,))


@pytest.mark.parametrize("loss", [direction_mse, infonce(0.1)], ids=["mse", "info_nce"])
class TestEvery:
    def test_lengths_do_not_matter(self, loss):
        student, teacher = normal(4, 3, seed=1), normal(4, 3, seed=2)
        torch.testing.assert_close(loss(student, teacher), loss(1e3 * student, 1e-3 * teacher))

    def test_embeddings_of_zeros_have_finite_losses_and_gradients(self, loss):
        student = torch.zeros(3, 4, requires_grad=True)
        got = loss(student, normal(3, 4))
        got.sum().backward()
        assert got.isfinite().all()
        assert torch.equal(student.grad, torch.zeros(3, 4))

    def test_gradients_are_those_of_finite_differences(self, loss):
        student = normal(3, 4, seed=1, dtype=torch.float64).requires_grad_()
        teacher = normal(3, 4, seed=2, dtype=torch.float64).requires_grad_()
        assert gradcheck(loss, (student, teacher))

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
    def test_half_precision_is_computed_in_float32(self, loss, dtype):
        # Squares of 1e-4 underflow in float16, and lengths with them.
        student = (1e-4 * normal(3, 4, seed=1)).to(dtype)
        teacher = (1e-4 * normal(3, 4, seed=2)).to(dtype)
        got = loss(student, teacher)
        assert got.dtype == torch.float32
        torch.testing.assert_close(got, loss(student.float(), teacher.float()))

    def test_other_shapes_are_refused(self, loss):
        with pytest.raises(TrialError, match=r"student \[4, 1\] and teacher \[4, 8\]"):
            loss(torch.zeros(4, 1), torch.zeros(4, 8))
        with pytest.raises(TrialError, match=r"embeddings \[4, 8, 2, 2\]: must be vectors"):
            loss(torch.zeros(4, 8, 2, 2), torch.zeros(4, 8, 2, 2))
