"""TCKD and NCKD by hand, in decimals of fifty digits, and where networks are certain."""

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from kdsweep.batch import UNLABELLED
from kdsweep.errors import TrialError
from kdsweep.losses.decoupled import non_target_divergence, target_divergence
from kdsweep.losses.logits import kl_divergence

BOTH = [target_divergence, non_target_divergence]
each_part = pytest.mark.parametrize("part", BOTH)
LABELS = torch.tensor([0, 3, 9, 1, 5, 5, 7, 2])


def random_logits(*shape, seed=0, scale=3.0, dtype=torch.float32):
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def divergence(p, q):
    return sum(a * (a.ln() - b.ln()) for a, b in zip(p, q, strict=True))


def in_decimals(student, teacher, labels):
    """TCKD and NCKD of every row, from the definitions by probabilities."""
    found = []
    with localcontext() as context:
        context.prec, context.Emin = 50, -(10**9)
        for ours, theirs, label in zip(student, teacher, labels.tolist(), strict=True):
            q, p = ([Decimal(z).exp() for z in row.tolist()] for row in (ours, theirs))
            q_y, p_y = q.pop(label), p.pop(label)
            of_two = [(y / (y + sum(rest)), sum(rest) / (y + sum(rest)))
                      for y, rest in ((p_y, p), (q_y, q))]  # fmt: skip
            of_rest = [[each / sum(rest) for each in rest] for rest in (p, q)]
            found.append((float(divergence(*of_two)), float(divergence(*of_rest))))
    return np.array(found).T


def test_by_hand():
    # p = (1/2, 1/4, 1/4), q = (1/4, 1/4, 1/2), y = 0.
    # TCKD: (1/2, 1/2) from (1/4, 3/4) = 1/2 ln 4/3. NCKD: (1/2, 1/2) from (1/3, 2/3) = 1/2 ln 9/8.
    student, teacher = torch.tensor([[1.0, 1, 2]]).log(), torch.tensor([[2.0, 1, 1]]).log()
    label = torch.tensor([0])
    got = target_divergence(student, teacher, label)
    torch.testing.assert_close(got, torch.tensor([0.5 * math.log(4 / 3)]))
    got = non_target_divergence(student, teacher, label)
    torch.testing.assert_close(got, torch.tensor([0.5 * math.log(9 / 8)]))


@pytest.mark.parametrize("scale", [1.0, 20.0, 200.0])
def test_exact_in_float32_however_certain_the_networks_are(scale):
    student = random_logits(8, 10, seed=1, scale=scale)
    teacher = random_logits(8, 10, seed=2, scale=scale)
    expected = in_decimals(student, teacher, LABELS)
    for part, numbers in zip(BOTH, expected, strict=True):
        got = part(student, teacher, LABELS)
        assert got.dtype == torch.float32
        np.testing.assert_allclose(got.numpy(), numbers, rtol=2e-5, atol=1e-7)


@each_part
def test_gradients_are_finite_at_deviation_200(part):
    student = random_logits(8, 10, seed=1, scale=200.0).requires_grad_()
    part(student, random_logits(8, 10, seed=2, scale=200.0), LABELS).sum().backward()
    assert student.grad.isfinite().all()
    assert student.grad.abs().sum() > 0


def test_together_they_are_the_divergence():
    student = random_logits(8, 10, seed=1, dtype=torch.float64)
    teacher = random_logits(8, 10, seed=2, dtype=torch.float64)
    p_y = teacher.softmax(1).gather(1, LABELS.unsqueeze(1)).squeeze(1)
    parts = [part(student, teacher, LABELS) for part in BOTH]
    together = parts[0] + (1 - p_y) * parts[1]
    torch.testing.assert_close(together, kl_divergence(student, teacher))


def test_of_two_classes_nothing_is_left_among_the_others():
    student, teacher = random_logits(8, 2, seed=1).requires_grad_(), random_logits(8, 2, seed=2)
    labels = LABELS % 2
    rest = non_target_divergence(student, teacher, labels)
    assert torch.equal(rest, torch.zeros(8))
    rest.sum().backward()
    assert torch.equal(student.grad, torch.zeros(8, 2))
    torch.testing.assert_close(
        target_divergence(student, teacher, labels), kl_divergence(student, teacher)
    )


@each_part
def test_the_target_of_an_unlabelled_example_is_the_teachers_most_likely_class(part):
    student, teacher = random_logits(8, 10, seed=1), random_logits(8, 10, seed=2)
    some = torch.arange(8) % 2 == 0
    labels = torch.where(some, LABELS, UNLABELLED)
    expected = torch.where(some, LABELS, teacher.argmax(1))
    assert torch.equal(part(student, teacher, labels), part(student, teacher, expected))


@each_part
def test_equal_logits_are_at_no_distance(part):
    logits = random_logits(8, 10)
    torch.testing.assert_close(part(logits, logits.clone(), LABELS), torch.zeros(8))


@each_part
@pytest.mark.parametrize("num_examples", [1, 3])
def test_constant_rows_are_finite(part, num_examples):
    student = torch.full((num_examples, 10), 0.1).requires_grad_()
    loss = part(student, random_logits(num_examples, 10), LABELS[:num_examples])
    loss.sum().backward()
    assert loss.isfinite().all()
    assert student.grad.isfinite().all()


@each_part
def test_dense_logits_are_averaged_over_positions(part):
    student, teacher = random_logits(2, 5, 2, 3, seed=1), random_logits(2, 5, 2, 3, seed=2)
    labels = torch.tensor([[[0, 1, 4], [2, 2, 3]], [[4, 4, 1], [-1, 0, 0]]])
    rows = [z.permute(0, 2, 3, 1).reshape(-1, 5) for z in (student, teacher)]
    expected = part(*rows, labels.flatten()).reshape(2, 6).mean(1)
    torch.testing.assert_close(part(student, teacher, labels), expected)


@each_part
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(part, dtype):
    student, teacher = random_logits(8, 10, seed=1).to(dtype), random_logits(8, 10, seed=2)
    got = part(student, teacher.to(dtype), LABELS)
    assert got.dtype == torch.float32
    assert torch.equal(got, part(student.float(), teacher.to(dtype).float(), LABELS))


@each_part
def test_gradients_are_those_of_finite_differences(part):
    student = random_logits(4, 5, seed=1, dtype=torch.float64).requires_grad_()
    teacher = random_logits(4, 5, seed=2, dtype=torch.float64).requires_grad_()
    labels = torch.tensor([0, 4, UNLABELLED, 2])
    assert gradcheck(lambda s, t: part(s, t, labels), (student, teacher))


@each_part
def test_wrong_shapes_are_refused(part):
    logits = torch.zeros(4, 10)
    with pytest.raises(TrialError, match=r"student \[4, 10\] and teacher \[4, 2\]"):
        part(logits, torch.zeros(4, 2), torch.zeros(4).long())
    with pytest.raises(TrialError, match=r"logits \[4, 10\] and labels \[3\]"):
        part(logits, logits, torch.zeros(3).long())
