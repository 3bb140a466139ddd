import pytest
import torch
from torch import nn
from torch.nn import functional as F

from kdsweep import catalog
from kdsweep.models.features import FeatureTap, stages
from kdsweep.spec import Component


def build(shape=(3, 32, 32), **settings) -> nn.Module:
    return catalog.model(Component(**settings), shape=shape, num_classes=10)


def maps_of(network: nn.Module, images: torch.Tensor) -> dict[str, tuple[int, ...]]:
    with FeatureTap(network.eval(), stages(network, images)) as tap, torch.no_grad():
        network(images)
        return {path: tuple(features.shape[1:]) for path, features in tap.features.items()}


def test_cnn_before_each_pool():
    assert maps_of(build(name="cnn", width=8, depth=2), torch.zeros(2, 3, 32, 32)) == {
        "stages.0": (8, 32, 32), "stages.1": (16, 16, 16), "stages.2": (32, 8, 8),
    }  # fmt: skip


def test_cnn_after_the_activation():
    network = build((1, 8, 8), name="cnn", width=8, batch_norm=True)
    with FeatureTap(network, stages(network, torch.zeros(1, 1, 8, 8))) as tap:
        network(torch.randn(4, 1, 8, 8))
        assert all(features.min() >= 0 for features in tap.features.values())


def test_resnet():
    assert maps_of(build((1, 28, 28), name="resnet", depth=8), torch.zeros(1, 1, 28, 28)) == {
        "stages.0": (16, 28, 28), "stages.1": (32, 14, 14), "stages.2": (64, 7, 7),
    }  # fmt: skip


def test_wide_resnet_is_read_after_its_last_activation():
    assert maps_of(build((1, 8, 8), name="wide_resnet", width=2), torch.zeros(1, 1, 8, 8)) == {
        "stages.0": (32, 8, 8), "stages.1": (64, 4, 4), "final": (128, 2, 2),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("resnet18", ("relu", "layer1", "layer2", "layer3", "layer4")),
        # Its first bottlenecks still work at the resolution that they take.
        ("resnet50", ("relu", "layer1", "layer2", "layer3", "layer4")),
        ("vgg11", ("features.1", "features.4", "features.9", "features.14", "features.19")),
        ("vgg11_bn", ("features.2", "features.6", "features.13", "features.20", "features.27")),
        ("mobilenet_v2", ("features.1", "features.3", "features.6", "features.13", "features.18")),
        # Squeeze and excitation passes through 1x1.
        (
            "mobilenet_v3_small",
            ("features.0", "features.1", "features.3", "features.8", "features.12"),
        ),
        ("swin_t", ("features.0.0", "permute")),
        ("vit_b_16", ("conv_proj",)),
    ],
)
def test_torchvision(model, expected):
    with torch.device("meta"):
        network = build((3, 224, 224), name="torchvision", model=model)
        assert stages(network, torch.empty(1, 3, 224, 224)) == expected


def test_maps_that_a_convolution_trims_are_one_stage():
    with torch.device("meta"):
        network = build((3, 299, 299), name="torchvision", model="inception_v3")
        found = stages(network, torch.empty(1, 3, 299, 299))
    assert found == ("Conv2d_2b_3x3", "Conv2d_4a_3x3", "Mixed_5d", "Mixed_6e", "Mixed_7c")


class Functional(nn.Module):
    """Pools and activations are functions: only the convolutions can be named."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 8, 3, padding=1)
        self.head = nn.Linear(8, 10)

    def forward(self, images):
        maps = F.max_pool2d(F.relu(self.first(images)), 2)
        return self.head(F.relu(self.second(maps)).mean((2, 3)))


class Backbone(nn.Module):
    """Several stages in one module of its own class, which gives a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.ModuleDict(
            {
                "early": nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
                "late": nn.Sequential(nn.Conv2d(4, 8, 3, stride=2, padding=1), nn.ReLU()),
            }
        )

    def forward(self, images):
        return {"maps": self.body["late"](self.body["early"](images))}


class Wrapped(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone, self.head = Backbone(), nn.Linear(8, 10)

    def forward(self, images):
        return self.head(self.backbone(images)["maps"].mean((2, 3)))


def test_networks_of_the_users_own():
    images = torch.zeros(1, 1, 8, 8)
    assert stages(Functional(), images) == ("first", "second")
    assert stages(Wrapped(), images) == ("backbone.body.early.1", "backbone.body.late")


def test_a_network_without_maps_has_no_stages():
    perceptron = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 10))
    assert stages(perceptron, torch.zeros(1, 1, 8, 8)) == ()


def test_maps_of_one_pixel_count_only_alone():
    vectors = nn.Sequential(nn.Conv2d(1, 4, 8), nn.Conv2d(4, 4, 1), nn.Flatten())
    assert stages(vectors, torch.zeros(1, 1, 8, 8)) == ("1",)
    assert stages(nn.Sequential(nn.Conv2d(1, 1, 3), vectors), torch.zeros(1, 1, 10, 10)) == ("0",)


def test_probing_changes_neither_modes_nor_buffers_nor_hooks():
    network = build((1, 8, 8), name="resnet", depth=8)
    network.stages[0].eval()
    modes = [module.training for module in network.modules()]
    assert True in modes
    assert False in modes
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    stages(network, torch.randn(4, 1, 8, 8))
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())


def test_a_failing_forward_leaves_modes_and_hooks():
    network = build((1, 8, 8), name="cnn", width=2)
    with pytest.raises(RuntimeError):
        stages(network, torch.randn(1, 3, 8, 8))
    assert all(module.training for module in network.modules())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())
