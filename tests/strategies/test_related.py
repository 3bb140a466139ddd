"""Where relations are read: embeddings, last maps, named layers, and what is said where none is."""

import pytest
import torch
from pydantic import ValidationError

from kdsweep.batch import Anatomy, Block, Outputs
from kdsweep.errors import SpecError
from kdsweep.strategies.base import Probe
from kdsweep.strategies.parts.related import RelatedLayers, embeddings, relate_layers


def outputs(shapes):
    return Outputs(
        torch.zeros(2, 10), {path: torch.zeros(2, *shape) for path, shape in shapes.items()}
    )


STUDENT = {"a": (4, 8, 8), "b": (8, 4, 4), "head:input": (8,)}
TEACHER = {"A": (5, 6, 6), "fc:input": (64,)}


def probe(**changes):
    known = {
        "student": outputs(STUDENT),
        "teacher": outputs(TEACHER),
        "student_stages": ("a", "b"),
        "teacher_stages": ("A",),
        "num_classes": 10,
        "student_embedding": "head:input",
        "teacher_embedding": "fc:input",
    }
    return Probe(**known | changes)


def paths(layers, known):
    return [(pair.student, pair.teacher) for pair in relate_layers(layers, known)]


def test_embeddings_are_those_of_the_last_linear_layers():
    (pair,) = relate_layers(RelatedLayers(), probe())
    assert (pair.student, pair.teacher) == ("head:input", "fc:input")
    assert (pair.student_shape, pair.teacher_shape) == ((8,), (64,))


def test_last_maps_need_not_be_of_one_resolution():
    assert paths(RelatedLayers(layers="last"), probe()) == [("b", "A")]


def test_the_last_of_a_transformer_is_its_last_block():
    # Its one map is that of the patches, before any block.
    blocks = tuple(Block(f"blocks.{i}", "q", "k", "v", heads=1) for i in range(2))
    hidden = {"patches": (4, 2, 2), "blocks.0": (5, 4), "blocks.1": (5, 4)}
    known = probe(
        student=outputs(hidden),
        student_stages=("patches",),
        student_anatomy=Anatomy("patches", blocks),
    )
    assert paths(RelatedLayers(layers="last"), known) == [("blocks.1", "A")]


def test_named_layers_may_be_of_any_shapes():
    layers = [{"student": "a", "teacher": "fc:input"}, {"student": "head:input", "teacher": "A"}]
    assert paths(RelatedLayers(layers=layers), probe()) == [("a", "fc:input"), ("head:input", "A")]


def test_every_network_without_an_embedding_is_named():
    said = (
        "layers: embedding reads what the last linear layer of each network classifies, and the "
        "{} has no such layer: set layers: last, or name the layers: "
        "layers: [{{student: PATH, teacher: PATH}}]"
    )
    with pytest.raises(SpecError) as caught:
        relate_layers(RelatedLayers(), probe(teacher_embedding=None))
    assert caught.value.problems == (said.format("teacher"),)
    with pytest.raises(SpecError) as caught:
        relate_layers(RelatedLayers(), probe(student_embedding=None, teacher_embedding=None))
    assert caught.value.problems == (said.format("student"), said.format("teacher"))


def test_the_remedy_is_that_of_the_setting_that_asks():
    with pytest.raises(SpecError) as caught:
        embeddings(probe(student_embedding=None), "embedding: true", "set embedding: false")
    assert caught.value.problems == (
        "embedding: true reads what the last linear layer of each network classifies, and the "
        "student has no such layer: set embedding: false",
    )


def test_a_network_without_maps_has_no_last_one():
    with pytest.raises(SpecError) as caught:
        relate_layers(RelatedLayers(layers="last"), probe(student_stages=()))
    assert caught.value.problems == (
        "layers: last reads the last map of each network, and the student has no maps: "
        "set layers: embedding, or name the layers: layers: [{student: PATH, teacher: PATH}]",
    )


def test_all_wrong_layers_are_named_at_once():
    windows = Outputs(torch.zeros(2, 10), {"windows": torch.zeros(8, 4, 3), "count": torch.ones(2)})
    layers = [{"student": "windows", "teacher": "B"}, {"student": "count", "teacher": "A"}]
    with pytest.raises(SpecError) as caught:
        relate_layers(RelatedLayers(layers=layers), probe(student=windows))
    must = "relations are between features [N, ...], one row for each example; name another layer"
    assert caught.value.problems == (
        f"layers.0.student: 'windows' gives [8, 4, 3] for 2 examples: {must}",
        "layers.0.teacher: no layer 'B'; nearest: 'A', 'fc:input'",
        f"layers.1.student: 'count' gives [2] for 2 examples: {must}",
    )


def test_a_missing_teacher_is_refused():
    with pytest.raises(SpecError, match="needs a teacher: give the trial one"):
        relate_layers(RelatedLayers(), probe(teacher=None))


def test_no_layers_are_refused():
    with pytest.raises(ValidationError, match="layers is empty: name at least one pair, or embed"):
        RelatedLayers(layers=[])
