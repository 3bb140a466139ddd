"""What every family of networks must do: a new file in the room is tested by being there."""

import pytest
import torch
from torch import nn

from kdsweep import catalog
from kdsweep.models.features import FeatureTap, stages
from kdsweep.models.size import sizes
from kdsweep.spec import Component

SHAPES = [(1, 8, 8), (3, 32, 32)]
CLASSES = 7

every_family = pytest.mark.parametrize("name", catalog.names("model"))
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=["1x8x8", "3x32x32"])


def build(name: str, shape: tuple[int, int, int]) -> nn.Module:
    """The family with its default settings."""
    torch.manual_seed(0)
    return catalog.model(Component(name=name), shape=shape, num_classes=CLASSES)


def images(shape: tuple[int, int, int]) -> torch.Tensor:
    return torch.randn(4, *shape, generator=torch.Generator().manual_seed(1))


def test_the_families():
    assert {"cnn", "resnet", "torchvision", "wide_resnet"} <= set(catalog.names("model"))


@every_family
def test_says_what_it_is_and_where_it_is_from(name):
    family = catalog.find("model", name)
    assert len(family.__dict__["__doc__"].split()) > 5
    assert family.source.strip()
    assert family.Params.__dict__["__doc__"]


@every_family
@every_shape
def test_gives_logits_and_gradients_to_every_parameter(name, shape):
    network = build(name, shape).train()
    logits = network(images(shape))
    assert logits.shape == (4, CLASSES)
    assert logits.dtype == torch.float32
    nn.functional.cross_entropy(logits, torch.arange(4)).backward()
    for path, parameter in network.named_parameters():
        assert parameter.grad is not None, path
        assert parameter.grad.isfinite().all(), path
        assert parameter.grad.count_nonzero() > 0, path


@every_family
@every_shape
def test_evaluation_is_deterministic_and_sample_by_sample(name, shape):
    network = build(name, shape).eval()
    batch = images(shape)
    with torch.no_grad():
        together = network(batch)
        assert torch.equal(network(batch), together)
        alone = torch.cat([network(image[None]) for image in batch])
    torch.testing.assert_close(alone, together, rtol=1e-4, atol=1e-4)


@every_family
def test_the_same_seed_draws_the_same_weights(name):
    one, other = build(name, SHAPES[0]).state_dict(), build(name, SHAPES[0]).state_dict()
    assert all(torch.equal(one[path], other[path]) for path in one)


@every_family
def test_weights_go_to_another_network_of_the_family(name):
    network = build(name, SHAPES[0])
    network.train()(images(SHAPES[0]))
    torch.manual_seed(2)
    other = catalog.model(Component(name=name), shape=SHAPES[0], num_classes=CLASSES)
    other.load_state_dict(network.state_dict())
    with torch.no_grad():
        batch = images(SHAPES[0])
        assert torch.equal(other.eval()(batch), network.eval()(batch))


@every_family
@every_shape
def test_has_stages_that_get_smaller(name, shape):
    network = build(name, shape)
    paths = stages(network, images(shape))
    assert len(paths) >= 2
    with FeatureTap(network, paths) as tap:
        network(images(shape))
        sides = [features.shape[-1] for features in tap.features.values()]
    assert sides == sorted(sides, reverse=True)
    assert len(set(sides)) == len(sides)


@every_family
def test_is_built_on_meta(name):
    with torch.device("meta"):
        network = build(name, SHAPES[0])
    assert all(parameter.is_meta for parameter in network.parameters())
    found = sizes(lambda: build(name, SHAPES[0]), SHAPES[0], num_classes=CLASSES)
    assert min(found.values()) > 0
