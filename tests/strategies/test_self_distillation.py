"""Heads that learn from the student's own logits: by hand, what is detached, where they sit."""

import math

import numpy as np
import pytest
import torch

from kdsweep import catalog
from kdsweep.batch import UNLABELLED, Anatomy, Batch, Block, Outputs, Tokens
from kdsweep.errors import SpecError
from kdsweep.losses.logits import hard_labels, soft_targets
from kdsweep.spec import Component
from kdsweep.strategies.base import Layers, Needs, Probe, Seen, Weight


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def student(num_examples=3, num_classes=4):
    n = num_examples
    features = {
        "first": normal(n, 5, 4, 4, seed=1), "second": normal(n, 6, 2, 2, seed=2),
        "third": normal(n, 7, 1, 1, seed=3), "vector": normal(n, 8, seed=4),
        "block.0": normal(n, 3, 9, seed=5), "block.1": normal(n, 3, 9, seed=6),
    }  # fmt: skip
    return Outputs(normal(n, num_classes, seed=7), features)


STAGES = ("first", "second", "third")
PROBE = Probe(student(2), None, STAGES, (), 4, shape=(1, 4, 4))


def made(probe=PROBE, **settings):
    torch.manual_seed(0)
    return catalog.strategy(Component(name="self_distillation", **settings), probe)


def seen(outputs=None, labels=(0, 1, 3), tokens=None):
    inputs = {"images": torch.zeros(3, 1, 4, 4)} | ({} if tokens is None else {"tokens": tokens})
    return Seen(Batch(inputs, torch.tensor(labels), torch.arange(3)), outputs or student())


def blocks(*paths):
    return Anatomy("e", tuple(Block(path, "q", "k", "v", 1) for path in paths))


def test_term_by_hand():
    # Heads of zeros say 1/4 for each of 4 classes: CE is ln 4 with every label.
    # The student says (1/2, 1/2, 0, 0) at T = 2: KL = ln 4 - ln 2 = ln 2, times T^2 = 4.
    strategy = made(alpha=0.25, temperature=2.0)
    with torch.no_grad():
        for parameter in strategy.parameters():
            parameter.zero_()
    outputs = Outputs(torch.tensor([[0.0, 0.0, -1e4, -1e4]] * 3), student().features)
    got = strategy.terms(seen(outputs))["heads"]
    one_head = 0.25 * math.log(4) + 0.75 * 4 * math.log(2)
    torch.testing.assert_close(got, torch.full((3,), 2 * one_head))


def test_heads_read_the_mean_of_each_inner_stage():
    strategy = made(alpha=0.3, temperature=5.0)
    step, expected = seen(), 0
    for head, path in zip(strategy.heads, ("first", "second"), strict=True):
        pooled = step.student.features[path].mean(dim=(2, 3))
        logits = pooled @ head.weight.T + head.bias
        hard = hard_labels(logits, step.batch.labels)
        expected = expected + 0.3 * hard + 0.7 * soft_targets(logits, step.student.logits, 5.0)
    torch.testing.assert_close(strategy.terms(step)["heads"], expected)


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_both_ends_of_alpha(alpha):
    strategy, step = made(alpha=alpha, layers=["vector"], temperature=2.0), seen()
    logits = strategy.heads[0](step.student.features["vector"])
    soft = soft_targets(logits, step.student.logits, 2.0)
    expected = hard_labels(logits, step.batch.labels) if alpha else soft
    assert torch.equal(strategy.terms(step)["heads"], expected)


def test_the_final_logits_teach_and_do_not_learn():
    strategy, outputs = made(hint_weight=1.0), student()
    outputs.logits.requires_grad_()
    for features in outputs.features.values():
        features.requires_grad_()
    sum(strategy.terms(seen(outputs)).values()).sum().backward()
    assert outputs.logits.grad is None
    # Nor does the layer that gives the hints, which only the final loss shapes.
    assert outputs.features["third"].grad is None
    for path in ("first", "second"):
        assert outputs.features[path].grad.abs().sum() > 0
    for parameter in strategy.parameters():
        assert parameter.grad.abs().sum() > 0


def test_labels_that_are_not_used_leave_the_students_own_word():
    strategy = made(alpha=0.5, temperature=2.0, layers=["vector"])
    step = seen(labels=(2, UNLABELLED, UNLABELLED))
    logits = strategy.heads[0](step.student.features["vector"])
    soft = 0.5 * soft_targets(logits, step.student.logits, 2.0)
    # The mean over the batch is the one example's, as the student's own loss has it.
    hard = 1.5 * hard_labels(logits, torch.tensor([2, 0, 0])) * torch.tensor([1, 0, 0])
    torch.testing.assert_close(strategy.terms(step)["heads"], soft + hard)
    none = strategy.terms(seen(labels=(UNLABELLED,) * 3))["heads"]
    torch.testing.assert_close(none, soft)


def test_hints_by_numpy():
    strategy, step = made(hint_weight=0.03), seen()
    features = {path: value.double().numpy() for path, value in step.student.features.items()}
    expected = np.zeros(3)
    for adapter, path in zip(strategy.adapters, ("first", "second"), strict=True):
        weight, bias = (p.detach().double().numpy() for p in (adapter.weight, adapter.bias))
        adapted = features[path].mean(axis=(2, 3)) @ weight.T + bias
        expected += ((adapted - features["third"].mean(axis=(2, 3))) ** 2).mean(axis=1)
    got = strategy.terms(step)["hint"]
    np.testing.assert_allclose(got.detach().numpy(), expected, rtol=1e-4)
    assert strategy.weights()["hint"] == Weight(0.03, relative=True)
    assert strategy.layers == Layers(student=STAGES)


def test_without_hints_there_are_no_adapters():
    strategy = made()
    assert set(strategy.terms(seen())) == {"heads"}
    assert sum(p.numel() for p in strategy.parameters()) == (5 * 4 + 4) + (6 * 4 + 4)
    assert strategy.layers == Layers(student=("first", "second"))


def test_a_hidden_layer_in_each_head():
    strategy = made(hidden=11, layers=["vector"])
    assert sum(p.numel() for p in strategy.parameters()) == (8 * 11 + 11) + (11 * 4 + 4)
    assert strategy.terms(seen())["heads"].shape == (3,)


def test_a_transformer_has_a_head_on_every_block_but_the_last():
    # A vision transformer has a map too, that of its patches: its blocks come first.
    probe = Probe(student(2), None, ("first",), (), 4, student_anatomy=blocks("block.0", "block.1"))
    strategy = made(probe, hint_weight=1.0)
    assert strategy.layers == Layers(student=("block.0", "block.1"))
    assert [each.path for each in strategy.inner] == ["block.0"]
    assert strategy.last.path == "block.1"


def test_padding_is_not_read():
    probe = Probe(
        student(2), None, (), (), 4, student_anatomy=blocks("block.0", "block.1"),
        shape=Tokens(3, 9),
    )  # fmt: skip
    strategy, tokens = made(probe), torch.tensor([[4, 5, 0], [6, 0, 0], [1, 2, 3]])
    outputs = student()
    expected = strategy.terms(seen(outputs, tokens=tokens))["heads"]
    changed = outputs.features["block.0"].clone()
    changed[tokens == 0] = 1e6
    other = Outputs(outputs.logits, {**outputs.features, "block.0": changed})
    assert torch.equal(strategy.terms(seen(other, tokens=tokens))["heads"], expected)


def test_defaults_and_weights():
    strategy = made()
    assert strategy.needs == Needs(teacher=False, features=True)
    assert strategy.weights() == {"hard": Weight(1.0), "heads": Weight(0.3)}
    assert made(weight=2.0).weights()["heads"] == Weight(2.0, relative=True)
    assert made(raw_weight=0.5).weights()["heads"] == Weight(0.5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"weight": 1.0, "raw_weight": 0.3},
            "strategy: give either weight (relative) or raw_weight (as it is), not both",
        ),
        ({"layers": []}, "strategy: layers is empty: name at least one, or auto"),
    ],
)
def test_settings_refused(settings, message):
    component = Component(name="self_distillation", **settings)
    with pytest.raises(SpecError) as caught:
        catalog.params("strategy", component, at="strategy")
    assert caught.value.problems == (message,)


def test_a_student_without_inner_stages_is_told_what_to_do():
    shallow = Probe(student(2), None, ("first",), (), 4)
    with pytest.raises(SpecError, match=r"every stage or block .* has first: name the layers"):
        made(shallow)
    nothing = Probe(student(2), None, (), (), 4)
    with pytest.raises(SpecError, match="hint_weight: the student has no stages, blocks or embed"):
        made(nothing, layers=["vector"], hint_weight=1.0)
    with pytest.raises(SpecError, match=r"layers.1: no layer 'frist'; nearest: 'first'"):
        made(layers=["vector", "frist"])
