"""Students that start from their teacher's blocks: what is copied, what is not, what is refused."""

import pytest
import torch
from transformer_networks import BERT, DISTILBERT, PAIRS, TEXTS, VIT, Distilled, network

from kdsweep import catalog
from kdsweep.batch import Anatomy, Block, Tokens
from kdsweep.errors import SpecError
from kdsweep.spec import Component
from kdsweep.strategies.parts.blocks import BlockPair
from kdsweep.strategies.parts.initialise import copy_blocks

SAME_SIZES = ["vit from vit", "bert from bert", "distilbert from bert"]


def state(network, path):
    return network.get_submodule(path).state_dict()


def assert_same(one, other):
    assert list(one) == list(other)
    assert all(torch.equal(one[name], other[name]) for name in one)


def snapshot(*networks):
    return [{k: v.clone() for k, v in each.state_dict().items()} for each in networks]


@pytest.mark.parametrize(("layer_map", "first"), [("uniform", 1), ("last", 2), ("skip", 0)])
@pytest.mark.parametrize("pair", SAME_SIZES)
def test_the_students_blocks_are_the_teachers(pair, layer_map, first):
    made = Distilled(*PAIRS[pair], initialise="alternate", layer_map=layer_map, blocks="last")
    teacher = snapshot(made.teacher)[0]
    classifier = snapshot(made.student.classifier)[0]
    made.strategy.begin(made.student, made.teacher)
    ours, theirs = made.student.anatomy, made.teacher.anatomy
    for block, position in zip(ours.blocks, (first, 3), strict=True):
        other = theirs.blocks[position]
        assert set(block.parts) == set(other.parts)
        for role, path in block.parts.items():
            assert_same(state(made.student, path), state(made.teacher, other.parts[role]))
    around = set(ours.parts) & set(theirs.parts) - {"classifier"}
    assert len(around) >= 3
    for role in around:
        assert_same(state(made.student, ours.parts[role]), state(made.teacher, theirs.parts[role]))
    assert_same(made.student.classifier.state_dict(), classifier)
    assert_same(made.teacher.state_dict(), teacher)


@pytest.mark.parametrize("pair", SAME_SIZES)
def test_a_block_has_all_its_parameters_among_its_parts(pair):
    for component in PAIRS[pair]:
        made = network(component)
        for block in made.anatomy.blocks:
            parts = [
                p for path in block.parts.values() for p in made.get_submodule(path).parameters()
            ]
            whole = list(made.get_submodule(block.hidden).parameters())
            assert {id(p) for p in parts} == {id(p) for p in whole}
            assert {block.query, block.key, block.value} <= set(block.parts.values())


@pytest.mark.parametrize("component", [VIT, BERT])
def test_a_student_of_the_same_depth_thinks_as_its_teacher(component):
    made = Distilled(component, component, initialise="alternate", embeddings=True)
    assert made.terms()["hidden"].min() > 0.01
    made.strategy.begin(made.student, made.teacher)
    for term in made.terms().values():
        torch.testing.assert_close(term, torch.zeros(4), atol=1e-10, rtol=0)


def test_nothing_is_copied_unless_asked_for():
    made = Distilled(*PAIRS["vit from vit"])
    before = snapshot(made.student)[0]
    made.strategy.begin(made.student, made.teacher)
    assert_same(made.student.state_dict(), before)


def test_fewer_positions_are_the_first_ones():
    made = Distilled(DISTILBERT, {**BERT, "positions": 30}, initialise="alternate")
    made.strategy.begin(made.student, made.teacher)
    ours = made.student.distilbert.embeddings.position_embeddings.weight
    theirs = made.teacher.bert.embeddings.position_embeddings.weight
    assert len(ours) == TEXTS.length
    assert torch.equal(ours, theirs[: TEXTS.length])


@pytest.mark.parametrize(
    ("ours", "theirs", "message"),
    [
        (
            DISTILBERT, {**BERT, "width": 24},
            "initialise: weight of student 'distilbert.transformer.layer.0.attention.q_lin' is "
            "[16, 16] and of teacher 'bert.encoder.layer.1.attention.self.query' [24, 24]: what "
            "is copied must be of one size; give the student the teacher's sizes, or use "
            "initialise: none",
        ),
        (
            {**VIT, "mlp_ratio": 2}, VIT,
            "initialise: weight of student 'blocks.0.ffn.0' is [32, 16] and of teacher "
            "'blocks.0.ffn.0' [64, 16]: what is copied must be of one size; give the student the "
            "teacher's sizes, or use initialise: none",
        ),
        (
            {**VIT, "heads": 4}, VIT,
            "initialise: student 'blocks.0' has 4 heads and teacher 'blocks.0' 2: the same "
            "weights would attend otherwise; use as many heads, or initialise: none",
        ),
        (
            {**DISTILBERT, "positions": 20}, {**BERT, "positions": 12},
            "initialise: weight of student 'distilbert.embeddings.position_embeddings' is "
            "[20, 16] and of teacher 'bert.embeddings.position_embeddings' [12, 16]: what is "
            "copied must be of one size; give the student the teacher's sizes, or use "
            "initialise: none",
        ),
    ],
    ids=["width", "hidden", "heads", "positions"],
)  # fmt: skip
def test_other_sizes_are_refused_and_nothing_is_changed(ours, theirs, message):
    made = Distilled(ours, theirs, initialise="alternate")
    before = snapshot(made.student, made.teacher)
    with pytest.raises(SpecError) as caught:
        made.strategy.begin(made.student, made.teacher)
    assert caught.value.problems == (message,)
    for each, kept in zip((made.student, made.teacher), before, strict=True):
        assert_same(each.state_dict(), kept)


def block(parts):
    return Block("blocks.0", "q", "k", "v", heads=2, parts=parts)


@pytest.mark.parametrize(
    ("ours", "theirs", "message"),
    [
        ({}, {}, "has the parts none and teacher 'blocks.0' none: blocks of one kind are copied"),
        ({"a": "norm"}, {"b": "norm"}, "has the parts a and teacher 'blocks.0' b: blocks of one"),
        ({"a": "nowhere"}, {"a": "norm"}, "the anatomy of Vit names 'nowhere', and there is no"),
    ],
)
def test_anatomies_that_do_not_say_what_to_copy(ours, theirs, message):
    networks = (network(VIT), network(VIT))
    empty = Anatomy("embeddings", ())
    with pytest.raises(SpecError, match=message):
        copy_blocks([BlockPair(block(ours), block(theirs))], networks, (empty, empty))


def test_as_an_extra_it_only_sets_the_student_up():
    component = Component(
        name="transformer", hidden="none", attention="none", initialise="alternate"
    )
    settings = catalog.params("strategy", component)
    made = Distilled(*PAIRS["vit from vit"], **settings.model_dump(exclude_unset=True))
    assert made.terms() == {}
    assert made.strategy.layers.student == ()


def test_spare_rows_of_the_teachers_vocabulary_are_left_out():
    student = catalog.model(Component(**DISTILBERT), shape=TEXTS, num_classes=3)
    spare = Tokens(TEXTS.length, TEXTS.vocabulary + 7)
    teacher = catalog.model(Component(**BERT), shape=spare, num_classes=3)
    empty = [Anatomy(each.anatomy.embedding, (), each.anatomy.parts) for each in (student, teacher)]
    copy_blocks([], (student, teacher), (empty[0], empty[1]))
    ours, theirs = (
        each.get_submodule(each.anatomy.parts["tokens"]).weight for each in (student, teacher)
    )
    assert torch.equal(ours, theirs[: TEXTS.vocabulary])
    with pytest.raises(SpecError, match=r"^initialise: weight of student"):
        copy_blocks([], (teacher, student), (empty[1], empty[0]))
