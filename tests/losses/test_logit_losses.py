"""Losses on logits against numbers worked by hand, NumPy in float64, and their gradients."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.autograd import gradcheck

from kdsweep.batch import UNLABELLED
from kdsweep.errors import TrialError
from kdsweep.losses.logits import hard_labels, kl_divergence, soft_targets

LOGITS = st.lists(st.floats(-50, 50), min_size=3, max_size=3)


def random_logits(*shape, seed=0, scale=3.0, dtype=torch.float32):
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def log_softmax(logits):
    return logits - np.log(np.sum(np.exp(logits), axis=1, keepdims=True))


def test_kl_by_hand():
    # p = (1/2, 1/2), q = (1/4, 3/4): KL = 1/2 ln 2 + 1/2 ln 2/3 = 1/2 ln 4/3
    got = kl_divergence(torch.tensor([[0.25, 0.75]]).log(), torch.zeros(1, 2))
    torch.testing.assert_close(got, torch.tensor([0.5 * math.log(4 / 3)]))


def test_kl_is_of_the_teacher_from_the_student():
    # p = (1/4, 3/4), q = (1/2, 1/2): KL = 1/4 ln 1/2 + 3/4 ln 3/2, not the value above
    got = kl_divergence(torch.zeros(1, 2), torch.tensor([[0.25, 0.75]]).log())
    torch.testing.assert_close(got, torch.tensor([0.25 * math.log(0.5) + 0.75 * math.log(1.5)]))


def test_soft_targets_by_hand():
    # T = 2: z_s / T = (0, ln 3), so q = (1/4, 3/4); p = (1/2, 1/2); T^2 KL = 4 * 1/2 ln 4/3
    got = soft_targets(torch.tensor([[0.0, math.log(9)]]), torch.zeros(1, 2), 2.0)
    torch.testing.assert_close(got, torch.tensor([2 * math.log(4 / 3)]))


def test_hard_labels_by_hand():
    # q = (1/4, 3/4), y = 1: CE = ln 4/3; smoothed by 0.2 the target is (0.1, 0.9)
    logits, labels = torch.tensor([[1.0, 3.0]]).log(), torch.tensor([1])
    plain, smoothed = hard_labels(logits, labels), hard_labels(logits, labels, 0.2)
    torch.testing.assert_close(plain, torch.tensor([math.log(4 / 3)]))
    by_hand = 0.1 * math.log(4) + 0.9 * math.log(4 / 3)
    torch.testing.assert_close(smoothed, torch.tensor([by_hand]))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0, 20.0])
def test_soft_targets_against_numpy(temperature):
    student, teacher = random_logits(7, 10, seed=1), random_logits(7, 10, seed=2)
    log_p = log_softmax(teacher.double().numpy() / temperature)
    log_q = log_softmax(student.double().numpy() / temperature)
    expected = temperature**2 * np.sum(np.exp(log_p) * (log_p - log_q), axis=1)
    got = soft_targets(student, teacher, temperature)
    assert got.shape == (7,)
    np.testing.assert_allclose(got.numpy(), expected, rtol=2e-4, atol=1e-6)


def test_hard_labels_against_numpy():
    logits, labels = random_logits(7, 10), torch.arange(7)
    log_q = log_softmax(logits.double().numpy())
    target = 0.9 * np.eye(10)[labels.numpy()] + 0.1 / 10
    expected = -np.sum(target * log_q, axis=1)
    np.testing.assert_allclose(hard_labels(logits, labels, 0.1).numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("temperature", "printed"),
    # e^(z/T) / sum of (2, 1, 0.1) / T, worked in full; other printings of these are wrong.
    [(5.0, (0.400, 0.327, 0.273)), (0.5, (0.864, 0.117, 0.019))],
)
def test_softening_by_the_formula(temperature, printed):
    logits = torch.tensor([[2.0, 1.0, 0.1]], dtype=torch.float64, requires_grad=True)
    # At a uniform teacher the gradient is T (q - 1/3), which gives the softened q away.
    soft_targets(logits, torch.zeros(1, 3, dtype=torch.float64), temperature).sum().backward()
    softened = logits.grad[0] / temperature + 1 / 3
    assert [round(q, 3) for q in softened.tolist()] == list(printed)


@pytest.mark.parametrize("temperature", [1.0, 3.0, 10.0])
def test_gradient_of_soft_targets(temperature):
    student = random_logits(4, 5, seed=1, dtype=torch.float64).requires_grad_()
    teacher = random_logits(4, 5, seed=2, dtype=torch.float64)
    soft_targets(student, teacher, temperature).sum().backward()
    q, p = (student / temperature).softmax(1), (teacher / temperature).softmax(1)
    torch.testing.assert_close(student.grad, temperature * (q - p).detach())


def test_gradient_keeps_its_size_across_temperatures():
    student = random_logits(8, 10, seed=1, dtype=torch.float64).requires_grad_()
    teacher = random_logits(8, 10, seed=2, dtype=torch.float64)
    size = {}
    for temperature in (20.0, 200.0):
        loss = soft_targets(student, teacher, temperature).sum()
        size[temperature] = torch.autograd.grad(loss, student)[0].norm().item()
    assert size[200.0] == pytest.approx(size[20.0], rel=0.05)
    # At high temperatures it tends to the difference of the centred logits, over C.
    difference = (student - teacher).detach()
    limit = (difference - difference.mean(1, keepdim=True)).norm().item() / 10
    assert size[200.0] == pytest.approx(limit, rel=0.01)


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
def test_default_kldivloss_is_c_times_smaller():
    student, teacher = random_logits(6, 10, seed=1), random_logits(6, 10, seed=2)
    trap = nn.KLDivLoss(reduction="mean")(student.log_softmax(1), teacher.softmax(1))
    torch.testing.assert_close(kl_divergence(student, teacher).mean(), 10 * trap)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(dtype):
    student, teacher = (
        random_logits(5, 10, seed=1).to(dtype),
        random_logits(5, 10, seed=2).to(dtype),
    )
    got = soft_targets(student, teacher, 4.0)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, soft_targets(student.float(), teacher.float(), 4.0))
    assert hard_labels(student, torch.arange(5)).dtype == torch.float32


def test_gradients_are_those_of_finite_differences():
    student = random_logits(3, 4, seed=1, dtype=torch.float64).requires_grad_()
    teacher = random_logits(3, 4, seed=2, dtype=torch.float64).requires_grad_()
    labels = torch.tensor([0, 3, 1])
    assert gradcheck(kl_divergence, (student, teacher))
    assert gradcheck(lambda s, t: soft_targets(s, t, 3.0), (student, teacher))
    assert gradcheck(lambda s: hard_labels(s, labels, 0.1), (student,))


@pytest.mark.parametrize("scale", [0.0, 1.0, 1e4])
@pytest.mark.parametrize("num_examples", [1, 3])
def test_extreme_and_constant_rows_are_finite(scale, num_examples):
    student = random_logits(num_examples, 6, scale=scale).requires_grad_()
    teacher = torch.full((num_examples, 6), scale)
    loss = soft_targets(student, teacher, 4.0) + hard_labels(
        student, torch.zeros(num_examples).long()
    )
    loss.sum().backward()
    assert loss.isfinite().all()
    assert student.grad.isfinite().all()


@settings(deadline=None)
@given(LOGITS, LOGITS, st.floats(-20, 20))
def test_kl_is_a_divergence_of_distributions(student, teacher, shift):
    s, t = (torch.tensor([row], dtype=torch.float64) for row in (student, teacher))
    assert kl_divergence(s, t).item() >= -1e-12
    assert kl_divergence(t + shift, t).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("loss", [kl_divergence, lambda s, t: soft_targets(s, t, 4.0)])
def test_different_shapes_are_refused(loss):
    with pytest.raises(
        TrialError, match=r"student \[4, 10\] and teacher \[4, 1\]: a loss compares"
    ):
        loss(torch.zeros(4, 10), torch.zeros(4, 1))


@pytest.mark.parametrize("labels", [torch.zeros(4, 10), torch.zeros(3).long()])
def test_labels_of_another_shape_are_refused(labels):
    with pytest.raises(TrialError, match=r"cross-entropy takes logits \[N, C\] and labels \[N\]"):
        hard_labels(torch.zeros(4, 10), labels)


@pytest.mark.parametrize("label_smoothing", [0.0, 0.2])
def test_unlabelled_examples_have_no_hard_loss_and_no_gradient(label_smoothing):
    logits = random_logits(4, 5).requires_grad_()
    labels = torch.tensor([3, UNLABELLED, 0, UNLABELLED])
    got = hard_labels(logits, labels, label_smoothing)
    labelled = hard_labels(logits[[0, 2]], labels[[0, 2]], label_smoothing)
    assert torch.equal(got[[0, 2]], labelled)
    assert torch.equal(got[[1, 3]], torch.zeros(2))
    got.sum().backward()
    assert torch.equal(logits.grad[[1, 3]], torch.zeros(2, 5))


def test_dense_losses_are_averaged_over_positions():
    student, teacher = random_logits(3, 5, 2, 4, seed=1), random_logits(3, 5, 2, 4, seed=2)
    labels = torch.arange(24).reshape(3, 2, 4) % 5
    rows = [z.permute(0, 2, 3, 1).reshape(-1, 5) for z in (student, teacher)]
    for dense, flat in (
        (kl_divergence(student, teacher), kl_divergence(*rows)),
        (soft_targets(student, teacher, 4.0), soft_targets(*rows, 4.0)),
        (hard_labels(student, labels, 0.1), hard_labels(rows[0], labels.flatten(), 0.1)),
    ):
        torch.testing.assert_close(dense, flat.reshape(3, 8).mean(1))


def test_a_dense_hard_loss_is_the_mean_over_the_labelled_positions():
    logits = random_logits(2, 5, 1, 3)
    labels = torch.tensor([[[4, UNLABELLED, 1]], [[UNLABELLED] * 3]])
    each = hard_labels(logits[0].flatten(1).T, torch.tensor([4, 0, 1]))
    expected = torch.stack([(each[0] + each[2]) / 2, torch.tensor(0.0)])
    torch.testing.assert_close(hard_labels(logits, labels), expected)


def test_dense_gradients_are_those_of_finite_differences():
    student = random_logits(2, 3, 2, 2, seed=1, dtype=torch.float64).requires_grad_()
    teacher = random_logits(2, 3, 2, 2, seed=2, dtype=torch.float64).requires_grad_()
    labels = torch.tensor([[[0, 2], [UNLABELLED, 1]], [[1, 1], [0, 2]]])
    assert gradcheck(kl_divergence, (student, teacher))
    assert gradcheck(lambda s: hard_labels(s, labels, 0.1), (student,))


def test_labels_of_examples_are_not_labels_of_positions():
    with pytest.raises(TrialError, match=r"\[N, C, H, W\] and \[N, H, W\]"):
        hard_labels(torch.zeros(4, 10, 2, 2), torch.zeros(4).long())
