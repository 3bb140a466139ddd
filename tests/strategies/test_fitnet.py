"""Hints: the term by hand, its sum over layers, its settings."""

import pytest
import torch

from kdsweep import catalog
from kdsweep.batch import Batch, Outputs
from kdsweep.errors import SpecError
from kdsweep.losses.features import hint
from kdsweep.spec import Component
from kdsweep.strategies.base import Layers, Needs, Probe, Seen, Weight

BATCH = Batch({"images": torch.zeros(2, 1, 1, 1)}, torch.zeros(2).long(), torch.arange(2))


def maps(*shape, seed=0):
    return torch.randn(2, *shape, generator=torch.Generator().manual_seed(seed))


STUDENT = Outputs(torch.zeros(2, 10), {"a": maps(3, 8, 8), "b": maps(4, 4, 4), "v": maps(5)})
TEACHER = Outputs(
    torch.zeros(2, 10), {"A": maps(6, 8, 8, seed=1), "B": maps(7, 4, 4, seed=1), "V": maps(8)}
)
PROBE = Probe(STUDENT, TEACHER, ("a", "b"), ("A", "B"), 10)


def fitnet(**settings):
    return catalog.strategy(Component(name="fitnet", **settings), PROBE)


def term(strategy):
    return strategy.terms(Seen(BATCH, STUDENT, TEACHER))["hint"]


def test_term_by_hand():
    strategy = fitnet(layers=[{"student": "v", "teacher": "V"}])
    with torch.no_grad():
        strategy.adapters[0].project.weight.zero_()
        strategy.adapters[0].project.bias.fill_(1)
    # Every adapted value is 1; a teacher of threes: mean of (1 - 3)^2 = 4.
    teacher = Outputs(TEACHER.logits, {"V": torch.full((2, 8), 3.0)})
    got = strategy.terms(Seen(BATCH, STUDENT, teacher))["hint"]
    torch.testing.assert_close(got, torch.tensor([4.0, 4.0]))


def test_several_layers_are_summed():
    strategy = fitnet(hint="all")
    first, second = strategy.adapters
    expected = hint(first(STUDENT.features["a"]), TEACHER.features["A"]) + hint(
        second(STUDENT.features["b"]), TEACHER.features["B"]
    )
    torch.testing.assert_close(term(strategy), expected)
    assert strategy.layers == Layers(("a", "b"), ("A", "B"))


def test_defaults():
    strategy = fitnet()
    assert strategy.layers == Layers(("a",), ("A",))
    assert strategy.weights() == {"hard": Weight(1.0), "hint": Weight(1.0, relative=True)}
    assert strategy.needs == Needs(teacher=True, features=True)


@pytest.mark.parametrize(
    ("settings", "weight"),
    [({"weight": 0.5}, Weight(0.5, relative=True)), ({"raw_weight": 100}, Weight(100.0))],
)
def test_weights(settings, weight):
    assert fitnet(**settings).weights()["hint"] == weight


@pytest.mark.parametrize(("batch_norm", "parameters"), [(False, 3 * 6 + 6), (True, 3 * 6 + 2 * 6)])
def test_batch_norm_takes_the_place_of_the_bias(batch_norm, parameters):
    assert sum(p.numel() for p in fitnet(batch_norm=batch_norm).parameters()) == parameters


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"weight": 1, "raw_weight": 100},
            "strategy: give either weight (relative) or raw_weight (as it is), not both",
        ),
        (
            {"layers": [{"student": "a", "teacher": "A"}], "hint": "last"},
            "strategy: hint chooses among the pairs of layers: auto; leave it out",
        ),
        (
            {"wieght": 1},
            "strategy.wieght: unknown key 'wieght'; did you mean 'weight'? "
            "(allowed: batch_norm, hint, layers, raw_weight, weight)",
        ),
    ],
)
def test_settings_refused(settings, message):
    with pytest.raises(SpecError) as caught:
        catalog.params("strategy", Component(name="fitnet", **settings), at="strategy")
    assert caught.value.problems == (message,)


def test_a_vector_cannot_be_paired_with_a_map():
    with pytest.raises(SpecError) as caught:
        fitnet(layers=[{"student": "v", "teacher": "A"}])
    assert caught.value.problems == (
        "layers.0: student 'v' [5] and teacher 'A' [6, 8, 8] cannot be matched: "
        "must be both maps [D, H, W] or both vectors [D]; name other layers",
    )
