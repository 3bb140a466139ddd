"""Vision transformers: published sizes, what they compute, what they do not take."""

import pytest
import torch
from torch import nn

from kdsweep import catalog
from kdsweep.errors import SpecError
from kdsweep.models.features import FeatureTap
from kdsweep.models.size import count_params, sizes
from kdsweep.models.vit import Vit
from kdsweep.spec import Component

SHAPE = (3, 32, 32)
SMALL = {"patch": 8, "width": 24, "depth": 2, "heads": 3}


def vit(shape=SHAPE, num_classes=10, **settings) -> nn.Module:
    torch.manual_seed(0)
    return catalog.model(Component(name="vit", **settings), shape=shape, num_classes=num_classes)


def images(num=2, shape=SHAPE):
    return torch.randn(num, *shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("width", "heads", "params", "macs"),
    [(192, 3, 5_717_416, 1_253_683_200), (384, 6, 22_050_664, 4_598_882_304)],
)
def test_the_published_sizes(width, heads, params, macs):
    """DeiT-Ti and DeiT-S. Multiply-adds: of patches, each block's linear layers and attention."""
    shape = (3, 224, 224)
    positions, patches = 197, 196 * 3 * 16 * 16 * width
    block = positions * 12 * width**2 + 2 * positions**2 * width
    assert macs == patches + 12 * block + width * 1000
    found = sizes(lambda: vit(shape, 1000, patch=16, width=width, depth=12, heads=heads), shape)
    assert found == {"params": params, "macs": macs, "size_bytes": 4 * params}


def test_the_parameters_of_a_small_one():
    width, hidden, patches = 24, 96, 16
    block = 4 * (width**2 + width) + 2 * width * hidden + hidden + width + 2 * 2 * width
    embeddings = 3 * 64 * width + width + width + (patches + 1) * width
    assert count_params(vit(**SMALL)) == embeddings + 2 * block + 2 * width + 25 * 10
    without_token = count_params(vit(**SMALL)) - 2 * width
    assert count_params(vit(**SMALL, pooling="mean")) == without_token


@pytest.mark.parametrize("pooling", ["class_token", "mean"])
def test_it_is_torchs_encoder_around_patches(pooling):
    network = vit(**SMALL, pooling=pooling, dropout=0.1).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    weights = network.state_dict()
    hidden = torch.stack([
        (images()[:, :, y : y + 8, x : x + 8] * 1.0).flatten(1)
        @ weights["embeddings.patches.weight"].flatten(1).T
        + weights["embeddings.patches.bias"]
        for y in range(0, 32, 8) for x in range(0, 32, 8)
    ], dim=1)  # fmt: skip
    if pooling == "class_token":
        token = weights["embeddings.class_token.weight"].expand(2, 1, -1)
        hidden = torch.cat([token, hidden], dim=1)
    hidden = hidden + weights["embeddings.positions.weight"]
    for number in range(2):
        layer = nn.TransformerEncoderLayer(
            24, 3, 96, 0.0, activation="gelu", layer_norm_eps=1e-6, batch_first=True,
            norm_first=True,
        )  # fmt: skip
        layer.load_state_dict(as_torchs(weights, f"blocks.{number}."))
        hidden = layer.eval()(hidden)
    hidden = nn.functional.layer_norm(
        hidden, (24,), weights["norm.weight"], weights["norm.bias"], 1e-6
    )
    pooled = hidden[:, 0] if pooling == "class_token" else hidden.mean(dim=1)
    expected = pooled @ weights["classifier.weight"].T + weights["classifier.bias"]
    with torch.no_grad():
        torch.testing.assert_close(network(images()), expected, rtol=1e-4, atol=1e-5)


def as_torchs(weights, block):
    names = {"linear1": "ffn.0", "linear2": "ffn.3", "norm1": "attention_norm",
             "norm2": "ffn_norm", "self_attn.out_proj": "attention.output"}  # fmt: skip
    found = {
        f"{theirs}.{kind}": weights[f"{block}{ours}.{kind}"]
        for theirs, ours in names.items() for kind in ("weight", "bias")
    }  # fmt: skip
    for kind in ("weight", "bias"):
        parts = [weights[f"{block}attention.{part}.{kind}"] for part in ("query", "key", "value")]
        found[f"self_attn.in_proj_{kind}"] = torch.cat(parts)
    return found


def test_its_anatomy_leads_to_states_of_positions():
    network = vit(**SMALL)
    anatomy = network.anatomy
    assert len(anatomy.blocks) == 2
    paths = [anatomy.embedding]
    for block in anatomy.blocks:
        assert block.heads == 3
        paths += [block.hidden, block.query, block.key, block.value]
    with FeatureTap(network, paths) as tap:
        network(images())
        assert {tuple(states.shape) for states in tap.features.values()} == {(2, 17, 24)}
    for path in (*anatomy.parts.values(), *anatomy.blocks[1].parts.values()):
        assert list(network.get_submodule(path).parameters())


def test_images_need_not_be_square():
    network = vit((1, 8, 12), patch=4, width=8, depth=1, heads=1)
    assert network(images(shape=(1, 8, 12))).shape == (2, 10)
    assert network.embeddings.positions.weight.shape == (7, 8)


def test_dropout_is_only_for_training():
    network = vit(**SMALL, dropout=0.5)
    assert not torch.equal(network(images()), network(images()))
    network.eval()
    assert torch.equal(network(images()), network(images()))


@pytest.mark.parametrize("pooling", ["class_token", "mean"])
def test_every_parameter_learns(pooling):
    network = vit(**SMALL, pooling=pooling)
    nn.functional.cross_entropy(network(images()), torch.arange(2)).backward()
    for path, parameter in network.named_parameters():
        assert parameter.grad is not None, path
        assert parameter.grad.isfinite().all(), path
        assert parameter.grad.count_nonzero() > 0, path


@pytest.mark.parametrize(
    ("shape", "settings", "problems"),
    [
        (
            (3, 32, 24), {"patch": 16},
            (
                "vit: patch: 16 does not divide the sides of images of 3x32x24: use one of "
                "1, 2, 4, 8",
            ),
        ),
        (
            SHAPE, {"width": 64, "heads": 3},
            (
                "vit: heads: 3 does not divide width: 64: every head has an equal share of the "
                "width",
            ),
        ),
        (
            (1, 7, 7), {"width": 10, "heads": 4},
            (
                "vit: patch: 4 does not divide the sides of images of 1x7x7: use one of 1, 7",
                "vit: heads: 4 does not divide width: 10: every head has an equal share of the "
                "width",
            ),
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(shape, settings, problems):
    with pytest.raises(SpecError) as caught:
        vit(shape, **settings)
    assert caught.value.problems == problems


@pytest.mark.parametrize("settings", [{"depth": 0}, {"pooling": "max"}, {"mlp_ratio": 0}])
def test_settings_have_bounds(settings):
    with pytest.raises(SpecError, match=f"{next(iter(settings))}: "):
        catalog.params("model", Component(name="vit", **settings))


def test_it_reads_images():
    assert Vit.reads == "images"
