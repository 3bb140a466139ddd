"""Maps compared at several sizes, against numbers by hand and NumPy."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck

from kdsweep.errors import TrialError
from kdsweep.losses.review import hierarchical_context


def maps(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def numpy_context(difference, sides):
    """Sides that divide the map's, so that averages are of equal blocks."""
    n, d, size, _ = difference.shape
    total = (difference**2).reshape(n, -1).mean(axis=1)
    weights = [1.0]
    for side in sides:
        block = size // side
        means = difference.reshape(n, d, side, block, side, block).mean(axis=(3, 5))
        weights.append(weights[-1] / 2)
        total = total + weights[-1] * (means**2).reshape(n, -1).mean(axis=1)
    return total / sum(weights)


@pytest.mark.parametrize(
    ("size", "sides"), [(8, (4, 2, 1)), (4, (2, 1)), (2, (1,)), (1, ()), (12, (4, 2, 1))]
)
def test_sizes_and_weights_are_those_of_the_published_code(size, sides):
    student, teacher = maps(3, 2, size, size, seed=1), maps(3, 2, size, size, seed=2)
    expected = numpy_context(student.double().numpy() - teacher.double().numpy(), sides)
    np.testing.assert_allclose(hierarchical_context(student, teacher), expected, rtol=1e-5)


def test_by_hand():
    # One row (3, 1) against zeros: 5 at full size; averaged to 1x1 it is 2, and 4 counts by 1/2;
    # sizes 4x4 and 2x2 are no smaller than the row: (5 + 2) / 1.5.
    student = torch.tensor([[[[3.0, 1.0]]]])
    got = hierarchical_context(student, torch.zeros(1, 1, 1, 2))
    torch.testing.assert_close(got, torch.tensor([7 / 1.5]))


@given(
    height=st.integers(1, 9), width=st.integers(1, 9), constant=st.floats(-5, 5),
    seed=st.integers(0, 100),
)  # fmt: skip
def test_a_constant_difference_counts_its_square_at_every_size(height, width, constant, seed):
    student = maps(2, 3, height, width, seed=seed, dtype=torch.float64)
    got = hierarchical_context(student, student + constant)
    torch.testing.assert_close(got, torch.full((2,), constant**2, dtype=torch.float64))


def test_each_example_is_alone():
    student, teacher = maps(4, 3, 8, 8, seed=1), maps(4, 3, 8, 8, seed=2)
    alone = [hierarchical_context(student[i : i + 1], teacher[i : i + 1]) for i in range(4)]
    torch.testing.assert_close(hierarchical_context(student, teacher), torch.cat(alone))


def test_equal_maps_have_neither_loss_nor_gradient():
    student = torch.zeros(1, 2, 8, 8, requires_grad=True)
    loss = hierarchical_context(student, torch.zeros(1, 2, 8, 8))
    loss.sum().backward()
    assert torch.equal(loss, torch.zeros(1))
    assert torch.equal(student.grad, torch.zeros_like(student))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(dtype):
    # Squares of 300 overflow in float16.
    student, teacher = (300 * maps(3, 2, 8, 8, seed=seed).to(dtype) for seed in (1, 2))
    got = hierarchical_context(student, teacher)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, hierarchical_context(student.float(), teacher.float()))


@pytest.mark.parametrize("sides", [(5, 5), (3, 6), (1, 1)])
def test_gradients_are_those_of_finite_differences(sides):
    student = maps(2, 2, *sides, seed=1, dtype=torch.float64).requires_grad_()
    teacher = maps(2, 2, *sides, seed=2, dtype=torch.float64).requires_grad_()
    assert gradcheck(hierarchical_context, (student, teacher))


def test_other_shapes_are_refused():
    with pytest.raises(TrialError, match=r"student \[4, 8, 2, 2\] and teacher \[4, 1, 2, 2\]"):
        hierarchical_context(torch.zeros(4, 8, 2, 2), torch.zeros(4, 1, 2, 2))
    with pytest.raises(TrialError, match=r"maps \[N, D, H, W\] are compared at several sizes"):
        hierarchical_context(torch.zeros(4, 8), torch.zeros(4, 8))
