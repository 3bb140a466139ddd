"""Distances between logits by hand, against NumPy in float64, and against the divergence."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck

from kdsweep.errors import TrialError
from kdsweep.losses.distances import (
    jensen_shannon,
    logit_mse,
    reverse_kl_divergence,
    soft_cross_entropy,
)
from kdsweep.losses.logits import at_temperature, kl_divergence, soft_targets

LOGITS = st.lists(st.floats(-50, 50), min_size=4, max_size=4)
ALL = [kl_divergence, soft_cross_entropy, reverse_kl_divergence, jensen_shannon, logit_mse]
every_distance = pytest.mark.parametrize("distance", ALL)
STUDENT, TEACHER = torch.tensor([[0.25, 0.75]]).log(), torch.zeros(1, 2)


def random_logits(*shape, seed=0, scale=3.0, dtype=torch.float32):
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def in_numpy(distance, student, teacher):
    z_s, z_t = student.double().numpy(), teacher.double().numpy()
    q, p = (np.exp(z) / np.exp(z).sum(axis=1, keepdims=True) for z in (z_s, z_t))
    m = (p + q) / 2
    return {
        kl_divergence: (p * np.log(p / q)).sum(axis=1),
        soft_cross_entropy: -(p * np.log(q)).sum(axis=1),
        reverse_kl_divergence: (q * np.log(q / p)).sum(axis=1),
        jensen_shannon: ((p * np.log(p / m)) + (q * np.log(q / m))).sum(axis=1) / 2,
        logit_mse: ((z_s - z_t) ** 2).mean(axis=1),
    }[distance]


def test_soft_cross_entropy_by_hand():
    # p = (1/2, 1/2), q = (1/4, 3/4): 1/2 ln 4 + 1/2 ln 4/3
    expected = 0.5 * math.log(4) + 0.5 * math.log(4 / 3)
    torch.testing.assert_close(soft_cross_entropy(STUDENT, TEACHER), torch.tensor([expected]))


def test_reverse_kl_by_hand():
    # KL(q || p) with q = (1/4, 3/4), p = (1/2, 1/2): 1/4 ln 1/2 + 3/4 ln 3/2
    expected = 0.25 * math.log(0.5) + 0.75 * math.log(1.5)
    torch.testing.assert_close(reverse_kl_divergence(STUDENT, TEACHER), torch.tensor([expected]))


def test_jensen_shannon_by_hand():
    # m = (3/8, 5/8): 1/2 [1/2 ln 4/3 + 1/2 ln 4/5 + 1/4 ln 2/3 + 3/4 ln 6/5]
    of_teacher = 0.5 * math.log(4 / 3) + 0.5 * math.log(4 / 5)
    of_student = 0.25 * math.log(2 / 3) + 0.75 * math.log(6 / 5)
    expected = (of_teacher + of_student) / 2
    torch.testing.assert_close(jensen_shannon(STUDENT, TEACHER), torch.tensor([expected]))


def test_mse_of_logits_by_hand():
    # (1^2 + 3^2 + 2^2) / 3
    student, teacher = torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[0.0, 5.0, 1.0]])
    torch.testing.assert_close(logit_mse(student, teacher), torch.tensor([14 / 3]))


@every_distance
def test_against_numpy(distance):
    student, teacher = random_logits(7, 10, seed=1), random_logits(7, 10, seed=2)
    got = distance(student, teacher)
    assert got.shape == (7,)
    expected = in_numpy(distance, student, teacher)
    np.testing.assert_allclose(got.numpy(), expected, rtol=2e-5, atol=1e-6)


@every_distance
def test_at_a_temperature_logits_are_divided_and_the_value_is_multiplied_by_its_square(distance):
    student, teacher = random_logits(7, 10, seed=1), random_logits(7, 10, seed=2)
    expected = 25 * in_numpy(distance, student / 5, teacher / 5)
    got = at_temperature(distance, student, teacher, 5.0)
    np.testing.assert_allclose(got.numpy(), expected, rtol=2e-4)


@every_distance
def test_dense_logits_are_averaged_over_positions(distance):
    student, teacher = random_logits(3, 5, 2, 4, seed=1), random_logits(3, 5, 2, 4, seed=2)
    rows = [z.permute(0, 2, 3, 1).reshape(-1, 5) for z in (student, teacher)]
    expected = in_numpy(distance, *rows).reshape(3, 8).mean(axis=1)
    np.testing.assert_allclose(distance(student, teacher).numpy(), expected, rtol=2e-5)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_soft_cross_entropy_has_the_gradient_of_the_divergence(temperature):
    student = random_logits(4, 5, seed=1, dtype=torch.float64).requires_grad_()
    teacher = random_logits(4, 5, seed=2, dtype=torch.float64)
    gradients = [
        torch.autograd.grad(at_temperature(each, student, teacher, temperature).sum(), student)[0]
        for each in (soft_cross_entropy, kl_divergence)
    ]
    torch.testing.assert_close(*gradients)


def test_soft_cross_entropy_is_the_divergence_and_the_teachers_entropy():
    student, teacher = random_logits(4, 5, seed=1), random_logits(4, 5, seed=2)
    entropy = soft_cross_entropy(teacher, teacher)
    expected = kl_divergence(student, teacher) + entropy
    torch.testing.assert_close(soft_cross_entropy(student, teacher), expected)


def test_hot_divergence_is_half_the_squared_difference_of_centred_logits():
    student = random_logits(6, 10, seed=1, dtype=torch.float64)
    teacher = random_logits(6, 10, seed=2, dtype=torch.float64)
    student, teacher = (z - z.mean(1, keepdim=True) for z in (student, teacher))
    hot = soft_targets(student, teacher, 1000.0)
    torch.testing.assert_close(2 * hot, logit_mse(student, teacher), rtol=0.02, atol=0)


def test_hot_jensen_shannon_is_a_quarter_of_the_divergence():
    student = random_logits(6, 10, seed=1, dtype=torch.float64)
    teacher = random_logits(6, 10, seed=2, dtype=torch.float64)
    hot = at_temperature(jensen_shannon, student, teacher, 1000.0)
    torch.testing.assert_close(4 * hot, soft_targets(student, teacher, 1000.0), rtol=0.02, atol=0)


def test_jensen_shannon_of_networks_that_exclude_each_other_is_ln_2():
    student, teacher = torch.tensor([[300.0, 0.0]]), torch.tensor([[0.0, 300.0]])
    got = jensen_shannon(student.requires_grad_(), teacher)
    torch.testing.assert_close(got, torch.tensor([math.log(2)]))
    got.sum().backward()
    assert student.grad.isfinite().all()


@settings(deadline=None)
@given(LOGITS, LOGITS)
def test_jensen_shannon_is_symmetric_and_bounded(student, teacher):
    s, t = (torch.tensor([row], dtype=torch.float64) for row in (student, teacher))
    there, back = jensen_shannon(s, t).item(), jensen_shannon(t, s).item()
    assert there == pytest.approx(back, abs=1e-12)
    assert -1e-12 <= there <= math.log(2) + 1e-12


@pytest.mark.parametrize("distance", [reverse_kl_divergence, jensen_shannon, logit_mse])
def test_equal_logits_are_at_no_distance(distance):
    logits = random_logits(4, 6, dtype=torch.float64)
    zeros = torch.zeros(4, dtype=torch.float64)
    torch.testing.assert_close(distance(logits, logits.clone()), zeros)


@every_distance
@pytest.mark.parametrize("num_examples", [1, 3])
@pytest.mark.parametrize("scale", [0.0, 1.0, 1e4])
def test_extreme_and_constant_rows_are_finite(distance, scale, num_examples):
    student = random_logits(num_examples, 6, scale=scale).requires_grad_()
    loss = distance(student, torch.full((num_examples, 6), scale))
    loss.sum().backward()
    assert loss.isfinite().all()
    assert student.grad.isfinite().all()


@every_distance
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(distance, dtype):
    student = random_logits(5, 10, seed=1).to(dtype)
    teacher = random_logits(5, 10, seed=2).to(dtype)
    got = distance(student, teacher)
    assert got.dtype == torch.float32
    assert torch.equal(got, distance(student.float(), teacher.float()))


@every_distance
@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 2, 2)])
def test_gradients_are_those_of_finite_differences(distance, shape):
    student = random_logits(*shape, seed=1, dtype=torch.float64).requires_grad_()
    teacher = random_logits(*shape, seed=2, dtype=torch.float64).requires_grad_()
    assert gradcheck(distance, (student, teacher))
    assert gradcheck(lambda s, t: at_temperature(distance, s, t, 3.0), (student, teacher))


@every_distance
def test_different_shapes_are_refused(distance):
    with pytest.raises(TrialError, match=r"student \[4, 10\] and teacher \[4, 1\]: a loss comp"):
        distance(torch.zeros(4, 10), torch.zeros(4, 1))
