"""Attention, hidden states and relations by hand and in NumPy; padding that changes nothing."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.autograd import gradcheck
from torch.nn import functional as F

from kdsweep.errors import TrialError
from kdsweep.losses.transformers import (
    attention_probabilities,
    attention_probability_error,
    attention_score_error,
    attention_scores,
    hidden_state_cosine,
    hidden_state_error,
    relation_divergence,
    split_heads,
)

N, S, D = 3, 5, 8
MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 0, 0, 0]], dtype=torch.bool)
OF_SCORES = {"probabilities": attention_probability_error, "scores": attention_score_error}
OF_STATES = {
    "hidden error": hidden_state_error,
    "hidden cosine": hidden_state_cosine,
    "relations": lambda ours, theirs, mask=None: relation_divergence(ours, theirs, 2, mask),
}
every_loss = pytest.mark.parametrize("name", [*OF_SCORES, *OF_STATES])


def states(*shape, seed=0, dtype=torch.float32, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    return (scale * torch.randn(*shape, generator=generator, dtype=torch.float64)).to(dtype)


def inputs(name, *, num=N, length=S, dtype=torch.float32, scale=1.0):
    """What the loss of that name compares, of a student and of a teacher."""
    shape = (num, 2, length, length) if name in OF_SCORES else (num, length, D)
    return [states(*shape, seed=seed, dtype=dtype, scale=scale) for seed in (1, 2)]


def loss(name):
    return {**OF_SCORES, **OF_STATES}[name]


def softmax(values):
    weights = np.exp(values - values.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def numpy_relations(values, heads):
    """Of one text ``[S, D]``: ``[heads, S, S]``."""
    width = values.shape[-1] // heads
    split = [values[:, n * width : (n + 1) * width] for n in range(heads)]
    return np.stack([softmax(each @ each.T / math.sqrt(width)) for each in split])


def test_heads_are_neighbouring_parts_of_the_width():
    split = split_heads(torch.arange(8.0).reshape(1, 2, 4), 2)
    expected = [[[[0.0, 1.0], [4.0, 5.0]], [[2.0, 3.0], [6.0, 7.0]]]]
    torch.testing.assert_close(split, torch.tensor(expected))


def test_scores_by_hand():
    # One head of width 4: (1, 1, 1, 1) with (2, 2, 2, 2) is 8, over the root of 4 is 4.
    query, key = torch.ones(1, 1, 4), torch.full((1, 1, 4), 2.0)
    torch.testing.assert_close(attention_scores(query, key, 1), torch.full((1, 1, 1, 1), 4.0))
    # Two heads of width 2: 4 over the root of 2 each.
    expected = torch.full((1, 2, 1, 1), 4 / math.sqrt(2))
    torch.testing.assert_close(attention_scores(query, key, 2), expected)


@pytest.mark.parametrize("heads", [1, 2, 8])
def test_the_attention_is_that_of_torch(heads):
    query, key, value = (states(N, S, D, seed=seed) for seed in range(3))
    kept = MASK | (torch.arange(S) == 0)
    probabilities = attention_probabilities(attention_scores(query, key, heads), kept)
    split = [split_heads(each, heads) for each in (query, key, value)]
    expected = F.scaled_dot_product_attention(*split, attn_mask=kept[:, None, None, :])
    got = probabilities @ split[2]
    rows = kept[:, None, :, None].expand_as(got)
    torch.testing.assert_close(got[rows], expected[rows])


def test_probabilities_sum_to_one_over_the_tokens_and_are_zero_elsewhere():
    probabilities = attention_probabilities(states(N, 2, S, S), MASK)
    torch.testing.assert_close(probabilities.sum(dim=-1), MASK[:, None, :].expand(N, 2, S).float())
    assert (probabilities[1, :, :, 3:] == 0).all()


def test_probability_error_by_hand():
    # Rows (1/2, 1/2) against (3/4, 1/4): each of the four differences is 1/4, their square 1/16.
    student = torch.zeros(1, 1, 2, 2)
    teacher = torch.tensor([[[[math.log(3), 0.0], [math.log(3), 0.0]]]])
    torch.testing.assert_close(
        attention_probability_error(student, teacher), torch.tensor([1 / 16])
    )
    torch.testing.assert_close(
        attention_score_error(student, teacher), torch.tensor([math.log(3) ** 2 / 2])
    )


def test_softmax_is_taken_once():
    # Softmax of what already are probabilities would flatten both: most of the loss would go.
    student, teacher = inputs("probabilities", scale=5)
    once = F.mse_loss(student.softmax(-1), teacher.softmax(-1))
    twice = F.mse_loss(student.softmax(-1).softmax(-1), teacher.softmax(-1).softmax(-1))
    got = attention_probability_error(student, teacher).mean()
    torch.testing.assert_close(got, once)
    assert got > 4 * twice


def test_scores_are_those_before_softmax():
    student, teacher = inputs("scores")
    got = attention_score_error(student, teacher).mean()
    torch.testing.assert_close(got, nn.MSELoss()(student, teacher))
    # A constant that softmax would swallow counts.
    torch.testing.assert_close(attention_score_error(student, student + 1), torch.ones(N))
    torch.testing.assert_close(
        attention_probability_error(student, student + 1), torch.zeros(N), atol=1e-12, rtol=0
    )


def test_masked_scores_by_hand():
    # Two tokens and padding: of nine differences the four of the tokens count, 1 and 3 among them.
    student, teacher = torch.full((1, 1, 3, 3), 50.0), torch.full((1, 1, 3, 3), -50.0)
    student[..., :2, :2] = torch.tensor([[1.0, 0.0], [3.0, 0.0]])
    teacher[..., :2, :2] = 0.0
    mask = torch.tensor([[True, True, False]])
    got = attention_score_error(student, teacher, mask)
    torch.testing.assert_close(got, torch.tensor([(1.0 + 9.0) / 4]))


def test_other_numbers_of_heads_are_averaged():
    student, teacher = states(N, 2, S, S, seed=1), states(N, 4, S, S, seed=2)
    mean = student.softmax(-1).mean(1) - teacher.softmax(-1).mean(1)
    torch.testing.assert_close(
        attention_probability_error(student, teacher), mean.square().mean(dim=(1, 2))
    )
    difference = student.mean(1) - teacher.mean(1)
    torch.testing.assert_close(
        attention_score_error(student, teacher), difference.square().mean(dim=(1, 2))
    )
    with pytest.raises(TrialError, match=r"student \[3, 1, 5, 5\] and teacher \[3, 1, 4, 4\]"):
        attention_score_error(student, states(N, 4, 4, 4))


def test_hidden_states_by_hand():
    # Differences 1 and -3 for the first token, mean square 5; none for the second. Cosines 0, 1.
    student = torch.tensor([[[1.0, 0.0], [2.0, 2.0], [9.0, 9.0]]])
    teacher = torch.tensor([[[0.0, 3.0], [2.0, 2.0], [-9.0, 9.0]]])
    mask = torch.tensor([[True, True, False]])
    torch.testing.assert_close(hidden_state_error(student, teacher, mask), torch.tensor([2.5]))
    torch.testing.assert_close(hidden_state_cosine(student, teacher, mask), torch.tensor([0.5]))


def test_hidden_states_without_padding_are_mse_and_cosine_embedding_loss():
    student, teacher = inputs("hidden error")
    torch.testing.assert_close(
        hidden_state_error(student, teacher).mean(), nn.MSELoss()(student, teacher)
    )
    flat = [each.flatten(0, 1) for each in (student, teacher)]
    torch.testing.assert_close(
        hidden_state_cosine(student, teacher).mean(),
        nn.CosineEmbeddingLoss()(*flat, torch.ones(N * S)),
    )


def test_relations_by_hand():
    # Width 1, one head, two tokens. Values (0, 0): every relation is (1/2, 1/2). Values (a, 0)
    # with a^2 = ln 3: the first token's scores are (ln 3, 0), its relation (3/4, 1/4); the
    # second's are (0, 0), as the student's.
    teacher = torch.tensor([[[math.sqrt(math.log(3))], [0.0]]])
    student = torch.zeros(1, 2, 1)
    first = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    torch.testing.assert_close(relation_divergence(student, teacher, 1), torch.tensor([first / 2]))


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_relations_against_numpy_between_other_widths(heads):
    student, teacher = states(N, S, 8, seed=1), states(N, S, 12, seed=2)
    got = relation_divergence(student, teacher, heads, MASK)
    for example in range(N):
        num = int(MASK[example].sum())
        ours, theirs = (
            numpy_relations(each[example, :num].double().numpy(), heads)
            for each in (student, teacher)
        )
        expected = (theirs * np.log(theirs / ours)).sum(axis=-1).mean()
        assert got[example].item() == pytest.approx(expected, rel=1e-4, abs=1e-6)


@every_loss
def test_equal_networks_have_no_loss(name):
    same = inputs(name)[0]
    torch.testing.assert_close(loss(name)(same, same, MASK), torch.zeros(N), atol=1e-6, rtol=0)


@every_loss
def test_each_example_stands_alone(name):
    student, teacher = inputs(name)
    alone = [loss(name)(student[n : n + 1], teacher[n : n + 1], MASK[n : n + 1]) for n in range(N)]
    together = loss(name)(student, teacher, MASK)
    assert together.shape == (N,)
    torch.testing.assert_close(together, torch.cat(alone))


@every_loss
def test_a_mask_that_is_true_everywhere_is_no_mask(name):
    student, teacher = inputs(name)
    masked = loss(name)(student, teacher, torch.ones(N, S, dtype=torch.bool))
    assert torch.equal(masked, loss(name)(student, teacher))


@every_loss
@given(seed=st.integers(0, 1000), length=st.integers(1, S), scale=st.sampled_from([1.0, 1e4]))
@settings(max_examples=25, deadline=None)
def test_padding_changes_nothing(name, seed, length, scale):
    """Neither what stands in it nor that it is there; and it gets no gradient."""
    torch.manual_seed(seed)
    mask = torch.arange(S).expand(1, S) < length
    pairs = inputs(name, num=1, dtype=torch.float64)
    others = [each + scale * torch.randn_like(each) for each in pairs]
    if name in OF_SCORES:
        kept, cut = (
            mask[:, None, :, None] & mask[:, None, None],
            (..., slice(length), slice(length)),
        )
    else:
        kept, cut = mask[..., None], (slice(None), slice(length))
    changed = [torch.where(kept, each, other) for each, other in zip(pairs, others, strict=True)]
    changed[0].requires_grad_()
    got = loss(name)(*changed, mask)
    torch.testing.assert_close(got, loss(name)(*pairs, mask))
    torch.testing.assert_close(got, loss(name)(*(each[cut] for each in pairs)))
    got.sum().backward()
    assert (changed[0].grad.masked_select(~kept) == 0).all()


@every_loss
def test_a_text_of_padding_has_loss_zero_and_finite_gradients(name):
    student, teacher = inputs(name)
    student.requires_grad_()
    mask = MASK.clone()
    mask[0] = False
    got = loss(name)(student, teacher, mask)
    assert got[0] == 0
    got.sum().backward()
    assert student.grad.isfinite().all()
    assert (student.grad[0] == 0).all()


@every_loss
@pytest.mark.parametrize("num", [1, 2])
def test_zeros_and_constant_rows_are_finite(name, num):
    teacher = inputs(name, num=num)[1]
    for value in (0.0, 3.0):
        student = torch.full_like(teacher, value).requires_grad_()
        got = loss(name)(student, teacher)
        got.sum().backward()
        assert got.isfinite().all()
        assert student.grad.isfinite().all()


def test_a_hidden_state_without_a_direction_is_not_thrown_anywhere():
    student = torch.zeros(1, 2, 4, requires_grad=True)
    losses = hidden_state_cosine(student, inputs("hidden cosine")[1][:1, :2, :4])
    losses.sum().backward()
    torch.testing.assert_close(losses, torch.ones(1))
    assert (student.grad == 0).all()


@every_loss
def test_large_scores_are_finite(name):
    student, teacher = inputs(name, scale=300)
    student.requires_grad_()
    got = loss(name)(student, teacher, MASK)
    got.sum().backward()
    assert got.isfinite().all()
    assert student.grad.isfinite().all()


@every_loss
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_types_are_computed_in_float32(name, dtype):
    student, teacher = inputs(name, dtype=dtype)
    got = loss(name)(student, teacher, MASK)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, loss(name)(student.float(), teacher.float(), MASK))


def test_half_queries_make_float32_scores():
    query, key = (states(N, S, D, seed=seed, dtype=torch.bfloat16) for seed in (1, 2))
    got = attention_scores(query, key, 2)
    torch.testing.assert_close(got, attention_scores(query.float(), key.float(), 2))


@every_loss
def test_gradients_are_those_of_finite_differences(name):
    student, teacher = (each.requires_grad_() for each in inputs(name, dtype=torch.float64))
    assert gradcheck(partial(loss(name), mask=MASK), (student, teacher))
    assert gradcheck(loss(name), (student, teacher))


def test_gradients_of_scores_are_those_of_finite_differences():
    query, key = (states(2, 3, 4, seed=n, dtype=torch.float64).requires_grad_() for n in (1, 2))
    assert gradcheck(partial(attention_scores, heads=2), (query, key))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: split_heads(torch.zeros(2, 3, 8), 3), r"\[2, 3, 8\] cannot be split into 3 heads"),
        (lambda: split_heads(torch.zeros(2, 8), 2), r"\[2, 8\] cannot be split into 2 heads"),
        (
            lambda: attention_scores(torch.zeros(2, 3, 8), torch.zeros(2, 4, 8), 2),
            r"query \[2, 3, 8\] and key \[2, 4, 8\]",
        ),
        (
            lambda: attention_probabilities(torch.zeros(2, 3, 3)),
            r"attention \[2, 3, 3\]: must be \[N, heads, S, S\]",
        ),
        (
            lambda: hidden_state_error(torch.zeros(2, 3, 8), torch.zeros(2, 3, 4)),
            r"student \[2, 3, 8\] and teacher \[2, 3, 4\]",
        ),
        (
            lambda: hidden_state_cosine(
                torch.zeros(2, 3, 8), torch.zeros(2, 3, 8), torch.ones(2, 4, dtype=torch.bool)
            ),
            r"mask \[2, 4\] of torch.bool: must be bool \[2, 3\], true where there is a token",
        ),
        (
            lambda: hidden_state_cosine(
                torch.zeros(2, 3, 8), torch.zeros(2, 3, 8), torch.ones(2, 3)
            ),
            r"mask \[2, 3\] of torch.float32: must be bool",
        ),
        (
            lambda: relation_divergence(torch.zeros(2, 3, 8), torch.zeros(2, 4, 8), 2),
            r"student \[2, 3, 1\] and teacher \[2, 4, 1\]",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_refused(call, message):
    with pytest.raises(TrialError, match=message):
        call()
