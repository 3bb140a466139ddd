"""Frozen teachers: folded where nothing that is read changes, and the same answers."""

import copy

import pytest
import torch
from tiny_trials import all_of, num_hooks, spec, splits_of, state, teacher, trained
from torch import Tensor, nn
from torch.nn import functional as F

from kdsweep import catalog
from kdsweep.batch import Batch
from kdsweep.errors import SpecError
from kdsweep.losses.logits import soft_targets
from kdsweep.models.stages import stages
from kdsweep.spec import Component
from kdsweep.train.frozen import Frozen
from kdsweep.train.fused import Pair, foldable, folded, untapped
from kdsweep.train.teacher import Teacher

IMAGES = torch.randn(6, 3, 16, 16, generator=torch.Generator().manual_seed(0))
ONE, TWO = Pair("stem.0", "stem.1"), Pair("inner.convolution", "norm")


def lived(network: nn.Module) -> nn.Module:
    """With batch norms as after a training: statistics, factors and shifts of their own."""
    torch.manual_seed(2)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            if module.affine:
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.uniform_(module.bias, -0.5, 0.5)
    return network.eval().requires_grad_(False)


class Inner(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(8, 8, 3, padding=1, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        return self.convolution(maps)


class Net(nn.Module):
    """One pair inside a container; one whose convolution lies in a container without its norm."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
        self.inner = Inner()
        self.norm = nn.BatchNorm2d(8, affine=False)
        self.head = nn.Linear(8, 5)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.norm(self.inner(self.stem(images)))
        return self.head(maps.mean((2, 3)))


def made(name: str, **settings: object) -> nn.Module:
    torch.manual_seed(1)
    model = Component(name=name, **settings)
    return lived(catalog.model(model, shape=(3, 16, 16), num_classes=5))


def expected(network: nn.Module, layers: tuple[str, ...]) -> list[Tensor]:
    """Logits and maps of the network as it is."""
    found = Teacher(network, digest="", accuracy=0.0)
    batch = Batch({"images": IMAGES}, torch.zeros(6), torch.arange(6))
    outputs = found.outputs(batch, layers, to_inputs=True)
    found.detach()
    return [outputs.logits, *outputs.features.values()]


@pytest.mark.parametrize(
    ("network", "num_pairs"),
    [
        (made("resnet", depth=14, width=8), 15),
        (made("cnn", width=8, stages=2, batch_norm=True), 2),
        (made("mobilenet", width=0.25), 53),
        (made("shufflenet", width=24), 0),
        (made("wide_resnet", depth=10, width=1), 3),
        (made("vgg", depth=8, width=8), 5),
        (made("vit", width=8, depth=2, heads=2), 0),
        (lived(Net()), 2),
    ],
    ids=["resnet", "cnn", "mobilenet", "shufflenet", "wide_resnet", "vgg", "vit", "net"],
)
def test_a_folded_network_gives_the_same(network, num_pairs):
    pairs = foldable(network)
    assert len(pairs) == num_pairs
    layers = stages(network, IMAGES) or ("norm", "stem")
    found = Frozen(network).outputs(IMAGES, layers)
    for one, other in zip(
        [found.logits, *found.features.values()], expected(network, layers), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
    assert [*found.features] == [*layers]


def test_a_copy_is_folded_and_the_network_stays():
    network = lived(Net())
    before = state(network)
    copied = folded(network, foldable(network))
    assert isinstance(copied.stem[1], nn.Identity)
    assert isinstance(copied.norm, nn.Identity)
    assert isinstance(network.norm, nn.BatchNorm2d)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert [path for path, _ in copied.named_modules()] == [
        path for path, _ in network.named_modules()
    ]


@pytest.mark.parametrize(
    ("layers", "left"),
    [
        ((), (ONE, TWO)),
        (("stem", "norm"), (ONE, TWO)),
        (("stem.1", "stem.0:input", "head:input"), (ONE, TWO)),
        (("stem.0",), (TWO,)),
        (("stem.1:input",), (TWO,)),
        (("inner",), (ONE,)),
        (("inner.convolution",), (ONE,)),
        (("norm:input",), (ONE,)),
        (("inner:input",), (ONE, TWO)),
        (("stem.0", "norm:input"), ()),
    ],
)
def test_a_pair_that_is_read_between_its_two_is_not_folded(layers, left):
    network = lived(Net())
    assert foldable(network) == (ONE, TWO)
    assert untapped((ONE, TWO), network, layers) == left
    found = Frozen(network).outputs(IMAGES, layers)
    for one, other in zip(
        [found.logits, *found.features.values()], expected(network, layers), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


class Branching(Net):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images if images.sum() > 0 else images + 1)


class Twice(Net):
    """The convolution's own output is used as well; so is one convolution twice."""

    def forward(self, images: Tensor) -> Tensor:
        maps = self.stem(images)
        inner = self.inner(maps)
        return self.head((self.norm(inner) + inner).mean((2, 3)))


class Otherwise(Net):
    """Takes another way for what is no tensor, as a traced input is none."""

    def forward(self, images: Tensor) -> Tensor:
        if not isinstance(images, Tensor):
            return super().forward(images)
        inner = self.inner(self.stem(images))
        return self.head((self.norm(inner) + F.relu(inner)).mean((2, 3)))


@pytest.mark.parametrize(
    ("kind", "pairs"), [(Branching, ()), (Twice, (ONE,)), (Otherwise, (ONE, TWO))]
)
def test_what_cannot_be_folded_runs_as_it_is(kind, pairs):
    network = lived(kind())
    assert foldable(network) == pairs
    found = Frozen(network).outputs(IMAGES, ("norm",))
    for one, other in zip(
        [found.logits, *found.features.values()], expected(network, ("norm",)), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_a_module_whose_calls_do_more_is_not_folded():
    network = lived(Net())
    network.stem[0].register_forward_hook(lambda module, inputs, output: 2 * output)
    network.norm.register_forward_pre_hook(lambda module, inputs: (inputs[0] + 1,))
    assert foldable(network) == ()
    network = lived(Net())
    nn.utils.parametrizations.weight_norm(network.stem[0])
    assert foldable(network) == (TWO,)


def test_outputs_can_be_kept_for_a_backward():
    frozen, student = Frozen(lived(Net())), torch.randn(6, 5, requires_grad=True)
    maps = torch.randn(6, 8, 14, 14, requires_grad=True)
    found = frozen.outputs(IMAGES, ("norm",))
    # Both losses keep the teacher's side for the gradient of the student's.
    loss = soft_targets(student, found.logits, 2.0).sum() + (maps * found.features["norm"]).sum()
    loss.backward()
    assert not any(each.is_inference() for each in (found.logits, found.features["norm"]))
    torch.testing.assert_close(maps.grad, found.features["norm"])


class Centred(Net):
    """Takes the mean over the examples away: what it says of one depends on the others."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images - images.mean(0))


@pytest.mark.parametrize("kind", [Net, Centred])
@pytest.mark.parametrize("layers", [(), ("stem",), ("stem", "norm:input")])
def test_a_batch_in_pieces_gives_the_same(monkeypatch, kind, layers):
    monkeypatch.setattr("kdsweep.train.frozen.PIXELS_AT_ONCE", 256 * 4)
    monkeypatch.setattr("kdsweep.train.frozen._FEWEST_AT_ONCE", 1)
    network, sizes = lived(kind()), []
    frozen = Frozen(network)
    frozen.outputs(IMAGES, layers)
    handle = frozen._fast.register_forward_hook(lambda *given: sizes.append(len(given[-1])))
    found = frozen.outputs(IMAGES, layers)
    handle.remove()
    assert sizes == ([4, 2] if kind is Net else [6])
    for one, other in zip(
        [found.logits, *found.features.values()], expected(network, layers), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_hooks_come_and_go_with_the_layers():
    network = lived(Net())
    frozen = Frozen(network)
    for layers in (("stem",), ("inner",), (), ("norm", "stem")):
        assert tuple(frozen.outputs(IMAGES, layers).features) == layers
    frozen.detach()
    assert num_hooks(network) == num_hooks(frozen._fast) == 0
    assert tuple(frozen.outputs(IMAGES, ("norm",)).features) == ("norm",)


def test_a_path_that_leads_nowhere_is_refused():
    with pytest.raises(SpecError, match="no module at 'norms' in Net; did you mean 'norm'"):
        Frozen(lived(Net())).outputs(IMAGES, ("norms",))


def test_a_network_without_anything_to_gain_is_asked_itself():
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).eval()
    frozen = Frozen(network)
    images, _ = all_of(splits_of(spec()).train)
    assert torch.equal(frozen.outputs(images, ()).logits, network(images))
    assert frozen._fast is network


def test_a_folded_teacher_trains_a_student_as_the_network_would(monkeypatch):
    settings = {"name": "resnet", "depth": 8, "width": 8}
    network = lived(catalog.model(Component(**settings), shape=(1, 8, 8), num_classes=10))
    trial = spec({"name": "kd", "extra": {"fitnet": {"weight": 1.0}}}, train={"epochs": 2})
    fast = trained(trial, teacher=teacher(copy.deepcopy(network)))
    monkeypatch.setattr("kdsweep.train.frozen.foldable", lambda network: ())
    monkeypatch.setattr("kdsweep.train.frozen.pays", lambda *given: False)
    slow = trained(trial, teacher=teacher(network))
    for one, other in zip(fast.epochs, slow.epochs, strict=True):
        assert one.train == pytest.approx(other.train, rel=1e-3)
