"""Losses on what happens inside transformers: attention, hidden states, relations of tokens.

``mask`` ``[N, S]`` is true where there is a token; no mask means that there is one everywhere.
Means are over tokens only, so that padding changes nothing. A text without any token has loss
zero.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from kdsweep.errors import TrialError
from kdsweep.losses.directions import directions
from kdsweep.losses.precision import check_same_shape, full_precision


def split_heads(states: Tensor, heads: int) -> Tensor:
    """States ``[N, S, D]`` as ``[N, heads, S, D / heads]``.

    Raises:
        TrialError: they are not states of tokens, or the heads do not divide their width.
    """
    if states.ndim != 3 or states.shape[-1] % heads:
        raise TrialError(
            f"states {list(states.shape)} cannot be split into {heads} heads: they must be "
            "[N, S, D] with a D that the heads divide"
        )
    num_texts, length, width = states.shape
    return states.reshape(num_texts, length, heads, width // heads).transpose(1, 2)


def attention_scores(query: Tensor, key: Tensor, heads: int) -> Tensor:
    """``Q K^T / sqrt(d)`` of queries and keys ``[N, S, D]``, before softmax: ``[N, heads, S, S]``.

    ``d`` is the width of a head, ``D / heads``; rows are queries, columns keys (arXiv:1706.03762).

    Raises:
        TrialError: the shapes differ, or cannot be split into that many heads.
    """
    check_same_shape(query=query, key=key)
    queries, keys = (split_heads(full_precision(states), heads) for states in (query, key))
    return queries @ keys.transpose(-1, -2) / math.sqrt(queries.shape[-1])


def attention_probabilities(scores: Tensor, mask: Tensor | None = None) -> Tensor:
    """Softmax of scores ``[N, A, S, S]`` over the keys that are tokens; of padding, zeros.

    Raises:
        TrialError: the mask is not of these scores.
    """
    scores, pairs = full_precision(scores), _token_pairs(scores, mask)
    # Not minus infinity: a row without any token would become NaN, and its gradient too.
    lowest = torch.finfo(scores.dtype).min
    return F.softmax(scores.masked_fill(~pairs, lowest), dim=-1).masked_fill(~pairs, 0.0)


def attention_probability_error(
    student: Tensor, teacher: Tensor, mask: Tensor | None = None
) -> Tensor:
    """Mean squared difference of attention after softmax, of scores ``[N, A, S, S]``: ``[N]``.

    Softmax is taken here, once: what goes in are scores. The mean is over heads and over pairs of
    tokens, as that of ``nn.MSELoss()`` where nothing is padded. Where the student has another
    number of heads than the teacher, both are averaged over their heads first.

    Raises:
        TrialError: the shapes differ in anything but heads, or the mask is not of them.
    """
    ours, theirs = (attention_probabilities(scores, mask) for scores in (student, teacher))
    return _mean_square(*_same_heads(ours, theirs), mask)


def attention_score_error(student: Tensor, teacher: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean squared difference of scores ``[N, A, S, S]`` before softmax: ``[N]``.

    TinyBERT's (arXiv:1909.10351). Scores of padding count as zero in both. Means and heads are as
    in ``attention_probability_error``.

    Raises:
        TrialError: the shapes differ in anything but heads, or the mask is not of them.
    """
    ours, theirs = _same_heads(full_precision(student), full_precision(teacher))
    return _mean_square(ours, theirs, mask)


def hidden_state_error(student: Tensor, teacher: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean squared difference of hidden states ``[N, S, D]`` over tokens and width: ``[N]``.

    Raises:
        TrialError: the shapes differ, or the mask is not of them.
    """
    check_same_shape(student=student, teacher=teacher)
    difference = full_precision(student) - full_precision(teacher)
    return _token_mean(difference.square().mean(dim=-1), mask)


def hidden_state_cosine(student: Tensor, teacher: Tensor, mask: Tensor | None = None) -> Tensor:
    """``1 - cos(h_s, h_t)`` of hidden states ``[N, S, D]``, mean over tokens: ``[N]``.

    As arXiv:1910.01108. A hidden state of zeros has cosine zero with any other.

    Raises:
        TrialError: the shapes differ, or the mask is not of them.
    """
    check_same_shape(student=student, teacher=teacher)
    cosine = (directions(full_precision(student)) * directions(full_precision(teacher))).sum(dim=-1)
    return _token_mean(1 - cosine, mask)


def relation_divergence(
    student: Tensor, teacher: Tensor, heads: int, mask: Tensor | None = None
) -> Tensor:
    """``KL(R_t || R_s)`` of relations between tokens, in nats: mean over heads and tokens, ``[N]``.

    ``R = softmax(A A^T / sqrt(d))`` over the tokens, of queries, keys or values ``A``
    ``[N, S, D]`` split into ``heads`` relation heads of width ``d``, whatever number of heads the
    networks have. Student and teacher may differ in ``D`` (MiniLMv2, arXiv:2012.15828).

    Raises:
        TrialError: the shapes differ in anything but ``D``, the relation heads do not divide both
            widths, or the mask is not of them.
    """
    check_same_shape(student=student[..., :1], teacher=teacher[..., :1])
    ours, theirs = (attention_scores(states, states, heads) for states in (student, teacher))
    pairs = _token_pairs(ours, mask)
    lowest = torch.finfo(ours.dtype).min
    log_q = F.log_softmax(ours.masked_fill(~pairs, lowest), dim=-1)
    log_p = F.log_softmax(theirs.to(ours.dtype).masked_fill(~pairs, lowest), dim=-1)
    divergence = (log_p.exp() * (log_p - log_q)).masked_fill(~pairs, 0.0).sum(dim=-1)
    return _token_mean(divergence.mean(dim=1), mask)


def _same_heads(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Maps ``[N, A, S, S]`` of both, averaged over heads where their numbers differ."""
    if student.shape[1] == teacher.shape[1]:
        return student, teacher
    return student.mean(dim=1, keepdim=True), teacher.mean(dim=1, keepdim=True)


def _mean_square(student: Tensor, teacher: Tensor, mask: Tensor | None) -> Tensor:
    """Over heads and pairs of tokens of maps ``[N, A, S, S]``."""
    check_same_shape(student=student, teacher=teacher)
    pairs = _token_pairs(student, mask)
    squares = (student - teacher).masked_fill(~pairs, 0.0).square().mean(dim=1)
    return squares.sum(dim=(1, 2)) / pairs.sum(dim=(1, 2, 3)).clamp(min=1)


def _token_mean(values: Tensor, mask: Tensor | None) -> Tensor:
    """Of values ``[N, S]`` over the tokens of each text."""
    tokens = _tokens(values, mask)
    return values.masked_fill(~tokens, 0.0).sum(dim=1) / tokens.sum(dim=1).clamp(min=1)


def _token_pairs(scores: Tensor, mask: Tensor | None) -> Tensor:
    """``[N, 1, S, S]``: whether query and key both are tokens."""
    if scores.ndim != 4:
        raise TrialError(f"attention {list(scores.shape)}: must be [N, heads, S, S]")
    tokens = _tokens(scores[:, 0, 0], mask)
    return (tokens[:, :, None] & tokens[:, None, :])[:, None]


def _tokens(values: Tensor, mask: Tensor | None) -> Tensor:
    """The mask ``[N, S]``, true everywhere if there is none."""
    if mask is None:
        return torch.ones(values.shape[:2], dtype=torch.bool, device=values.device)
    if mask.dtype != torch.bool or mask.shape != values.shape[:2]:
        raise TrialError(
            f"mask {list(mask.shape)} of {mask.dtype}: must be bool {list(values.shape[:2])}, "
            "true where there is a token"
        )
    return mask
