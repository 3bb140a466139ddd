"""Selectivity as a strategy: sizes brought together, layers summed, its settings."""

import pytest
import torch

from kdsweep import catalog
from kdsweep.batch import Batch, Outputs
from kdsweep.errors import SpecError
from kdsweep.losses.selectivity import selectivity_transfer
from kdsweep.spec import Component
from kdsweep.strategies.base import Layers, Needs, Probe, Seen, Weight

BATCH = Batch({"images": torch.zeros(2, 1, 1, 1)}, torch.zeros(2).long(), torch.arange(2))


def maps(*shape, seed=0):
    return torch.randn(2, *shape, generator=torch.Generator().manual_seed(seed))


STUDENT = Outputs(
    torch.zeros(2, 10), {"a": maps(3, 8, 8), "b": maps(4, 4, 4), "c": maps(9, 1, 1), "v": maps(5)}
)
TEACHER = Outputs(
    torch.zeros(2, 10),
    {"A": maps(6, 8, 8, seed=1), "B": maps(7, 4, 4, seed=1), "C": maps(3, 1, 1, seed=1)},
)
PROBE = Probe(STUDENT, TEACHER, ("a", "b", "c"), ("A", "B", "C"), 10)
SEEN = Seen(BATCH, STUDENT, TEACHER)


def nst(**settings):
    return catalog.strategy(Component(name="nst", **settings), PROBE)


def test_by_default_all_stages_of_more_than_one_pixel_are_summed():
    strategy = nst()
    assert strategy.layers == Layers(("a", "b"), ("A", "B"))
    assert strategy.needs == Needs(teacher=True, features=True)
    assert strategy.weights() == {"hard": Weight(1.0), "selectivity": Weight(1.0, relative=True)}
    expected = sum(
        selectivity_transfer(STUDENT.features[path], TEACHER.features[path.upper()])
        for path in "ab"
    )
    torch.testing.assert_close(strategy.terms(SEEN)["selectivity"], expected)


@pytest.mark.parametrize(("student", "teacher"), [("a", "B"), ("b", "A")])
def test_the_larger_map_is_averaged_to_the_smaller(student, teacher):
    strategy = nst(layers=[{"student": student, "teacher": teacher}])
    ours, theirs = (
        features if features.shape[-1] == 4 else torch.nn.functional.avg_pool2d(features, 2)
        for features in (STUDENT.features[student], TEACHER.features[teacher])
    )
    expected = selectivity_transfer(ours, theirs)
    torch.testing.assert_close(strategy.terms(SEEN)["selectivity"], expected)


def test_raw_weight():
    assert nst(raw_weight=50).weights()["selectivity"] == Weight(50.0)


@pytest.mark.parametrize(("student", "teacher"), [("v", "A"), ("c", "A")])
def test_vectors_and_single_pixels_are_refused(student, teacher):
    with pytest.raises(SpecError, match=r"must be both maps \[D, H, W\] of at least 2 pixels"):
        nst(layers=[{"student": student, "teacher": teacher}])
