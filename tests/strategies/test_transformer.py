"""The strategy `transformer`: its terms, what they read, padding, settings and refusals."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from transformer_networks import (
    BERT,
    DISTILBERT,
    IMAGES,
    PAIRS,
    VIT,
    Distilled,
    batch,
    network,
    probe,
    tokens_of_texts,
)

from kdsweep import catalog
from kdsweep.batch import Anatomy, Batch, Tokens
from kdsweep.errors import SpecError
from kdsweep.spec import Component
from kdsweep.strategies.base import Needs, Seen, Weight

EVERYTHING = {"relations": "qkv", "relation_heads": 2, "embeddings": True}
every_pair = pytest.mark.parametrize("pair", PAIRS)


def numpy_heads(states, heads):
    """Of one text ``[S, D]``: ``[heads, S, D / heads]``."""
    return np.stack(np.split(states, heads, axis=-1))


def numpy_attention(features, block, example, num, *, softmax):
    query, key = (
        numpy_heads(features[path][example, :num].detach().double().numpy(), block.heads)
        for path in (block.query, block.key)
    )
    scores = query @ key.transpose(0, 2, 1) / math.sqrt(query.shape[-1])
    if not softmax:
        return scores
    weights = np.exp(scores)
    return weights / weights.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("attention", ["probabilities", "scores"])
@pytest.mark.parametrize("pair", ["vit from vit", "distilbert from bert"])
def test_attention_is_the_sum_over_mapped_blocks_of_the_tokens_alone(pair, attention):
    made = Distilled(*PAIRS[pair], attention=attention, hidden="none", layer_map="skip")
    seen = made.seen()
    mapped = zip(made.student.anatomy.blocks, (0, 3), strict=True)
    expected = np.zeros(4)
    tokens = tokens_of_texts() if made.strategy.of_texts else torch.ones(4, 5)
    for block, position in mapped:
        for example, num in enumerate(tokens.sum(1).int().tolist()):
            ours = numpy_attention(
                seen.student.features, block, example, num, softmax=attention == "probabilities"
            )
            theirs = numpy_attention(
                seen.teacher.features, made.teacher.anatomy.blocks[position], example, num,
                softmax=attention == "probabilities",
            )  # fmt: skip
            expected[example] += ((ours - theirs) ** 2).mean()
    got = made.strategy.terms(seen)["attention"].detach().numpy()
    assert expected.max() > 1e-3
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("layer_map", ["uniform", "last", "skip"])
@pytest.mark.parametrize("hidden", ["mse", "cosine"])
def test_hidden_states_are_compared_block_by_block_as_the_map_says(layer_map, hidden):
    made = Distilled(*PAIRS["distilbert from bert"], hidden=hidden, layer_map=layer_map)
    seen = made.seen()
    positions = {"uniform": (1, 3), "last": (2, 3), "skip": (0, 3)}[layer_map]
    expected = torch.zeros(4)
    for number, position in enumerate(positions):
        ours = seen.student.features[f"distilbert.transformer.layer.{number}"]
        theirs = seen.teacher.features[f"bert.encoder.layer.{position}"]
        for example, num in enumerate(tokens_of_texts().sum(1)):
            one, other = ours[example, :num], theirs[example, :num]
            if hidden == "mse":
                expected[example] += nn.functional.mse_loss(one, other)
            else:
                expected[example] += (1 - nn.functional.cosine_similarity(one, other)).mean()
    torch.testing.assert_close(made.strategy.terms(seen)["hidden"], expected)


def test_only_the_last_block_if_asked_for():
    made = Distilled(*PAIRS["bert from bert"], blocks="last", attention="none")
    assert made.strategy.layers.student == ("bert.encoder.layer.1",)
    assert made.strategy.layers.teacher == ("bert.encoder.layer.3",)


def test_embeddings_are_added_to_the_hidden_states():
    pair = PAIRS["vit from vit"]
    with_them = Distilled(*pair, embeddings=True, attention="none")
    without = Distilled(*pair, attention="none")
    seen = with_them.seen()
    ours, theirs = (each.features["embeddings"] for each in (seen.student, seen.teacher))
    expected = without.terms()["hidden"] + (ours - theirs).square().mean(dim=(1, 2))
    torch.testing.assert_close(with_them.terms()["hidden"], expected)


def test_other_widths_pass_through_one_matrix_for_all_blocks():
    made = Distilled(*PAIRS["vit from wider vit"], attention="none")
    assert [tuple(p.shape) for p in made.strategy.parameters()] == [(24, 16)]
    seen, matrix = made.seen(), made.strategy.project.weight
    expected = sum(
        (seen.student.features[f"blocks.{m}"] @ matrix.T - seen.teacher.features[f"blocks.{g}"])
        .square().mean(dim=(1, 2))
        for m, g in enumerate((1, 2))
    )  # fmt: skip
    torch.testing.assert_close(made.strategy.terms(seen)["hidden"], expected)


def test_equal_widths_need_nothing_learned_and_neither_do_attention_and_relations():
    assert not list(Distilled(*PAIRS["distilbert from bert"]).strategy.parameters())
    settings = {"hidden": "none", "relations": "qkv"}
    made = Distilled(*PAIRS["vit from wider vit"], **settings)
    assert not list(made.strategy.parameters())
    assert set(made.terms()) == {"attention", "relations"}


@every_pair
def test_terms_are_finite_and_teach_every_part_of_student_and_strategy(pair):
    made = Distilled(*PAIRS[pair], **EVERYTHING)
    terms = made.terms()
    assert set(terms) == {"hidden", "attention", "relations"}
    for term in terms.values():
        assert term.shape == (4,)
        assert term.dtype == torch.float32
        assert term.isfinite().all()
        assert term.sum() > 0
    sum(terms.values()).sum().backward()
    learned = [p for path, p in made.student.named_parameters() if "blocks" in path]
    for parameter in (*learned, *made.strategy.parameters()):
        assert parameter.grad is None or parameter.grad.isfinite().all()
    for path in (made.student.anatomy.embedding, *(b.query for b in made.student.anatomy.blocks)):
        gradients = [p.grad for p in made.student.get_submodule(path).parameters()]
        assert any(g is not None and g.abs().sum() > 0 for g in gradients)
    assert all(p.grad.abs().sum() > 0 for p in made.strategy.parameters())
    assert all(p.grad is None for p in made.teacher.parameters())


@every_pair
def test_terms_fall_when_they_are_trained(pair):
    made = Distilled(*PAIRS[pair], **EVERYTHING)
    learned = [*made.student.parameters(), *made.strategy.parameters()]
    optimizer = torch.optim.Adam(learned, lr=3e-3)
    losses = []
    for _ in range(40):
        loss = sum(term.mean() for term in made.terms().values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize("settings", [{}, {"attention": "scores", "hidden": "cosine"}])
def test_what_stands_in_padding_changes_nothing(settings):
    made = Distilled(*PAIRS["distilbert from bert"], **EVERYTHING, **settings)
    seen = made.seen()
    tokens = tokens_of_texts()[..., None]

    def elsewhere(outputs, seed):
        generator = torch.Generator().manual_seed(seed)
        changed = {
            path: torch.where(tokens, each, 100 * torch.randn(each.shape, generator=generator))
            for path, each in outputs.features.items()
        }
        return replace(outputs, features=changed)

    expected = made.strategy.terms(seen)
    changed = replace(
        seen, student=elsewhere(seen.student, 1), teacher_outputs=elsewhere(seen.teacher, 2)
    )
    for name, term in made.strategy.terms(changed).items():
        torch.testing.assert_close(term, expected[name])


@pytest.mark.parametrize("pair", ["bert from bert", "distilbert from wider bert"])
def test_longer_padding_changes_nothing(pair):
    made = Distilled(*PAIRS[pair], **EVERYTHING)
    few = Batch({"tokens": made.batch.tokens[2:]}, torch.zeros(2).long(), torch.arange(2))
    cut = Batch({"tokens": made.batch.tokens[2:, :3]}, torch.zeros(2).long(), torch.arange(2))
    for name, term in made.terms(few).items():
        torch.testing.assert_close(term, made.terms(cut)[name], rtol=1e-4, atol=1e-6)


def test_defaults():
    strategy = Distilled(*PAIRS["vit from vit"]).strategy
    relative = Weight(1.0, relative=True)
    assert strategy.weights() == {"hard": Weight(1.0), "hidden": relative, "attention": relative}
    assert strategy.needs == Needs(teacher=True, features=True)
    assert [pair.teacher.hidden for pair in strategy.pairs] == ["blocks.1", "blocks.3"]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            {"hidden_weight": 0.5, "raw_attention_weight": 0.1},
            {"hidden": Weight(0.5, relative=True), "attention": Weight(0.1)},
        ),
        (
            {"hidden": "none", "attention": "none", "relations": "qkv", "raw_relations_weight": 2},
            {"relations": Weight(2.0)},
        ),
        ({"hidden": "none", "attention": "none", "initialise": "alternate"}, {}),
    ],
)
def test_weights(settings, expected):
    strategy = Distilled(*PAIRS["vit from vit"], **settings).strategy
    assert strategy.weights() == {"hard": Weight(1.0), **expected}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"hidden": "none", "attention": "none"},
            "strategy: hidden, attention and relations are all none, and nothing is left to learn: "
            "set one of them, or initialise: alternate",
        ),
        (
            {"hidden_weight": 1, "raw_hidden_weight": 1},
            "strategy: give either hidden_weight (relative) or raw_hidden_weight (as it is), not "
            "both",
        ),
        (
            {"attention": "none", "raw_attention_weight": 0.1},
            "strategy: raw_attention_weight is of a term that is none: set attention, or leave it "
            "out",
        ),
        (
            {"relation_heads": 4},
            "strategy: relation_heads is of relations: qkv; leave it out",
        ),
        (
            {"hidden": "none", "embeddings": True},
            "strategy: embeddings compares hidden states: set hidden, or leave it out",
        ),
    ],
)
def test_settings_refused(settings, message):
    with pytest.raises(SpecError) as caught:
        catalog.params("strategy", Component(name="transformer", **settings), at="strategy")
    assert caught.value.problems == (message,)


@pytest.mark.parametrize(
    ("ours", "theirs", "settings", "message"),
    [
        (
            {**VIT, "depth": 3}, VIT, {},
            "the student has 3 blocks and the teacher 2: each of the student's learns from one of "
            "the teacher's; use fewer blocks in the student",
        ),
        (
            {**VIT, "patch": 2}, VIT, {},
            "the student has 17 positions and the teacher 5: blocks are compared position by "
            "position; use the same patch and pooling in both",
        ),
        (
            {**VIT, "pooling": "mean"}, VIT, {},
            "the student has 4 positions and the teacher 5: blocks are compared position by "
            "position; use the same patch and pooling in both",
        ),
        (
            DISTILBERT, {**BERT, "width": 24}, {"relations": "qkv", "relation_heads": 16},
            "relation_heads: 16 does not divide both widths, the student's 16 and the teacher's "
            "24: use a number that does",
        ),
    ],
    ids=["depth", "patch", "pooling", "relation heads"],
)  # fmt: skip
def test_networks_that_cannot_be_paired(ours, theirs, settings, message):
    with pytest.raises(SpecError) as caught:
        Distilled(ours, theirs, **settings)
    assert caught.value.problems == (message,)


def between(student, teacher, **changes):
    probed = probe(student, teacher, batch(IMAGES), IMAGES)
    return catalog.strategy(Component(name="transformer"), replace(probed, **changes))


def test_networks_that_are_no_transformers():
    student, teacher = network(VIT), network(VIT)
    with pytest.raises(SpecError) as caught:
        between(student, teacher, student_anatomy=None, teacher_anatomy=Anatomy("embeddings", ()))
    assert caught.value.problems == tuple(
        f"the {name} is not a transformer: use vit, bert or distilbert, or give a network of your "
        "own a property anatomy (kdsweep.batch.Anatomy)"
        for name in ("student", "teacher")
    )


def test_no_teacher():
    with pytest.raises(SpecError, match="needs a teacher"):
        between(network(VIT), None)


def test_texts_and_images_do_not_correspond():
    with pytest.raises(SpecError, match="the student reads images and the teacher texts: their"):
        between(network(VIT), network(VIT), teacher_shape=Tokens(5, 50))


def test_a_batch_without_the_teacher():
    made = Distilled(*PAIRS["vit from vit"])
    seen = made.seen()
    with pytest.raises(Exception, match="the strategy needs the teacher's outputs"):
        made.strategy.terms(Seen(seen.batch, seen.student))
