"""Which layers are paired, and what is said of those that cannot be."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from kdsweep.batch import Outputs
from kdsweep.errors import SpecError
from kdsweep.strategies.base import Layers, Probe
from kdsweep.strategies.parts.pairing import PairedLayers, layers_of, pair_layers


def outputs(shapes):
    return Outputs(
        torch.zeros(2, 10), {path: torch.zeros(2, *shape) for path, shape in shapes.items()}
    )


def probe(student, teacher):
    """All layers of more than one dimension are stages."""
    return Probe(outputs(student), outputs(teacher), tuple(student), tuple(teacher), 10)


def paths(pairs):
    return [(pair.student, pair.teacher) for pair in pairs]


STAGES = {"a": (4, 32, 32), "b": (8, 16, 16), "c": (16, 8, 8)}
WIDER = {"A": (16, 32, 32), "B": (32, 16, 16), "C": (64, 8, 8)}


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        ("all", [("a", "A"), ("b", "B"), ("c", "C")]),
        ("middle", [("b", "B")]),
        ("last", [("c", "C")]),
    ],
)
def test_stages_pair_by_resolution(hint, expected):
    pairs = pair_layers(PairedLayers(hint=hint), probe(STAGES, WIDER), ranks=(3,))
    assert paths(pairs) == expected


def test_of_two_pairs_the_middle_one_is_not_the_last():
    two = {"a": (4, 8, 8), "b": (8, 4, 4)}
    assert paths(pair_layers(PairedLayers(), probe(two, two), ranks=(3,))) == [("a", "a")]


@pytest.mark.parametrize(
    ("teacher", "expected"),
    [
        ({"A": (8, 16, 16), "B": (8, 8, 8)}, [("b", "A"), ("c", "B")]),  # a stage less
        (
            {"A": (8, 28, 28), "B": (8, 14, 14), "C": (8, 7, 7)},
            [("a", "A"), ("b", "B"), ("c", "C")],
        ),
        ({"A": (8, 8, 8), "B": (9, 8, 8), "v": (64,)}, [("c", "B")]),  # equally near: the deeper
    ],
)
def test_stages_without_a_counterpart_are_left_out(teacher, expected):
    pairs = pair_layers(PairedLayers(hint="all"), probe(STAGES, teacher), ranks=(3,))
    assert paths(pairs) == expected


@given(st.lists(st.integers(1, 64), min_size=1), st.lists(st.integers(1, 64), min_size=1))
def test_automatic_pairs_are_one_to_one_and_near(ours, theirs):
    student = {f"s{i}": (2, side, side) for i, side in enumerate(ours)}
    teacher = {f"t{i}": (2, side, side) for i, side in enumerate(theirs)}
    try:
        pairs = pair_layers(PairedLayers(hint="all"), probe(student, teacher), ranks=(3,))
    except SpecError:
        ratios = [max(a, b) / min(a, b) for a in ours for b in theirs]
        assert min(ratios) >= 2**0.5
        return
    assert len({p.student for p in pairs}) == len({p.teacher for p in pairs}) == len(pairs)
    assert all(2**-0.5 < p.student_shape[1] / p.teacher_shape[1] < 2**0.5 for p in pairs)


def test_nothing_to_pair_names_all_stages():
    with pytest.raises(SpecError) as caught:
        pair_layers(
            PairedLayers(), probe({"a": (4, 8, 8)}, {"A": (8, 2, 2), "B": (8, 1, 1)}), ranks=(3,)
        )
    assert caught.value.problems == (
        "layers: auto pairs stages of nearly the same height and width, and there are none: "
        "student 'a' [4, 8, 8]; teacher 'A' [8, 2, 2], 'B' [8, 1, 1]; "
        "name the pairs: layers: [{student: PATH, teacher: PATH}]",
    )


def test_maps_of_too_few_pixels_are_not_paired():
    both = {"a": (4, 2, 2), "b": (8, 1, 1)}
    pairs = pair_layers(PairedLayers(hint="last"), probe(both, both), ranks=(3,), min_area=2)
    assert paths(pairs) == [("a", "a")]
    with pytest.raises(SpecError, match="and at least 2 pixels, and there are none: student 'b'"):
        pair_layers(
            PairedLayers(), probe({"b": (8, 1, 1)}, {"b": (8, 1, 1)}), ranks=(3,), min_area=2
        )


def test_named_pairs_are_taken_as_named():
    params = PairedLayers(
        layers=[{"student": "a", "teacher": "C"}, {"student": "a", "teacher": "A"}]
    )
    pairs = pair_layers(params, probe(STAGES, WIDER), ranks=(3,))
    assert paths(pairs) == [("a", "C"), ("a", "A")]
    assert layers_of(pairs) == Layers(student=("a",), teacher=("C", "A"))


def test_all_wrong_pairs_are_named_at_once():
    params = PairedLayers(
        layers=[
            {"student": "stage.1", "teacher": "A"},
            {"student": "stages.1", "teacher": "pooled"},
            {"student": "stages.1", "teacher": "B"},
        ]
    )
    known = probe({"stages.1": (4, 8, 8)}, {"A": (8, 8, 8), "pooled": (8,), "B": (8, 1, 1)})
    with pytest.raises(SpecError) as caught:
        pair_layers(params, known, ranks=(3,), min_area=2)
    assert caught.value.problems == (
        "layers.0.student: no layer 'stage.1'; nearest: 'stages.1'",
        "layers.1: student 'stages.1' [4, 8, 8] and teacher 'pooled' [8] cannot be matched: "
        "must be both maps [D, H, W] of at least 2 pixels; name other layers",
        "layers.2: student 'stages.1' [4, 8, 8] and teacher 'B' [8, 1, 1] cannot be matched: "
        "must be both maps [D, H, W] of at least 2 pixels; name other layers",
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layers": []}, "layers is empty: name at least one pair, or auto"),
        (
            {"layers": [{"student": "a", "teacher": "b"}], "hint": "all"},
            "hint chooses among the pairs of layers: auto; leave it out",
        ),
    ],
)
def test_settings_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        PairedLayers(**settings)
