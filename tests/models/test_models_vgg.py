"""The plain networks of the CIFAR-100 tables: sizes as published, stages, refusals."""

import pytest
import torch

from kdsweep import catalog
from kdsweep.errors import SpecError
from kdsweep.models.features import FeatureTap, stages
from kdsweep.models.size import sizes
from kdsweep.spec import Component


def build(shape=(3, 32, 32), num_classes=100, **settings):
    component = Component(name="vgg", **settings)
    return catalog.model(component, shape=shape, num_classes=num_classes)


@pytest.mark.parametrize(("depth", "params", "macs"), [(8, 3.965, 96.2), (13, 9.462, 284.9)])
def test_published_size(depth, params, macs):
    found = sizes(lambda: build(depth=depth), (3, 32, 32))
    assert round(found["params"] / 1e6, 3) == params
    assert round(found["macs"] / 1e6, 1) == macs


@pytest.mark.parametrize("depth", [8, 11, 13, 16, 19])
def test_the_depth_counts_the_convolutions_and_the_originals_three_linear_layers(depth):
    convolutions = [p for p in build(depth=depth, width=1).parameters() if p.ndim == 4]
    assert len(convolutions) == depth - 3


def test_size_of_vgg16_by_hand():
    # Convolutions with biases and two parameters of each norm, then the linear layer.
    per_stage = [(3, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 256),
                 (256, 512), *[(512, 512)] * 5]  # fmt: skip
    expected = sum(9 * d * w + 3 * w for d, w in per_stage) + 512 * 10 + 10
    assert sizes(lambda: build(num_classes=10, depth=16), (3, 32, 32))["params"] == expected


@pytest.mark.parametrize(
    ("side", "resolutions"),
    [(8, [8, 4, 2, 1, 1]), (32, [32, 16, 8, 4, 4]), (63, [63, 31, 15, 7, 7]),
     (64, [64, 32, 16, 8, 4])],
)  # fmt: skip
def test_a_fourth_pool_where_the_image_is_large_enough(side, resolutions):
    network = build((1, side, side), width=1)
    with FeatureTap(network, [f"stages.{number}" for number in range(5)]) as tap:
        network(torch.randn(2, 1, side, side))
        assert [maps.shape[-1] for maps in tap.features.values()] == resolutions
        assert [maps.shape[1] for maps in tap.features.values()] == [1, 2, 4, 8, 8]
        assert all((maps >= 0).all() for maps in tap.features.values())


def test_stages_of_teacher_and_student_pair_by_resolution():
    images = torch.randn(1, 3, 32, 32)
    expected = ("stages.0", "stages.1", "stages.2", "stages.4")
    assert stages(build(depth=13, width=4), images) == expected
    assert stages(build(depth=8, width=4), images) == expected


def test_the_embedding_is_what_is_classified():
    network = build(width=2).eval()
    with FeatureTap(network, ["stages.4", "pooled"]) as tap:
        logits = network(torch.randn(3, 3, 32, 32))
        torch.testing.assert_close(tap.features["stages.4"].mean((2, 3)), tap.features["pooled"])
        torch.testing.assert_close(network.classifier(tap.features["pooled"]), logits)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"depth": 12}, "depth: 12: a vgg's depth is 8, 11, 13, 16 or 19: use 11"),
        ({"depth": 20}, "depth: 20: a vgg's depth is 8, 11, 13, 16 or 19: use 19"),
        ({"width": 0}, "width: 0 is not allowed: must be at least 1"),
        (
            {"shape": (1, 28, 7)},
            "vgg: needs sides of at least 8 (three pools halve the image), but the images are "
            "1x28x7: use larger images, or another model",
        ),
    ],
)
def test_what_is_no_vgg_is_refused(settings, sentence):
    with pytest.raises(SpecError) as caught:
        build(**settings)
    assert str(caught.value) == sentence
