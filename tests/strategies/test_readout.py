"""One vector for each example from a layer of any rank; what is refused."""

import pytest
import torch

from kdsweep.batch import Batch, Outputs, Tokens
from kdsweep.errors import SpecError, TrialError
from kdsweep.strategies.base import Probe
from kdsweep.strategies.parts.readout import Readout, readouts, student_readout, teacher_readout

TOKENS = torch.tensor([[5, 6, 0], [7, 0, 0], [0, 0, 0]])
BATCH = Batch(
    {"images": torch.zeros(3, 1, 2, 2), "tokens": TOKENS}, torch.zeros(3).long(), torch.arange(3)
)
FEATURES = {
    "vector": torch.zeros(3, 4),
    "map": torch.zeros(3, 5, 2, 2),
    "sequence": torch.zeros(3, 3, 6),
    "number": torch.zeros(3),
    "clip": torch.zeros(3, 1, 2, 2, 2),
    "positions": torch.zeros(1, 3, 6),
}
NETWORK = Outputs(torch.zeros(3, 2), FEATURES)


def of(features, **settings):
    return Readout("x", 1, **settings).of(Outputs(torch.zeros(3, 2), {"x": features}), BATCH)


def test_vectors_are_read_as_they_are():
    features = torch.randn(3, 4)
    assert torch.equal(of(features), features)


def test_maps_are_averaged_over_pixels():
    features = torch.arange(12.0).reshape(3, 1, 2, 2)
    assert torch.equal(of(features), torch.tensor([[1.5], [5.5], [9.5]]))


def test_sequences_are_averaged_over_positions():
    features = torch.tensor([[1.0, 2.0, 6.0]] * 3).unsqueeze(2)
    assert torch.equal(of(features), torch.full((3, 1), 3.0))


def test_padding_is_not_part_of_a_text():
    features = torch.tensor([[1.0, 2.0, 1e9], [4.0, 1e9, torch.nan], [torch.nan] * 3])
    # (1 + 2) / 2; 4; nothing.
    got = of(features.unsqueeze(2), of_tokens=True)
    assert torch.equal(got, torch.tensor([[1.5], [4.0], [0.0]]))


def test_half_precision_is_averaged_in_float32():
    features = torch.full((3, 1, 40, 50), 100.0, dtype=torch.float16)
    got = of(features)
    assert got.dtype == torch.float32
    assert torch.equal(got, torch.full((3, 1), 100.0))


def test_features_that_are_not_of_the_tokens_are_refused():
    with pytest.raises(TrialError, match=r"'x' gives \[3, 6, 3\] for tokens \[3, 3\]: must be one"):
        of(torch.zeros(3, 6, 3), of_tokens=True)


def test_widths_and_modalities():
    text = Tokens(3, 10)
    found = readouts(["vector", "map", "sequence"], NETWORK, text, where="layers")
    assert [each.width for each in found] == [4, 5, 6]
    assert all(each.of_tokens for each in found)
    assert not readouts(["sequence"], NETWORK, (1, 2, 2), where="layers")[0].of_tokens


def test_each_network_by_its_own_modality_and_embedding():
    probe = Probe(
        NETWORK, NETWORK, (), (), 2, shape=Tokens(3, 10), teacher_shape=(1, 2, 2),
        student_embedding="vector", teacher_embedding="sequence",
    )  # fmt: skip
    assert student_readout(probe, None) == Readout("vector", 4, of_tokens=True)
    assert teacher_readout(probe, None) == Readout("sequence", 6)
    assert teacher_readout(probe, "map") == Readout("map", 5)


@pytest.mark.parametrize("path", ["number", "clip", "positions"])
def test_layers_without_vectors_are_refused(path):
    with pytest.raises(SpecError, match=rf"layers.1: layer '{path}' gives \[.*\] for 3 examples"):
        readouts(["vector", path], NETWORK, None, where="layers")


def test_a_layer_that_is_not_there_and_every_other_problem_at_once():
    with pytest.raises(SpecError) as caught:
        readouts(["victor", "number"], NETWORK, None, where="layers")
    assert len(caught.value.problems) == 2
    assert caught.value.problems[0].startswith("layers.0: no layer 'victor'; nearest: 'vector'")


def test_a_network_without_an_embedding_must_be_told_where():
    probe = Probe(NETWORK, NETWORK, (), (), 2)
    with pytest.raises(SpecError, match="student_layer: the student has no embedding"):
        student_readout(probe, None)
    with pytest.raises(SpecError, match="teacher_layer: PATH"):
        teacher_readout(probe, None)
    with pytest.raises(SpecError, match="needs a teacher"):
        teacher_readout(Probe(NETWORK, None, (), (), 2), None)
