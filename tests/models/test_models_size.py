import pytest
import torch
from torch import nn

from kdsweep import catalog
from kdsweep.errors import SpecError
from kdsweep.models import size
from kdsweep.models.size import (
    check_takes,
    count_macs,
    count_params,
    size_bytes,
    sizes,
)
from kdsweep.spec import Component

SHAPE = (1, 8, 8)


class NeedsValues(nn.Module):
    """Reads a tensor's value while it is built and in its forward: impossible on meta."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(64, int(torch.tensor(10).item()))

    def forward(self, images):
        if images.sum().item() > 1e9:
            raise OverflowError
        return self.linear(images.flatten(1))


def build(name: str = "cnn", shape=SHAPE, num_classes=10, **settings) -> nn.Module:
    return catalog.model(Component(name=name, **settings), shape=shape, num_classes=num_classes)


def test_counts_by_hand():  # 1 -> 2 channels, grouped 2 -> 4; 64 pixels each; 256 -> 3
    network = nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 4, 3, padding=1, groups=2),
        nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(256, 3),
    )  # fmt: skip
    params = (18 + 2) + (36 + 4) + (4 + 4) + (768 + 3)
    assert count_params(network) == params
    assert count_macs(network, SHAPE) == 64 * 18 + 64 * 36 + 768
    # The norm's running mean and variance, and its int64 count of batches.
    assert size_bytes(network) == 4 * (params + 8) + 8


def test_shared_and_frozen_parameters_count_once():
    network = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    network[1].weight = network[0].weight
    network[0].bias.requires_grad_(False)
    assert count_params(network) == 16 + 4 + 4
    assert size_bytes(network) == 4 * 24


def test_what_is_not_saved_has_no_size():
    network = nn.Linear(2, 2)
    network.register_buffer("scratch", torch.zeros(1000), persistent=False)
    assert size_bytes(network.half()) == 2 * 6


def test_size_bytes_is_what_safetensors_writes(tmp_path):
    from safetensors.torch import save_file

    network = build("resnet", depth=8)
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    written = (tmp_path / "weights.safetensors").read_bytes()
    header = 8 + int.from_bytes(written[:8], "little")
    assert size_bytes(network) == len(written) - header


@pytest.mark.parametrize("name", ["cnn", "resnet", "wide_resnet"])
def test_sizes_on_meta_are_those_of_the_network(name):
    network = build(name)
    assert sizes(lambda: build(name), SHAPE, num_classes=10) == {
        "params": count_params(network),
        "macs": count_macs(network, SHAPE),
        "size_bytes": size_bytes(network),
    }


def test_sizes_of_a_large_network_allocate_nothing(monkeypatch):
    made: list[nn.Module] = []

    def remembered() -> nn.Module:
        made.append(build())
        return made[-1]

    monkeypatch.setattr(size, "LARGE", 1)
    sizes(remembered, SHAPE)
    assert [parameter.is_meta for parameter in made[0].parameters()] == [True] * 10
    assert len(made) == 1


@pytest.mark.parametrize("large", [1, 10**9])
def test_sizes_are_the_same_on_either_device_and_draw_nothing(large, monkeypatch):
    before, expected = torch.get_rng_state(), sizes(build, SHAPE)
    monkeypatch.setattr(size, "LARGE", large)
    assert sizes(build, SHAPE) == expected
    assert torch.equal(before, torch.get_rng_state())


def test_a_network_that_needs_values_is_sized_on_the_cpu():
    before = torch.get_rng_state()
    assert sizes(NeedsValues, SHAPE, num_classes=10)["macs"] == 640
    assert torch.equal(before, torch.get_rng_state())


def test_counting_keeps_modes_and_buffers():
    network = build("resnet", depth=8)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    count_macs(network, SHAPE)
    assert all(module.training for module in network.modules())
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_check_takes_what_fits():
    check_takes(build(), SHAPE, 10)
    with torch.device("meta"):
        check_takes(build(num_classes=3), SHAPE, 3)


def test_a_network_for_other_images():
    with pytest.raises(SpecError) as caught:
        check_takes(build(), (3, 8, 8), 10, name="student cnn")
    sentence = str(caught.value)
    assert sentence.startswith("student cnn does not take images of 3x8x8: ")
    assert "expected input[1, 3, 8, 8] to have 1 channels" in sentence
    assert sentence.endswith("; change the model's settings or the data's shape")
    assert "\n" not in sentence


def test_a_network_with_other_classes():
    with pytest.raises(SpecError) as caught:
        check_takes(build(num_classes=5), SHAPE, 10)
    assert str(caught.value) == (
        "Cnn gives [1, 5] for one of the images of 1x8x8: with 10 classes its forward must give "
        "logits of shape [1, 10]"
    )


def test_a_network_that_gives_no_logits():
    with pytest.raises(
        SpecError, match="Sequential gives a tuple for one of the images of 1x8x8: "
    ):
        check_takes(nn.Sequential(nn.Flatten(), nn.GRU(64, 10)), SHAPE, 10)


def test_sizes_refuses_what_check_takes_refuses():
    def flat() -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(10, 10))

    with pytest.raises(
        SpecError, match=r"^student mlp does not take images of 1x8x8: .*shapes cannot be multi"
    ):
        sizes(flat, SHAPE, name="student mlp")
    with pytest.raises(SpecError, match=r"Cnn gives \[1, 5\] for one of the images"):
        sizes(lambda: build(num_classes=5), SHAPE, num_classes=10)
    with pytest.raises(SpecError, match="cnn: stages: 4 needs sides of at least 16"):
        sizes(lambda: build(stages=4), SHAPE)
