"""The discrepancy of two sets of channels against sums over all pairs, and its two ways."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck

from kdsweep.errors import TrialError
from kdsweep.losses.selectivity import selectivity_transfer

# Sides and channels: the first is computed from kernels of channels, the second from pixels.
SIZES = {"channels": ((3, 4), 2, 3), "pixels": ((2, 2), 7, 9)}
both_ways = pytest.mark.parametrize(("sides", "ours", "theirs"), SIZES.values(), ids=SIZES)


def maps(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def numpy_discrepancy(student, teacher):
    """By the definition: a kernel for every pair of channels."""
    sets = [f.double().numpy().reshape(*f.shape[:2], -1) for f in (student, teacher)]
    s, t = (f / np.linalg.norm(f, axis=2, keepdims=True) for f in sets)

    def mean_kernel(one, other):
        return np.mean([[(x @ y) ** 2 for y in other] for x in one])

    return [
        mean_kernel(b, b) + mean_kernel(a, a) - 2 * mean_kernel(a, b)
        for a, b in zip(s, t, strict=True)
    ]


@both_ways
def test_it_is_the_mean_over_all_pairs_of_channels(sides, ours, theirs):
    student, teacher = maps(5, ours, *sides, seed=1), maps(5, theirs, *sides, seed=2)
    got = selectivity_transfer(student, teacher)
    np.testing.assert_allclose(got.numpy(), numpy_discrepancy(student, teacher), rtol=1e-4)


def test_by_hand():
    # Student: one channel (1, 0). Teacher: (1, 0) and (0, 1). k(s, s) = 1; mean k(t, t) = 1/2;
    # mean k(s, t) = 1/2: 1/2 + 1 - 1 = 1/2.
    student = torch.tensor([2.0, 0.0]).reshape(1, 1, 1, 2)
    teacher = torch.tensor([[3.0, 0.0], [0.0, -1.0]]).reshape(1, 2, 1, 2)
    torch.testing.assert_close(selectivity_transfer(student, teacher), torch.tensor([0.5]))


@given(
    side=st.integers(1, 4), ours=st.integers(1, 8), theirs=st.integers(1, 8),
    seed=st.integers(0, 100),
)  # fmt: skip
def test_both_ways_of_computing_agree_for_all_sizes(side, ours, theirs, seed):
    student = maps(2, ours, side, side, seed=seed, dtype=torch.float64)
    teacher = maps(2, theirs, side, side, seed=seed + 1, dtype=torch.float64)
    got = selectivity_transfer(student, teacher)
    np.testing.assert_allclose(got.numpy(), numpy_discrepancy(student, teacher), atol=1e-12)


@both_ways
def test_order_scale_and_sign_of_channels_do_not_matter(sides, ours, theirs):
    student = maps(3, ours, *sides, seed=1)
    scales = maps(ours, seed=2)[:, None, None] * 10
    same = (scales * student).flip(1)
    assert selectivity_transfer(student, same).abs().max() < 1e-6
    teacher = maps(3, theirs, *sides, seed=3)
    once, doubled = teacher, torch.cat([teacher, teacher], dim=1)
    torch.testing.assert_close(
        selectivity_transfer(same, doubled), selectivity_transfer(student, once)
    )


def test_each_example_is_alone():
    student, teacher = maps(4, 3, 4, 4, seed=1), maps(4, 5, 4, 4, seed=2)
    alone = [selectivity_transfer(student[i : i + 1], teacher[i : i + 1]) for i in range(4)]
    torch.testing.assert_close(selectivity_transfer(student, teacher), torch.cat(alone))


@both_ways
@pytest.mark.parametrize("num_examples", [1, 3])
def test_channels_of_zeros_have_finite_losses_and_no_gradient(sides, ours, theirs, num_examples):
    student = maps(num_examples, ours, *sides)
    student[:, 0] = 0
    student.requires_grad_()
    loss = selectivity_transfer(student, maps(num_examples, theirs, *sides, seed=1))
    loss.sum().backward()
    assert loss.isfinite().all()
    assert torch.equal(student.grad[:, 0], torch.zeros(num_examples, *sides))
    assert student.grad[:, 1].abs().max() > 0
    assert student.grad.isfinite().all()


@both_ways
def test_maps_of_zeros_leave_the_teachers_own_kernel(sides, ours, theirs):
    student = torch.zeros(2, ours, *sides, requires_grad=True)
    teacher = maps(2, theirs, *sides)
    unit = torch.nn.functional.normalize(teacher.flatten(2), dim=2)
    kernel = (unit @ unit.mT).square().mean(dim=(1, 2))
    loss = selectivity_transfer(student, teacher)
    torch.testing.assert_close(loss, kernel)
    loss.sum().backward()
    assert torch.equal(student.grad, torch.zeros_like(student))


@both_ways
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(sides, ours, theirs, dtype):
    # Squares of 1e-4 underflow in float16.
    student = (1e-4 * maps(3, ours, *sides, seed=1)).to(dtype)
    teacher = (1e-4 * maps(3, theirs, *sides, seed=2)).to(dtype)
    got = selectivity_transfer(student, teacher)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, selectivity_transfer(student.float(), teacher.float()))
    assert (got > 0).all()


@both_ways
def test_gradients_are_those_of_finite_differences(sides, ours, theirs):
    student = maps(2, ours, *sides, seed=1, dtype=torch.float64).requires_grad_()
    teacher = maps(2, theirs, *sides, seed=2, dtype=torch.float64).requires_grad_()
    assert gradcheck(selectivity_transfer, (student, teacher))


def test_other_maps_are_refused():
    with pytest.raises(TrialError, match=r"student \[1, 1, 2, 8\] and teacher \[1, 1, 4, 4\]"):
        selectivity_transfer(torch.ones(1, 3, 2, 8), torch.ones(1, 3, 4, 4))
    with pytest.raises(TrialError, match=r"the channels of maps \[N, D, H, W\] are compared"):
        selectivity_transfer(torch.ones(4, 3), torch.ones(4, 3))
