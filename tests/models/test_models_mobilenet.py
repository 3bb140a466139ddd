"""MobileNetV2 at CIFAR's resolution: size as published, widths and depths, blocks by hand."""

import pytest
import torch
from torch import nn

from kdsweep import catalog
from kdsweep.errors import SpecError
from kdsweep.models.features import FeatureTap, stages
from kdsweep.models.mobilenet import InvertedResidual
from kdsweep.models.size import sizes
from kdsweep.spec import Component


def build(shape=(3, 32, 32), num_classes=100, **settings):
    component = Component(name="mobilenet", **settings)
    return catalog.model(component, shape=shape, num_classes=num_classes)


def test_published_size():  # of MobileNetV2 at half width, which is the default
    found = sizes(lambda: build(width=0.5), (3, 32, 32))
    assert round(found["params"] / 1e6, 3) == 0.813
    assert round(found["macs"] / 1e6, 1) == 6.5
    assert sizes(build, (3, 32, 32)) == found


def test_block_by_block_as_torchvision_at_full_width():
    """Only the strides differ, and the first block, which has no expansion in torchvision."""
    theirs = catalog.model(
        Component(name="torchvision", model="mobilenet_v2"), shape=(3, 32, 32), num_classes=100
    )
    own = build(width=1.0)
    expanded = own.stages[0][0].expand
    expected = sum(p.numel() for p in theirs.parameters())
    extra = sum(p.numel() for p in expanded.parameters())
    assert sum(p.numel() for p in own.parameters()) - extra == expected


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 28, 28), (3, 32, 32), (2, 5, 11), (4, 64, 48)])
def test_takes_images_of_any_size(shape):
    assert build(shape, 7, width=0.1).eval()(torch.randn(2, *shape)).shape == (2, 7)


def test_stages_end_at_a_sixteenth_of_the_image():
    network = build(width=0.1)
    paths = stages(network, torch.randn(1, 3, 32, 32))
    assert paths == ("stages.1", "stages.2", "stages.4", "final")
    with FeatureTap(network, paths) as tap:
        network(torch.randn(2, 3, 32, 32))
        assert [maps.shape[-1] for maps in tap.features.values()] == [16, 8, 4, 2]
        assert (tap.features["final"] >= 0).all()


@pytest.mark.parametrize(
    ("depth", "blocks"),
    [(1.0, [1, 2, 3, 4, 3, 3, 1]), (0.5, [1, 1, 2, 2, 2, 2, 1]), (0.01, [1] * 7),
     (2.0, [2, 4, 6, 8, 6, 6, 2])],
)  # fmt: skip
def test_depth_is_a_factor_of_the_blocks_rounded_up(depth, blocks):
    assert [len(stage) for stage in build(width=0.05, depth=depth).stages] == blocks


@pytest.mark.parametrize(
    ("settings", "head"),
    [({"width": 0.25}, 1280), ({"width": 1.5}, 1920), ({"width": 1.5, "head": 96}, 96)],
)
def test_the_head_grows_with_a_width_over_one_unless_given(settings, head):
    with torch.device("meta"):
        assert build(**settings).classifier.in_features == head


def test_every_width_and_depth_makes_a_larger_network():
    by_width = [sizes(lambda w=w: build(width=w), (3, 32, 32)) for w in (0.25, 0.5, 1.0)]
    by_depth = [sizes(lambda d=d: build(depth=d), (3, 32, 32)) for d in (0.3, 1.0, 2.0)]
    for found in (by_width, by_depth):
        assert found[0]["params"] < found[1]["params"] < found[2]["params"]
        assert found[0]["macs"] < found[1]["macs"] < found[2]["macs"]


def test_a_block_by_hand():
    """With the identity for every convolution the block gives x + relu(relu(x)), nearly."""
    block = InvertedResidual(2, 2, stride=1, expansion=1).eval()
    for convolution in (m for m in block.modules() if isinstance(m, nn.Conv2d)):
        nn.init.dirac_(convolution.weight, groups=convolution.groups)
    scale = (1 + 1e-5) ** -0.5
    maps = torch.tensor([-1.0, 2.0]).view(1, 2, 1, 1)
    expected = torch.tensor([-1.0, 2.0 + 2.0 * scale**3]).view(1, 2, 1, 1)
    torch.testing.assert_close(block(maps), expected)


def test_what_a_block_gives_has_no_activation():
    block = InvertedResidual(2, 3, stride=2, expansion=6)
    assert (block(torch.randn(4, 2, 8, 8)) < 0).any()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"width": 0.0}, "width: 0.0 is not allowed: must be at least 0.05"),
        ({"depth": 0}, "depth: 0 is not allowed: must be greater than 0.0"),
        ({"head": 0}, "head: 0 is not allowed: must be at least 1"),
    ],
)
def test_what_is_no_mobilenet_is_refused(settings, sentence):
    with pytest.raises(SpecError) as caught:
        build(**settings)
    assert str(caught.value) == sentence
