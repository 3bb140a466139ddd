"""What every family of networks must do: a new file in the room is tested by being there."""

import pytest
import torch
from torch import nn

from kdsweep import catalog
from kdsweep.batch import Anatomy, Shape, Tokens, in_words
from kdsweep.models.features import FeatureTap, stages
from kdsweep.models.size import sizes
from kdsweep.spec import Component

SHAPES: dict[str, tuple[Shape, ...]] = {
    "images": ((1, 8, 8), (3, 32, 32)),
    "tokens": (Tokens(12, 50), Tokens(40, 1000)),
}
CLASSES = 7
SMALL = {
    "bert": {"layers": 2, "width": 32, "heads": 2, "hidden": 64},
    "distilbert": {"layers": 2, "width": 32, "heads": 2, "hidden": 64},
}
"""Families whose defaults are those of a published network of many millions."""


def shapes_of(name: str) -> tuple[Shape, ...]:
    """Two shapes of what the family reads."""
    return SHAPES[catalog.find("model", name).reads if name != "torchvision" else "images"]


CASES = [(name, shape) for name in catalog.names("model") for shape in shapes_of(name)]
every_family = pytest.mark.parametrize("name", catalog.names("model"))
every_case = pytest.mark.parametrize(
    ("name", "shape"), CASES, ids=[f"{in_words(shape)}, {name}" for name, shape in CASES]
)


def build(name: str, shape: Shape, seed: int = 0) -> nn.Module:
    """The family with its default settings, or small ones."""
    torch.manual_seed(seed)
    component = Component(name=name, **SMALL.get(name, {}))
    return catalog.model(component, shape=shape, num_classes=CLASSES)


def inputs(shape: Shape) -> torch.Tensor:
    """Four images of noise, or four texts of several lengths."""
    generator = torch.Generator().manual_seed(1)
    if not isinstance(shape, Tokens):
        return torch.randn(4, *shape, generator=generator)
    texts = torch.randint(1, shape.vocabulary, (4, shape.length), generator=generator)
    lengths = torch.tensor([shape.length, 9, 5, 1])
    return texts * (torch.arange(shape.length) < lengths[:, None])


def test_the_families():
    assert {"cnn", "resnet", "torchvision", "wide_resnet"} <= set(catalog.names("model"))


@every_family
def test_says_what_it_is_and_where_it_is_from(name):
    family = catalog.find("model", name)
    assert len(family.__dict__["__doc__"].split()) > 5
    assert family.source.strip()
    assert family.Params.__dict__["__doc__"]


@every_case
def test_gives_logits_and_gradients_to_every_parameter(name, shape):
    network = build(name, shape).train()
    logits = network(inputs(shape))
    assert logits.shape == (4, CLASSES)
    assert logits.dtype == torch.float32
    nn.functional.cross_entropy(logits, torch.arange(4)).backward()
    for path, parameter in network.named_parameters():
        assert parameter.grad is not None, path
        assert parameter.grad.isfinite().all(), path
        assert parameter.grad.count_nonzero() > 0, path


@every_case
def test_evaluation_is_deterministic_and_sample_by_sample(name, shape):
    network = build(name, shape).eval()
    batch = inputs(shape)
    with torch.no_grad():
        together = network(batch)
        assert torch.equal(network(batch), together)
        alone = torch.cat([network(one[None]) for one in batch])
    torch.testing.assert_close(alone, together, rtol=1e-4, atol=1e-4)


@every_family
def test_the_same_seed_draws_the_same_weights(name):
    shape = shapes_of(name)[0]
    one, other = build(name, shape).state_dict(), build(name, shape).state_dict()
    assert all(torch.equal(one[path], other[path]) for path in one)


@every_family
def test_weights_go_to_another_network_of_the_family(name):
    shape = shapes_of(name)[0]
    network, other, batch = build(name, shape), build(name, shape, seed=2), inputs(shape)
    network.train()(batch)
    other.load_state_dict(network.state_dict())
    with torch.no_grad():
        assert torch.equal(other.eval()(batch), network.eval()(batch))


def check_blocks(network: nn.Module, anatomy: Anatomy | None, batch: torch.Tensor) -> None:
    """Of a transformer, hidden states of one shape before and after each block."""
    if anatomy is None:
        assert stages(network, batch) == ()
        return
    blocks = anatomy.blocks
    paths = [path for b in blocks for path in (b.hidden, b.query, b.key, b.value)]
    with FeatureTap(network, [anatomy.embedding, *paths]) as tap:
        network(batch)
        shapes = {path: tuple(tap.features[path].shape) for path in tap.paths}
    assert len(set(shapes.values())) == 1
    (shape,) = set(shapes.values())
    assert len(shape) == 3
    assert all(shape[-1] % block.heads == 0 for block in blocks)


@every_case
def test_has_stages_that_get_smaller_or_blocks_of_a_transformer(name, shape):
    network = build(name, shape)
    anatomy = getattr(network, "anatomy", None)
    if isinstance(shape, Tokens) or anatomy is not None:
        check_blocks(network, anatomy, inputs(shape))
        return
    paths = stages(network, inputs(shape))
    assert len(paths) >= 2
    with FeatureTap(network, paths) as tap:
        network(inputs(shape))
        sides = [features.shape[-1] for features in tap.features.values()]
    assert sides == sorted(sides, reverse=True)
    assert len(set(sides)) == len(sides)


@every_family
def test_is_built_on_meta(name):
    shape = shapes_of(name)[0]
    with torch.device("meta"):
        network = build(name, shape)
    assert all(parameter.is_meta for parameter in network.parameters())
    found = sizes(lambda: build(name, shape), shape, num_classes=CLASSES)
    assert min(found.values()) > 0
