"""Relations of examples as strategies: their terms, layers, weights and settings."""

import pytest
import torch

from kdsweep import catalog
from kdsweep.batch import Batch, Outputs
from kdsweep.errors import SpecError, TrialError
from kdsweep.losses.relations import (
    angle_relations,
    distance_relations,
    probability_transfer,
    similarity,
)
from kdsweep.spec import Component
from kdsweep.strategies.base import Layers, Needs, Probe, Seen, Weight

NAMES = ("similarity", "rkd", "pkt")
every_strategy = pytest.mark.parametrize("name", NAMES)
BATCH = Batch({"images": torch.zeros(4, 1, 1, 1)}, torch.zeros(4).long(), torch.arange(4))


def random(*shape, seed=0):
    return torch.randn(4, *shape, generator=torch.Generator().manual_seed(seed))


STUDENT = Outputs(
    torch.zeros(4, 10), {"a": random(3, 8, 8), "b": random(4, 4, 4), "head:input": random(5)}
)
TEACHER = Outputs(torch.zeros(4, 10), {"A": random(6, 7, 7, seed=1), "fc:input": random(9, seed=1)})
PROBE = Probe(
    STUDENT,
    TEACHER,
    ("a", "b"),
    ("A",),
    10,
    student_embedding="head:input",
    teacher_embedding="fc:input",
)
SEEN = Seen(BATCH, STUDENT, TEACHER)
LAST, EMBEDDING = ("b", "A"), ("head:input", "fc:input")


def strategy(name, **settings):
    return catalog.strategy(Component(name=name, **settings), PROBE)


def term(made, seen=SEEN):
    (found,) = made.terms(seen).values()
    return found


def relations(student, teacher):
    distances, angles = distance_relations(student, teacher), angle_relations(student, teacher)
    return 25 * distances + 50 * angles


LOSSES = {"similarity": similarity, "rkd": relations, "pkt": probability_transfer}


@pytest.mark.parametrize(
    ("name", "expected"), [("similarity", LAST), ("rkd", EMBEDDING), ("pkt", EMBEDDING)]
)
def test_by_default_the_published_layers_are_compared(name, expected):
    made = strategy(name)
    ours, theirs = expected
    assert made.layers == Layers((ours,), (theirs,))
    assert made.needs == Needs(teacher=True, features=True)
    assert list(made.parameters()) == []
    torch.testing.assert_close(
        term(made), LOSSES[name](STUDENT.features[ours], TEACHER.features[theirs])
    )


@every_strategy
@pytest.mark.parametrize(("layers", "expected"), [("last", LAST), ("embedding", EMBEDDING)])
def test_each_can_read_maps_or_embeddings(name, layers, expected):
    made = strategy(name, layers=layers)
    assert made.layers == Layers(*((path,) for path in expected))
    ours, theirs = STUDENT.features[expected[0]], TEACHER.features[expected[1]]
    torch.testing.assert_close(term(made), LOSSES[name](ours, theirs))


@every_strategy
def test_named_layers_are_summed(name):
    pairs = [{"student": "a", "teacher": "A"}, {"student": "b", "teacher": "fc:input"}]
    made = strategy(name, layers=pairs)
    assert made.layers == Layers(("a", "b"), ("A", "fc:input"))
    expected = sum(
        LOSSES[name](STUDENT.features[pair["student"]], TEACHER.features[pair["teacher"]])
        for pair in pairs
    )
    torch.testing.assert_close(term(made), expected)


@every_strategy
@pytest.mark.parametrize(
    ("settings", "weight"),
    [
        ({}, Weight(1.0, relative=True)),
        ({"weight": 0.5}, Weight(0.5, relative=True)),
        ({"raw_weight": 3000}, Weight(3000.0)),
    ],
)
def test_weights(name, settings, weight):
    weights = strategy(name, **settings).weights()
    assert weights["hard"] == Weight(1.0)
    assert set(weights) - {"hard"} == set(strategy(name).terms(SEEN))
    assert [w for key, w in weights.items() if key != "hard"] == [weight]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"w_angle": 0}, lambda s, t: 25 * distance_relations(s, t)),
        ({"w_distance": 0, "w_angle": 2}, lambda s, t: 2 * angle_relations(s, t)),
    ],
)
def test_a_relation_of_weight_zero_is_left_out(settings, expected):
    features = STUDENT.features["head:input"], TEACHER.features["fc:input"]
    torch.testing.assert_close(term(strategy("rkd", **settings)), expected(*features))


@every_strategy
def test_a_batch_of_one_teaches_nothing(name):
    def one(outputs):
        return Outputs(outputs.logits[:1], {p: f[:1] for p, f in outputs.features.items()})

    batch = Batch({}, BATCH.labels[:1], BATCH.ids[:1])
    assert torch.equal(
        term(strategy(name), Seen(batch, one(STUDENT), one(TEACHER))), torch.zeros(1)
    )


@every_strategy
def test_a_batch_without_the_teacher_is_refused(name):
    with pytest.raises(TrialError, match="the batch came without"):
        strategy(name).terms(Seen(BATCH, STUDENT))


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        (
            "rkd",
            {"w_distance": 0, "w_angle": 0},
            "strategy: w_distance and w_angle are both 0: nothing is left to learn; "
            "give one of them, or use strategy none",
        ),
        (
            "pkt",
            {"weight": 1, "raw_weight": 100},
            "strategy: give either weight (relative) or raw_weight (as it is), not both",
        ),
        (
            "similarity",
            {"hint": "all"},
            "strategy.hint: unknown key 'hint' (allowed: layers, raw_weight, weight)",
        ),
    ],
)
def test_settings_refused(name, settings, message):
    with pytest.raises(SpecError) as caught:
        catalog.params("strategy", Component(name=name, **settings), at="strategy")
    assert caught.value.problems == (message,)


@every_strategy
def test_stages_are_not_paired_by_resolution(name):
    with pytest.raises(
        SpecError, match=r"^strategy\.layers: 'auto': must be embedding or last, or a list of"
    ):
        catalog.params("strategy", Component(name=name, layers="auto"), at="strategy")
