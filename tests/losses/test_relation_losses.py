"""Relations of examples against loops in NumPy and numbers by hand, and where they degenerate."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck

from kdsweep.errors import TrialError
from kdsweep.losses.directions import directions
from kdsweep.losses.relations import (
    angle_relations,
    distance_relations,
    probability_transfer,
    similarity,
)

LOSSES = [similarity, distance_relations, angle_relations, probability_transfer]
every_loss = pytest.mark.parametrize("loss", LOSSES)


def vectors(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def smooth_l1(difference):
    size = np.abs(difference)
    return np.where(size < 1, 0.5 * size**2, size - 0.5)


def similarity_of(f):
    gram = f @ f.T
    return gram / np.linalg.norm(gram, axis=1, keepdims=True)


def numpy_similarity(s, t):
    return ((similarity_of(s) - similarity_of(t)) ** 2).sum() / len(s) ** 2


def distances_of(f):
    distances = np.array([[math.dist(a, b) for b in f] for a in f])
    return distances / distances[distances > 0].mean()


def numpy_distances(s, t):
    return smooth_l1(distances_of(s) - distances_of(t)).mean()


def angles_of(f):
    angles = np.zeros((len(f),) * 3)
    for i, j, k in np.ndindex(angles.shape):
        to_j, to_k = f[j] - f[i], f[k] - f[i]
        if j not in (i, k) and k != i:
            angles[i, j, k] = to_j @ to_k / (np.linalg.norm(to_j) * np.linalg.norm(to_k))
    return angles


def numpy_angles(s, t):
    return smooth_l1(angles_of(s) - angles_of(t)).mean()


def probabilities_of(f):
    unit = f / np.linalg.norm(f, axis=1, keepdims=True)
    affinities = (unit @ unit.T + 1) / 2
    return affinities / affinities.sum(axis=1, keepdims=True)


def numpy_probabilities(s, t):
    p_s, p_t = probabilities_of(s), probabilities_of(t)
    return (p_t * np.log((p_t + 1e-7) / (p_s + 1e-7))).mean()


PUBLISHED = {
    similarity: numpy_similarity,
    distance_relations: numpy_distances,
    angle_relations: numpy_angles,
    probability_transfer: numpy_probabilities,
}


@every_loss
def test_the_mean_over_the_batch_is_the_published_number(loss):
    student, teacher = vectors(6, 3, 2, 2, seed=1), vectors(6, 5, seed=2)
    expected = PUBLISHED[loss](student.double().reshape(6, -1).numpy(), teacher.double().numpy())
    got = loss(student, teacher)
    assert got.shape == (6,)
    assert got.mean().item() == pytest.approx(expected, rel=1e-4)


def test_similarity_by_hand():
    # Student (1, 0), (0, 1): G = I. Teacher (1, 0), (1, 0): G is all ones, rows over sqrt 2
    # (over their sums, p = 1, they would be 1/2). Each row: (1 - r)^2 + r^2, r = 1 / sqrt 2; / N.
    student = torch.eye(2)
    teacher = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    root = math.sqrt(0.5)
    expected = torch.full((2,), ((1 - root) ** 2 + root**2) / 2)
    torch.testing.assert_close(similarity(student, teacher), expected)


def test_distances_by_hand():
    # Student at 0, 1, 2: distances 1, 1, 2, mean 4/3, relative 3/4, 3/4, 3/2. Teacher at 0, 1, -1:
    # distances 1, 1, 2 of the pairs 01, 02, 12: 3/4, 3/4, 3/2. Pairs 02 and 12 are off by 3/4:
    # SmoothL1 1/2 * 9/16 = 9/32; example 0 and 1 have one of them, 2 has both; over N = 3.
    student = torch.tensor([[0.0], [1.0], [2.0]])
    teacher = torch.tensor([[0.0], [1.0], [-1.0]])
    expected = torch.tensor([9 / 32, 9 / 32, 9 / 16]) / 3
    torch.testing.assert_close(distance_relations(student, teacher), expected)


def test_angles_by_hand():
    # Student: a right angle at 0 and cosines sqrt(1/2) at 1 and 2. Teacher: in line, 0 between:
    # cosines -1 at 0, and 1 at 1 and 2. Each counts twice (jk, kj) among N^2 = 9.
    student = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    teacher = torch.tensor([[0.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])
    at_ends = 0.5 * (1 - math.sqrt(0.5)) ** 2
    expected = 2 * torch.tensor([0.5, at_ends, at_ends]) / 9
    torch.testing.assert_close(angle_relations(student, teacher), expected)


def test_probabilities_by_hand():
    # Student at a right angle: affinities 1, 1/2: p_s = 2/3, 1/3. Teacher alike: 1/2, 1/2.
    teacher = torch.tensor([[1.0, 0.0], [3.0, 0.0]])
    expected = 0.5 * (math.log(3 / 4) + math.log(3 / 2)) / 2
    got = probability_transfer(torch.eye(2), teacher)
    torch.testing.assert_close(got, torch.full((2,), expected), atol=1e-6, rtol=0)


@every_loss
def test_a_network_agrees_with_itself_and_learns_nothing(loss):
    student = vectors(5, 4).requires_grad_()
    got = loss(student, student.detach())
    assert torch.equal(got, torch.zeros(5))
    got.sum().backward()
    torch.testing.assert_close(student.grad, torch.zeros(5, 4), atol=1e-6, rtol=0)


@pytest.mark.parametrize("loss", [distance_relations, angle_relations])
@given(seed=st.integers(0, 1000), scale=st.floats(0.01, 100), shift=st.floats(-10, 10))
def test_rkd_is_blind_to_rotation_shift_and_scale(loss, seed, scale, shift):
    student = vectors(5, 3, seed=seed, dtype=torch.float64)
    rotation = torch.linalg.qr(vectors(3, 3, seed=seed + 1, dtype=torch.float64)).Q
    moved = scale * student @ rotation + shift
    assert loss(student, moved).abs().max() < 1e-12


@given(seed=st.integers(0, 1000), scales=st.lists(st.floats(0.01, 100), min_size=5, max_size=5))
def test_directions_alone_matter_to_pkt_and_one_scale_to_similarity(seed, scales):
    student = vectors(5, 3, seed=seed, dtype=torch.float64)
    each = student * torch.tensor(scales, dtype=torch.float64)[:, None]
    assert probability_transfer(student, each).abs().max() < 1e-12
    assert similarity(student, -scales[0] * student).max() < 1e-12


@every_loss
def test_the_order_of_the_examples_does_not_matter(loss):
    student, teacher = vectors(6, 4, seed=1), vectors(6, 3, seed=2)
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    torch.testing.assert_close(loss(student[order], teacher[order]), loss(student, teacher)[order])


def test_near_neighbours_far_from_the_origin_keep_their_distances():
    near = 2.0**-6 * torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 3.0]])
    for loss in (distance_relations, angle_relations):
        assert loss(1024 + near, near).max() < 1e-12


@every_loss
def test_one_example_has_no_relations(loss):
    student = vectors(1, 4, seed=1).requires_grad_()
    got = loss(student, vectors(1, 3, seed=2))
    assert torch.equal(got, torch.zeros(1))
    got.sum().backward()
    torch.testing.assert_close(student.grad, torch.zeros(1, 4))


@pytest.mark.parametrize("loss", [distance_relations, angle_relations])
def test_two_examples_have_neither_relative_distance_nor_angle(loss):
    student = vectors(2, 4, seed=1).requires_grad_()
    got = loss(student, vectors(2, 3, seed=2))
    assert torch.equal(got, torch.zeros(2))
    got.sum().backward()
    torch.testing.assert_close(student.grad, torch.zeros(2, 4))


@every_loss
@pytest.mark.parametrize(
    "student",
    [
        torch.zeros(4, 3),
        torch.ones(4, 3),
        torch.tensor([[1.0, 2.0], [1.0, 2.0], [-1.0, 0.0], [0.0, 0.0]]),
    ],
    ids=["zeros", "all coincide", "two coincide, one is zero"],
)
def test_examples_that_coincide_have_small_finite_gradients(loss, student):
    student = student.clone().requires_grad_()
    for teacher in (vectors(4, 3), student.detach(), torch.zeros(4, 2)):
        student.grad = None
        got = loss(student, teacher)
        assert got.isfinite().all()
        got.sum().backward()
        # Divided by an epsilon in place of a length, gradients would be of the order of 1e12.
        assert student.grad.isfinite().all()
        assert student.grad.abs().max() < 10


@every_loss
def test_opposite_examples_have_a_finite_loss(loss):
    student = torch.tensor([[1.0, 0.0], [-1.0, 0.0]]).requires_grad_()
    got = loss(student, torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    got.sum().backward()
    assert got.isfinite().all()
    assert student.grad.isfinite().all()


@every_loss
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(loss, dtype):
    # Squares of 1e-4 underflow in float16, sums of squares of 300 overflow.
    for scale in (1e-4, 300.0):
        student, teacher = (
            (scale * vectors(5, 4, seed=1)).to(dtype),
            (scale * vectors(5, 3, seed=2)).to(dtype),
        )
        got = loss(student, teacher)
        assert got.dtype == torch.float32
        torch.testing.assert_close(got, loss(student.float(), teacher.float()))
        assert got.mean() > 0
    assert loss(student.double(), teacher.double()).dtype == torch.float64


@every_loss
def test_gradients_are_those_of_finite_differences(loss):
    student = vectors(4, 3, seed=1, dtype=torch.float64).requires_grad_()
    teacher = vectors(4, 2, seed=2, dtype=torch.float64).requires_grad_()
    assert gradcheck(loss, (student, teacher))


@every_loss
@pytest.mark.parametrize(("ours", "theirs"), [((4, 3), (5, 3)), ((4,), (4,)), ((4, 3), (4,))])
def test_other_numbers_of_examples_are_refused(loss, ours, theirs):
    with pytest.raises(TrialError, match=r"student \[4.*relations are between the examples of"):
        loss(torch.zeros(ours), torch.zeros(theirs))


def test_directions_have_length_one_or_zero():
    given_vectors = torch.tensor([[3.0, 4.0], [0.0, 0.0]])
    torch.testing.assert_close(directions(given_vectors), torch.tensor([[0.6, 0.8], [0.0, 0.0]]))
    assert gradcheck(
        partial(directions, dim=1), vectors(2, 3, 2, dtype=torch.float64).requires_grad_()
    )
    zero = torch.zeros(1, 3, requires_grad=True)
    directions(zero).sum().backward()
    assert torch.equal(zero.grad, torch.zeros(1, 3))
