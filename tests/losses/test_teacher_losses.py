"""Several teachers: how they are weighted, and that probabilities are averaged, not logits."""

import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from kdsweep.batch import UNLABELLED
from kdsweep.errors import TrialError
from kdsweep.losses.logits import soft_targets
from kdsweep.losses.teachers import combined, confidence_weights, entropy_weights, equal_weights

LABELS = torch.tensor([0, 3, 1, 2, 2])


def random_logits(*shape, seed=0, scale=3.0, dtype=torch.float32):
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def softmax(z, axis):
    return np.exp(z) / np.exp(z).sum(axis=axis, keepdims=True)


def test_mean_of_probabilities_by_hand():
    # (1/10, 9/10) and (9/10, 1/10) are of mean (1/2, 1/2); with weights (1/4, 3/4): (7/10, 3/10).
    teachers = torch.tensor([[[1.0, 9.0]], [[9.0, 1.0]]]).log()
    equal = combined(teachers, equal_weights(teachers), 1.0)
    torch.testing.assert_close(equal.softmax(1), torch.tensor([[0.5, 0.5]]))
    unequal = combined(teachers, torch.tensor([[0.25], [0.75]]), 1.0)
    torch.testing.assert_close(unequal.softmax(1), torch.tensor([[0.7, 0.3]]))


def test_the_mean_is_of_probabilities_and_not_of_logits():
    # One is certain, the other undecided: probabilities (3/4, 1/4), logits would give (1, 0).
    teachers = torch.tensor([[[200.0, 0.0]], [[0.0, 0.0]]])
    got = combined(teachers, equal_weights(teachers), 1.0).softmax(1)
    torch.testing.assert_close(got, torch.tensor([[0.75, 0.25]]))


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_softened_mean_against_numpy(temperature):
    teachers = random_logits(3, 5, 4)
    weights = random_logits(3, 5, seed=1).softmax(0)
    each = softmax(teachers.double().numpy() / temperature, axis=2)
    expected = (weights.double().numpy()[:, :, None] * each).sum(axis=0)
    got = (combined(teachers, weights, temperature) / temperature).softmax(1)
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-5)


def test_a_divergence_from_the_mean_has_the_gradient_of_the_mean_divergence():
    # Published code averages the losses, weighted: the same but for a constant.
    student = random_logits(5, 4, seed=3, dtype=torch.float64).requires_grad_()
    teachers = random_logits(3, 5, 4, dtype=torch.float64)
    weights = confidence_weights(teachers, LABELS)
    losses = torch.stack([soft_targets(student, teacher, 4.0) for teacher in teachers])
    expected = torch.autograd.grad((weights * losses).sum(), student)[0]
    ours = soft_targets(student, combined(teachers, weights, 4.0), 4.0)
    torch.testing.assert_close(torch.autograd.grad(ours.sum(), student)[0], expected)


def test_confidence_weights_by_hand():
    # p_y = 1/2 and 1/4: CE = ln 2 and ln 4, softmax of them (1/3, 2/3), one minus it (2/3, 1/3).
    teachers = torch.tensor([[[1.0, 1.0]], [[1.0, 3.0]]]).log()
    got = confidence_weights(teachers, torch.tensor([0]))
    torch.testing.assert_close(got, torch.tensor([[2 / 3], [1 / 3]]))


def test_entropy_weights_by_hand():
    # H = ln 2 and ln 3: over their sum, one minus it, over K - 1 = 1.
    teachers = torch.tensor([[[0.0, 0.0, -1e4]], [[0.0, 0.0, 0.0]]])
    got = entropy_weights(teachers)
    expected = torch.tensor([[math.log(3)], [math.log(2)]]) / math.log(6)
    torch.testing.assert_close(got, expected)


def test_weights_against_numpy():
    teachers = random_logits(3, 5, 4)
    p = softmax(teachers.double().numpy(), axis=2)
    entropies = -(p * np.log(p)).sum(axis=2)
    expected = (1 - entropies / entropies.sum(axis=0)) / 2
    np.testing.assert_allclose(entropy_weights(teachers).numpy(), expected, rtol=1e-5)
    losses = -np.log(p[:, np.arange(5), LABELS.numpy()])
    expected = (1 - softmax(losses, axis=0)) / 2
    got = confidence_weights(teachers, LABELS).numpy()
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("num_teachers", [1, 2, 5])
@pytest.mark.parametrize("scale", [0.0, 1.0, 200.0])
def test_weights_have_a_sum_of_one(num_teachers, scale):
    teachers = random_logits(num_teachers, 5, 4, scale=scale)
    for weights in (
        equal_weights(teachers), entropy_weights(teachers), confidence_weights(teachers, LABELS)
    ):  # fmt: skip
        assert weights.shape == (num_teachers, 5)
        assert (weights >= -1e-7).all()
        torch.testing.assert_close(weights.sum(0), torch.ones(5))


def test_one_teacher_has_weight_one_and_stays_as_it_is():
    teachers = random_logits(1, 5, 4)
    for weights in (entropy_weights(teachers), confidence_weights(teachers, LABELS)):
        assert torch.equal(weights, torch.ones(1, 5))
        assert torch.equal(combined(teachers, weights, 4.0), teachers[0])


def test_unlabelled_examples_weight_all_teachers_alike():
    teachers, labels = random_logits(3, 5, 4), LABELS.clone()
    labels[[1, 4]] = UNLABELLED
    got, labelled = confidence_weights(teachers, labels), confidence_weights(teachers, LABELS)
    torch.testing.assert_close(got[:, [1, 4]], torch.full((3, 2), 1 / 3))
    assert torch.equal(got[:, [0, 2, 3]], labelled[:, [0, 2, 3]])


def test_teachers_without_any_doubt_are_weighted_alike():
    teachers = torch.tensor([[[1e4, 0.0]], [[0.0, 1e4]], [[1e4, 0.0]]])
    torch.testing.assert_close(entropy_weights(teachers), torch.full((3, 1), 1 / 3))


def test_certain_teachers_and_weights_of_zero_are_finite():
    # Against a teacher that is right, one that is sure and wrong has no weight left.
    teachers = torch.tensor([[[1e4, 0.0]], [[0.0, 1e4]]])
    weights = confidence_weights(teachers, torch.tensor([0]))
    assert torch.equal(weights, torch.tensor([[1.0], [0.0]]))
    got = combined(teachers, weights, 4.0)
    assert torch.equal((got / 4).softmax(1), torch.tensor([[1.0, 0.0]]))


def test_dense_logits_are_weighted_at_each_position():
    teachers = random_logits(3, 2, 4, 2, 3)
    labels = torch.tensor([[[0, 1, 3], [2, 2, 3]], [[3, -1, 1], [-1, 0, 0]]])
    rows = teachers.permute(0, 1, 3, 4, 2).reshape(3, -1, 4)
    for dense, flat in (
        (entropy_weights(teachers), entropy_weights(rows)),
        (confidence_weights(teachers, labels), confidence_weights(rows, labels.flatten())),
    ):
        torch.testing.assert_close(dense, flat.reshape(3, 2, 2, 3))
        expected = combined(rows, flat, 2.0).reshape(2, 2, 3, 4).permute(0, 3, 1, 2)
        torch.testing.assert_close(combined(teachers, dense, 2.0), expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(dtype):
    teachers = random_logits(3, 5, 4).to(dtype)
    for weights in (entropy_weights(teachers), confidence_weights(teachers, LABELS)):
        assert weights.dtype == torch.float32
        got = combined(teachers, weights, 4.0)
        assert torch.equal(got, combined(teachers.float(), weights, 4.0))


def test_gradients_are_those_of_finite_differences():
    teachers = random_logits(3, 2, 4, scale=1.0, dtype=torch.float64).requires_grad_()
    labels = torch.tensor([1, UNLABELLED])
    assert gradcheck(entropy_weights, (teachers,))
    assert gradcheck(lambda t: confidence_weights(t, labels), (teachers,))
    assert gradcheck(lambda t: combined(t, entropy_weights(t), 4.0), (teachers,))


def test_labels_of_another_shape_are_refused():
    with pytest.raises(TrialError, match=r"logits \[5, 4\] and labels \[3\]"):
        confidence_weights(random_logits(2, 5, 4), torch.zeros(3).long())
