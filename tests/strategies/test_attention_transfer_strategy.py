"""Attention transfer: which maps it compares, at which size, and with what weight."""

import pytest
import torch
from torch.nn import functional as F

from kdsweep import catalog
from kdsweep.batch import Batch, Outputs
from kdsweep.errors import SpecError
from kdsweep.losses.attention import attention_transfer
from kdsweep.spec import Component
from kdsweep.strategies.base import Layers, Probe, Seen, Weight

BATCH = Batch({"images": torch.zeros(2, 1, 1, 1)}, torch.zeros(2).long(), torch.arange(2))


def maps(*shape, seed=0):
    return torch.randn(2, *shape, generator=torch.Generator().manual_seed(seed))


STUDENT = Outputs(torch.zeros(2, 10), {"a": maps(3, 8, 8), "b": maps(4, 4, 4), "c": maps(5, 1, 1)})
TEACHER = Outputs(
    torch.zeros(2, 10),
    {"A": maps(6, 8, 8, seed=1), "B": maps(7, 3, 3, seed=1), "C": maps(8, 1, 1, seed=1)},
)
PROBE = Probe(STUDENT, TEACHER, ("a", "b", "c"), ("A", "B", "C"), 10)


def strategy(**settings):
    return catalog.strategy(Component(name="attention_transfer", **settings), PROBE)


def test_all_stages_with_attention_are_summed_at_the_smaller_size():
    made = strategy()
    pooled = F.adaptive_avg_pool2d(STUDENT.features["b"], (3, 3))
    expected = attention_transfer(
        STUDENT.features["a"], TEACHER.features["A"]
    ) + attention_transfer(pooled, TEACHER.features["B"])
    torch.testing.assert_close(made.terms(Seen(BATCH, STUDENT, TEACHER))["attention"], expected)
    assert made.layers == Layers(("a", "b"), ("A", "B"))


def test_nothing_is_learned_and_the_weight_is_relative():
    made = strategy(weight=3)
    assert not list(made.parameters())
    assert made.weights() == {"hard": Weight(1.0), "attention": Weight(3.0, relative=True)}
    assert strategy(raw_weight=1000).weights()["attention"] == Weight(1000.0)


def test_a_map_of_one_pixel_is_refused():
    with pytest.raises(SpecError) as caught:
        strategy(layers=[{"student": "c", "teacher": "A"}])
    assert caught.value.problems == (
        "layers.0: student 'c' [5, 1, 1] and teacher 'A' [6, 8, 8] cannot be matched: "
        "must be both maps [D, H, W] of at least 2 pixels; name other layers",
    )
