"""Pearson correlations of probabilities: by hand, against NumPy, and where there are none."""

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from kdsweep.errors import TrialError
from kdsweep.losses.correlation import inter_class, intra_class
from kdsweep.losses.logits import at_temperature

BOTH = [inter_class, intra_class]
each_relation = pytest.mark.parametrize("relation", BOTH)


def random_logits(*shape, seed=0, scale=2.0, dtype=torch.float32):
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def softmax(logits):
    z = logits.double().numpy()
    return np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)


def in_numpy(relation, student, teacher):
    """With ``numpy.corrcoef`` of each pair of rows, or of columns."""
    ours, theirs = softmax(student), softmax(teacher)
    if relation is inter_class:
        return np.array([1 - np.corrcoef(a, b)[0, 1] for a, b in zip(ours, theirs, strict=True)])
    columns = [np.corrcoef(a, b)[0, 1] for a, b in zip(ours.T, theirs.T, strict=True)]
    return np.full(len(ours), 1 - np.mean(columns))


def test_rows_by_hand():
    # (1/6, 2/6, 3/6) with (3/6, 2/6, 1/6): r = -1. With (1/4, 1/4, 2/4): differences from 1/3 are
    # (-1, 0, 1) / 6 and (-1, -1, 2) / 12: r = 3 / sqrt(2 * 6).
    student = torch.tensor([[1.0, 2, 3], [1, 2, 3]]).log()
    teacher = torch.tensor([[3.0, 2, 1], [1, 1, 2]]).log()
    expected = torch.tensor([2.0, 1 - 3 / 12**0.5])
    torch.testing.assert_close(inter_class(student, teacher), expected)


def test_columns_by_hand():
    # Of two classes one column is one minus the other: both correlate alike. Over the batch the
    # first is (1/4, 2/4, 3/4) and (1/4, 1/4, 2/4): differences (-1, 0, 1) and (-1, -1, 2).
    student = torch.tensor([[1.0, 3], [2, 2], [3, 1]]).log()
    teacher = torch.tensor([[1.0, 3], [1, 3], [2, 2]]).log()
    expected = torch.full((3,), 1 - 3 / 12**0.5)
    torch.testing.assert_close(intra_class(student, teacher), expected)


@each_relation
def test_against_numpy(relation):
    student, teacher = random_logits(7, 10, seed=1), random_logits(7, 10, seed=2)
    got = relation(student, teacher)
    assert got.shape == (7,)
    expected = in_numpy(relation, student, teacher)
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-5, atol=1e-6)
    got = at_temperature(relation, student, teacher, 4.0)
    expected = 16 * in_numpy(relation, student / 4, teacher / 4)
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-5, atol=1e-5)


def test_a_relation_is_kept_by_shifts_and_scales_of_probabilities():
    # Probabilities halved towards uniform correlate perfectly with what they were, but for the
    # least norm of 1e-8.
    teacher = random_logits(6, 10, dtype=torch.float64)
    student = (teacher.softmax(1) / 2 + 0.05).log()
    zeros = torch.zeros(6, dtype=torch.float64)
    for relation in BOTH:
        torch.testing.assert_close(relation(student, teacher), zeros, rtol=0, atol=1e-4)


def test_one_example_has_nothing_to_correlate_with_in_its_batch():
    student, teacher = random_logits(1, 10, seed=1), random_logits(1, 10, seed=2)
    assert torch.equal(intra_class(student, teacher), torch.zeros(1))
    expected = in_numpy(inter_class, student, teacher)
    np.testing.assert_allclose(inter_class(student, teacher).numpy(), expected, rtol=1e-5)


@each_relation
@pytest.mark.parametrize("of", ["student", "teacher", "both"])
def test_constant_rows_have_loss_one_and_a_gradient_of_zero(relation, of):
    student, teacher = random_logits(4, 6, seed=1), random_logits(4, 6, seed=2)
    # Every row alike makes every column constant as well.
    student = torch.full((4, 6), 0.1) if of != "teacher" else student
    teacher = torch.full((4, 6), 0.1) if of != "student" else teacher
    student.requires_grad_()
    loss = relation(student, teacher)
    assert torch.equal(loss, torch.ones(4))
    loss.sum().backward()
    assert torch.equal(student.grad, torch.zeros(4, 6))


@each_relation
def test_certain_networks_are_finite(relation):
    # Whole columns of probabilities underflow to zero.
    student = random_logits(5, 8, seed=1, scale=200.0).requires_grad_()
    loss = relation(student, random_logits(5, 8, seed=2, scale=200.0))
    loss.sum().backward()
    assert loss.isfinite().all()
    assert student.grad.isfinite().all()


@each_relation
def test_every_position_of_dense_logits_counts(relation):
    student, teacher = random_logits(2, 5, 2, 3, seed=1), random_logits(2, 5, 2, 3, seed=2)
    rows = [z.permute(0, 2, 3, 1).reshape(-1, 5) for z in (student, teacher)]
    expected = in_numpy(relation, *rows).reshape(2, 6).mean(axis=1)
    got = relation(student, teacher)
    assert got.shape == (2,)
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-5, atol=1e-6)


def test_one_dense_example_correlates_over_its_positions():
    student, teacher = random_logits(1, 5, 2, 3, seed=1), random_logits(1, 5, 2, 3, seed=2)
    rows = [z.permute(0, 2, 3, 1).reshape(-1, 5) for z in (student, teacher)]
    expected = in_numpy(intra_class, *rows)[:1]
    np.testing.assert_allclose(intra_class(student, teacher).numpy(), expected, rtol=1e-5)


@each_relation
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(relation, dtype):
    student, teacher = random_logits(5, 10, seed=1).to(dtype), random_logits(5, 10).to(dtype)
    got = relation(student, teacher)
    assert got.dtype == torch.float32
    assert torch.equal(got, relation(student.float(), teacher.float()))


@each_relation
def test_gradients_are_those_of_finite_differences(relation):
    student = random_logits(4, 5, seed=1, dtype=torch.float64).requires_grad_()
    teacher = random_logits(4, 5, seed=2, dtype=torch.float64).requires_grad_()
    assert gradcheck(relation, (student, teacher))


@each_relation
def test_different_shapes_are_refused(relation):
    with pytest.raises(TrialError, match=r"student \[4, 10\] and teacher \[4, 1\]"):
        relation(torch.zeros(4, 10), torch.zeros(4, 1))
