"""The published sizes of CIFAR-100 networks: parameters and multiply-adds, in millions."""

import pytest
import torch
from torch import nn

from kdsweep import catalog
from kdsweep.errors import SpecError
from kdsweep.models.size import sizes
from kdsweep.spec import Component

PUBLISHED = [
    ({"name": "resnet", "depth": 8}, 0.084, 12.5),
    ({"name": "resnet", "depth": 14}, 0.181, 26.7),
    ({"name": "resnet", "depth": 20}, 0.278, 40.8),
    ({"name": "resnet", "depth": 32}, 0.473, 69.1),
    ({"name": "resnet", "depth": 44}, 0.667, 97.4),
    ({"name": "resnet", "depth": 56}, 0.862, 125.8),
    ({"name": "resnet", "depth": 110}, 1.737, 253.2),
    ({"name": "resnet", "depth": 8, "width": 64, "stem": 32}, 1.234, 177.1),
    ({"name": "resnet", "depth": 32, "width": 64, "stem": 32}, 7.434, 1083.0),
    ({"name": "wide_resnet", "depth": 16, "width": 1}, 0.181, 26.7),
    ({"name": "wide_resnet", "depth": 16, "width": 2}, 0.703, 101.1),
    ({"name": "wide_resnet", "depth": 40, "width": 1}, 0.570, 83.3),
    ({"name": "wide_resnet", "depth": 40, "width": 2}, 2.255, 327.6),
]


def build(shape=(3, 32, 32), num_classes=100, **settings) -> nn.Module:
    return catalog.model(Component(**settings), shape=shape, num_classes=num_classes)


@pytest.mark.parametrize(
    ("settings", "params", "macs"), PUBLISHED, ids=lambda v: str(v) if isinstance(v, dict) else ""
)
def test_published_size(settings, params, macs):
    found = sizes(lambda: build(**settings), (3, 32, 32))
    assert round(found["params"] / 1e6, 3) == params
    assert round(found["macs"] / 1e6, 1) == macs


@pytest.mark.parametrize("name", ["resnet", "wide_resnet"])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (2, 5, 11), (1, 1, 1)])
def test_takes_images_of_any_size(name, shape):
    network = build(shape, 7, name=name, depth=8 if name == "resnet" else 10)
    assert network(torch.randn(2, *shape)).shape == (2, 7)


def test_a_resnet_block_by_hand():  # with the identity for both convolutions: relu(relu(x) + x)
    block = build(name="resnet", depth=8, width=2).stages[0][0].eval()
    for convolution in (block.conv1, block.conv2):
        nn.init.dirac_(convolution.weight)
    maps = torch.tensor([-1.0, 2.0]).view(1, 2, 1, 1)
    scale = 1 / (1 + block.norm1.eps)
    expected = torch.tensor([0.0, 2.0 * scale + 2.0]).view(1, 2, 1, 1)
    torch.testing.assert_close(block(maps), expected)


def test_a_wide_block_by_hand():  # with the identity for both convolutions: relu(x) + x
    block = build(name="wide_resnet", depth=10).stages[0][0].eval()
    for convolution in (block.conv1, block.conv2):
        nn.init.dirac_(convolution.weight)
    maps = torch.full((1, 16, 1, 1), -1.0)
    maps[:, 0] = 2.0
    expected = maps + maps.clamp(min=0) / (1 + block.norm1.eps)
    torch.testing.assert_close(block(maps), expected)


def test_dropout_of_a_wide_resnet_acts_in_training_only():
    network = build((1, 8, 8), name="wide_resnet", depth=10, dropout=0.5)
    maps = torch.randn(4, 16, 8, 8)
    block = network.stages[0][0]
    assert not torch.equal(block(maps), block(maps))
    block.eval()
    assert torch.equal(block(maps), block(maps))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"name": "resnet", "depth": 18},
            "depth: 18: a resnet's depth is 6n + 2 (8, 14, 20, ...): use 14 or 20",
        ),
        (
            {"name": "wide_resnet", "depth": 28 - 1},
            "depth: 27: a wide_resnet's depth is 6n + 4 (10, 16, 22, ...): use 22 or 28",
        ),
        ({"name": "resnet", "depth": 2}, "depth: 2 is not allowed: must be at least 8"),
    ],
)
def test_a_depth_between_two_networks_is_refused(settings, sentence):
    with pytest.raises(SpecError) as caught:
        build(**settings)
    assert str(caught.value) == sentence
