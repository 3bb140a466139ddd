"""Losses of a generator against numbers worked by hand, NumPy in float64, and their gradients."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.autograd import gradcheck

from kdsweep.errors import TrialError
from kdsweep.losses.synthetic import (
    activation,
    class_balance,
    disagreement,
    norm_statistics,
    one_hot,
)

LOGITS = st.lists(
    st.lists(st.floats(-300, 300, width=32), min_size=3, max_size=3), min_size=1, max_size=5
)


def random(*shape, seed=0, scale=2.0, dtype=torch.float32):
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def of_probabilities(*rows):
    return torch.tensor(rows).log()


def test_one_hot_by_hand():
    # The largest of (1/4, 3/4) is 3/4, that of (1/2, 1/2) is 1/2.
    got = one_hot(of_probabilities([0.25, 0.75], [0.5, 0.5]))
    torch.testing.assert_close(got, torch.tensor([math.log(4 / 3), math.log(2)]))


def test_one_hot_is_cross_entropy_with_the_networks_own_class():
    logits = random(6, 5)
    expected = nn.functional.cross_entropy(logits, logits.argmax(dim=1), reduction="none")
    torch.testing.assert_close(one_hot(logits), expected)


@given(LOGITS)
def test_one_hot_is_between_certainty_and_no_idea(rows):
    losses = one_hot(torch.tensor(rows))
    assert losses.min() >= -1e-4
    assert losses.max() <= math.log(3) + 1e-4


def test_balance_by_hand():
    # p = (3/4, 1/4): H = 3/4 ln 4/3 + 1/4 ln 4; mirrored, the mean is (1/2, 1/2).
    one = of_probabilities([0.75, 0.25])
    entropy = 0.75 * math.log(4 / 3) + 0.25 * math.log(4)
    torch.testing.assert_close(class_balance(one), torch.tensor([math.log(2) - entropy]))
    both = class_balance(of_probabilities([0.75, 0.25], [0.25, 0.75]))
    torch.testing.assert_close(both, torch.zeros(2), atol=1e-6, rtol=0)


def test_balance_is_of_the_mean_probabilities_not_of_the_mean_logits():
    # The mean of the logits (9, 0, 0) and (0, 3, 0) is surely of class 0, that of p is not.
    logits = torch.tensor([[9.0, 0.0, 0.0], [0.0, 3.0, 0.0]])
    p = np.exp(logits.double().numpy())
    mean = (p / p.sum(axis=1, keepdims=True)).mean(axis=0)
    expected = math.log(3) + np.sum(mean * np.log(mean))
    torch.testing.assert_close(class_balance(logits), torch.full((2,), expected).float())


def test_a_batch_of_one_class_is_as_far_from_balance_as_can_be():
    logits = torch.tensor([[200.0, 0.0, 0.0, 0.0]] * 3)
    torch.testing.assert_close(class_balance(logits), torch.full((3,), math.log(4)))


@given(LOGITS)
def test_balance_is_between_zero_and_the_logarithm_of_the_classes(rows):
    losses = class_balance(torch.tensor(rows))
    assert losses.shape == (len(rows),)
    assert losses.min() >= -1e-4
    assert losses.max() <= math.log(3) + 1e-4


@given(LOGITS)
def test_certainty_and_balance_together_tell_at_least_one_class_apart(rows):
    """``H(mean p) >= mean H(p) >= mean(-log max p)``: what the check of a collapse relies on."""
    logits = torch.tensor(rows)
    assert math.log(3) - class_balance(logits).mean() - one_hot(logits).mean() >= -1e-4


def test_a_class_that_never_comes_has_a_finite_gradient():
    logits = torch.tensor([[0.0, -2000.0], [1.0, -2000.0]], requires_grad=True)
    class_balance(logits).sum().backward()
    assert logits.grad.isfinite().all()


def test_activation_by_hand():
    got = activation(torch.tensor([[1.0, -3.0], [0.0, 0.5]]))
    torch.testing.assert_close(got, torch.tensor([-2.0, -0.25]))
    maps = torch.tensor([[[[1.0, -2.0], [0.0, 5.0]]]])
    torch.testing.assert_close(activation(maps), torch.tensor([-2.0]))


def test_statistics_by_hand():
    # Channel 0 holds 0, 2: mean 1, variance 1; channel 1 holds 4, 4: mean 4, variance 0.
    features = torch.tensor([[0.0, 4.0], [2.0, 4.0]])
    mean, variance = torch.tensor([4.0, 0.0]), torch.tensor([6.0, 12.0])
    # |(1, 4) - (4, 0)| + |(1, 0) - (6, 12)| = 5 + 13
    torch.testing.assert_close(norm_statistics(features, mean, variance), torch.tensor([18.0] * 2))


@pytest.mark.parametrize("shape", [(5, 3), (4, 3, 2, 6), (1, 3, 4, 4)])
def test_statistics_against_numpy(shape):
    features, mean, variance = random(*shape), random(3, seed=1), random(3, seed=2).abs()
    found = np.moveaxis(features.double().numpy(), 1, 0).reshape(3, -1)
    expected = np.linalg.norm(found.mean(axis=1) - mean.double().numpy())
    expected += np.linalg.norm(found.var(axis=1) - variance.double().numpy())
    got = norm_statistics(features, mean, variance)
    torch.testing.assert_close(got, torch.full((shape[0],), expected).float())


def test_statistics_are_those_that_a_batch_norm_keeps():
    """Of what goes into it, not of what comes out; up to the kept variance's n / (n - 1)."""
    norm, features = nn.BatchNorm2d(3, momentum=1.0), 5 + random(6, 3, 4, 4)
    norm(features)
    count = 6 * 4 * 4
    kept = norm.running_mean, norm.running_var * (count - 1) / count
    torch.testing.assert_close(norm_statistics(features, *kept), torch.zeros(6), atol=1e-5, rtol=0)


def test_equal_statistics_have_a_finite_gradient():
    features = torch.zeros(2, 3, 2, 2, requires_grad=True)
    norm_statistics(features, torch.zeros(3), torch.zeros(3)).sum().backward()
    assert torch.equal(features.grad, torch.zeros_like(features))


def test_the_variance_of_a_single_value_is_zero():
    got = norm_statistics(torch.tensor([[2.0]]), torch.tensor([2.0]), torch.tensor([3.0]))
    torch.testing.assert_close(got, torch.tensor([3.0]))


def test_disagreement_by_hand():
    student, teacher = torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[0.0, 2.0, -2.0]])
    torch.testing.assert_close(disagreement(student, teacher), torch.tensor([2.0]))
    torch.testing.assert_close(disagreement(student, student), torch.zeros(1))


LOSSES = {
    "one_hot": (one_hot, [(4, 3)]),
    "class_balance": (class_balance, [(4, 3)]),
    "activation": (activation, [(4, 3, 2, 2)]),
    "norm_statistics": (norm_statistics, [(4, 3, 2, 2), (3,), (3,)]),
    "disagreement": (disagreement, [(4, 3), (4, 3)]),
}
every_loss = pytest.mark.parametrize(("loss", "shapes"), LOSSES.values(), ids=LOSSES)


def drawn(shapes, **how):
    return [random(*shape, seed=i, **how) for i, shape in enumerate(shapes)]


@every_loss
def test_gradients_are_right(loss, shapes):
    tensors = [t.requires_grad_() for t in drawn(shapes, dtype=torch.float64)]
    assert gradcheck(loss, tensors)


@every_loss
def test_half_precision_is_computed_in_full(loss, shapes):
    tensors = [tensor.bfloat16() for tensor in drawn(shapes)]
    got = loss(*tensors)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, loss(*(tensor.float() for tensor in tensors)))


@every_loss
def test_one_value_for_each_example_whatever_the_batch(loss, shapes):
    for num in (1, 7):
        (first, *shape), *others = shapes
        others = [(num, *other[1:]) if other[0] == first else other for other in others]
        got = loss(*drawn([(num, *shape), *others]))
        assert got.shape == (num,)
        assert got.isfinite().all()


def test_of_dense_logits_every_position_counts():
    """``[N, C, H, W]``: the classes are the second dimension, whatever the last one is."""
    dense = random(2, 5, 4, 3)
    flat = dense.permute(0, 2, 3, 1).reshape(-1, 5)
    torch.testing.assert_close(one_hot(dense), one_hot(flat).reshape(2, -1).mean(dim=1))
    torch.testing.assert_close(class_balance(dense), class_balance(flat)[:2])


@pytest.mark.parametrize(
    ("refused", "message"),
    [
        (
            lambda: class_balance(torch.zeros(3)),
            "logits [3]: the balance of classes is of logits [N, C, ...]",
        ),
        (
            lambda: norm_statistics(torch.zeros(2, 3), torch.zeros(4), torch.zeros(4)),
            "features [2, 3] with statistics [4] and [4]: "
            "a batch norm of features [N, D, ...] keeps [D] of each",
        ),
        (
            lambda: disagreement(torch.zeros(2, 3), torch.zeros(2, 1)),
            "student [2, 3] and teacher [2, 1]: "
            "a loss compares tensors [N, ...] of one and the same shape",
        ),
    ],
)
def test_shapes_refused(refused, message):
    with pytest.raises(TrialError) as caught:
        refused()
    assert caught.value.problems == (message,)
