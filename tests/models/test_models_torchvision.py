import pytest
import torch
from torch import nn
from torchvision import models

from kdsweep import catalog
from kdsweep.errors import SpecError
from kdsweep.models.size import count_macs, sizes
from kdsweep.spec import Component

ONE_OF_EACH_KIND = [
    "alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "googlenet", "inception_v3",
    "maxvit_t", "mnasnet0_5", "mobilenet_v2", "mobilenet_v3_small", "regnet_y_400mf", "resnet18",
    "shufflenet_v2_x0_5", "squeezenet1_1", "swin_t", "vgg11_bn", "vit_b_32",
]  # fmt: skip


def build(model="resnet18", shape=(3, 32, 32), num_classes=10, **settings) -> nn.Module:
    component = Component(name="torchvision", model=model, **settings)
    return catalog.model(component, shape=shape, num_classes=num_classes)


@pytest.fixture(autouse=True)
def _nothing_is_downloaded(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a download was tried")

    monkeypatch.setattr("torch.hub.download_url_to_file", refuse)


@pytest.mark.parametrize("model", ONE_OF_EACH_KIND)
def test_one_channel_and_any_number_of_classes(model):
    shape = (1, 224, 224)
    with torch.device("meta"):
        network = build(model, shape, num_classes=7)
        assert network.train()(torch.empty(2, *shape)).shape == (2, 7)


@pytest.mark.parametrize(
    ("model", "params", "macs"),  # as torchvision's documentation lists them
    [
        ("resnet18", 11_689_512, 1.81e9),
        ("mobilenet_v2", 3_504_872, 0.30e9),
        ("vit_b_16", 86_567_656, 17.56e9),
        ("regnet_x_400mf", 5_495_976, 0.41e9),
        ("swin_t", 28_288_354, 4.49e9),
    ],
)
def test_documented_size(model, params, macs):
    shape = (3, 224, 224)
    found = sizes(lambda: build(model, shape, 1000), shape)
    assert found["params"] == params
    assert found["macs"] == pytest.approx(macs, rel=0.02)


def test_attention_counts_the_same_on_the_cpu_as_on_meta():
    shape = (3, 32, 32)
    on_meta = sizes(lambda: build("vit_b_32", shape), shape)["macs"]
    assert count_macs(build("vit_b_32", shape), shape) == on_meta


def test_modules_and_weights_are_named_as_in_torchvision():
    network = build("resnet18", (3, 32, 32), 1000)
    assert isinstance(network, models.ResNet)
    assert network.state_dict().keys() == models.resnet18().state_dict().keys()


def test_learns_from_small_images_of_one_channel():
    network = build("resnet18", (1, 8, 8))
    network(torch.randn(2, 1, 8, 8)).sum().backward()
    assert network.conv1.weight.shape == (64, 1, 7, 7)
    assert network.conv1.weight.grad.abs().sum() > 0
    assert network.conv1.bias is None


def test_the_first_convolution_keeps_its_bias():
    with torch.device("meta"):
        assert build("vgg11", (4, 32, 32)).features[0].bias.shape == (64,)


def test_width_mult_makes_a_mobilenet_narrower():
    with torch.device("meta"):
        full, half = build("mobilenet_v2"), build("mobilenet_v2", width_mult=0.5)
    assert half.features[1].out_channels * 2 == full.features[1].out_channels


def test_building_on_meta_leaves_the_random_state():
    before = torch.get_rng_state()
    build("regnet_y_400mf", (3, 32, 32))
    assert not torch.equal(before, torch.get_rng_state())
    before = torch.get_rng_state()
    with torch.device("meta"):
        network = build("regnet_y_400mf", (3, 32, 32))
    assert all(parameter.is_meta for parameter in network.parameters())
    assert torch.equal(before, torch.get_rng_state())


def test_a_misspelt_name():
    with pytest.raises(SpecError) as caught:
        build("mobilnet_v2")
    assert str(caught.value).startswith(
        "model: 'mobilnet_v2': torchvision has no such classification model; "
        "did you mean 'mobilenet_v2'"
    )


def test_a_network_for_segmentation_is_not_one_for_classification():
    with pytest.raises(SpecError, match="no such classification model"):
        build("fcn_resnet50")


def test_width_mult_is_not_ignored():
    with pytest.raises(SpecError) as caught:
        build("resnet18", width_mult=0.5)
    assert str(caught.value) == (
        "resnet18 has no width_mult, only mobilenet_v2, mobilenet_v3_small and mobilenet_v3_large "
        "do: leave it out"
    )


@pytest.mark.parametrize(
    ("model", "shape", "takes"),
    [
        ("alexnet", (1, 8, 8), "sides of at least 63"),
        ("vgg11", (3, 16, 40), "sides of at least 32"),
        ("inception_v3", (3, 32, 32), "sides of at least 75"),
        ("vit_b_16", (3, 40, 40), "squares whose side is a multiple of 16"),
        ("vit_b_16", (3, 32, 48), "squares whose side is a multiple of 16"),
        ("maxvit_t", (3, 32, 32), "sides that are multiples of 224"),
    ],
)
def test_images_of_a_size_that_it_cannot_take(model, shape, takes):
    with pytest.raises(SpecError) as caught:
        build(model, shape)
    sentence = str(caught.value)
    assert sentence.startswith(f"{model} does not take images of {'x'.join(map(str, shape))} (")
    assert sentence.endswith(f"; it takes {takes}: change the data's size or the model")


def test_the_smallest_side_is_taken():
    assert build("alexnet", (1, 63, 63)).eval()(torch.randn(1, 1, 63, 63)).shape == (1, 10)
