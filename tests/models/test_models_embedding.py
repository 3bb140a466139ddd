"""The vectors that a network classifies, and what a module takes, by module path."""

import pytest
import torch
from torch import nn

from kdsweep import catalog
from kdsweep.batch import Tokens
from kdsweep.errors import SpecError
from kdsweep.models.embedding import embedding
from kdsweep.models.features import FeatureTap
from kdsweep.spec import Component

IMAGES = torch.randn(3, 3, 32, 32)
TEXTS = torch.tensor([[1, 2, 3, 4, 0, 0], [5, 4, 3, 0, 0, 0], [2, 2, 2, 2, 2, 2]])


def of_images(**settings) -> nn.Module:
    return catalog.model(Component(**settings), shape=(3, 32, 32), num_classes=5).eval()


@pytest.mark.parametrize(
    ("settings", "path", "width"),
    [
        ({"name": "resnet", "depth": 8, "width": 4}, "classifier:input", 16),
        ({"name": "cnn", "width": 4}, "classifier.4:input", 32),
        ({"name": "torchvision", "model": "resnet18"}, "fc:input", 512),
    ],
)
def test_it_is_what_the_last_linear_layer_takes(settings, path, width):
    network = of_images(**settings)
    assert embedding(network, IMAGES) == path
    with FeatureTap(network, [path]) as tap:
        logits = network(IMAGES)
        vectors = tap.features[path]
    assert vectors.shape == (3, width)
    linear = network.get_submodule(path.removesuffix(":input"))
    torch.testing.assert_close(linear(vectors), logits)


def test_a_network_of_texts_has_one_too():
    shape = Tokens(length=6, vocabulary=10)
    network = catalog.model(Component(name="text_cnn", filters=4), shape=shape, num_classes=3)
    path = embedding(network, TEXTS)
    assert path is not None
    with FeatureTap(network, [path]) as tap:
        network(TEXTS)
        assert tap.features[path].shape == (3, 12)


def test_logits_that_come_of_a_convolution_have_none():
    network = of_images(name="torchvision", model="squeezenet1_1")
    assert embedding(network, IMAGES) is None


def test_looking_leaves_modes_and_hooks_as_they_were():
    network = of_images(name="resnet", depth=8, width=4).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    embedding(network, IMAGES)
    assert all(module.training for module in network.modules())
    assert not any(module._forward_hooks for module in network.modules())
    assert all(torch.equal(network.state_dict()[name], value) for name, value in before.items())


def test_what_a_module_takes_is_read_with_its_gradient():
    network = of_images(name="resnet", depth=8, width=4)
    with FeatureTap(network, ["stages.1:input", "stages.0"]) as tap:
        network(IMAGES).sum().backward()
        features = tap.features
    assert list(features) == ["stages.1:input", "stages.0"]
    assert features["stages.1:input"] is features["stages.0"]
    assert features["stages.0"].requires_grad


def test_the_input_of_a_module_that_is_not_there_is_refused():
    with pytest.raises(SpecError, match=r"no module at 'stages.9' in Cnn"):
        FeatureTap(of_images(name="cnn"), ["stages.9:input"])


def test_a_network_takes_what_it_reads_or_is_refused():
    with pytest.raises(SpecError, match=r"^text_cnn takes tokens, and the data set has images of"):
        of_images(name="text_cnn")
    shape = Tokens(length=6, vocabulary=1000)
    with pytest.raises(
        SpecError, match=r"^cnn takes images, and the data set has texts of 6 tokens out of 1,000$"
    ):
        catalog.model(Component(name="cnn"), shape=shape, num_classes=3)
