"""Both ShuffleNets at CIFAR's resolution: sizes as published, units by hand, refusals."""

import pytest
import torch
from torch import nn

from kdsweep import catalog
from kdsweep.errors import SpecError
from kdsweep.models.features import FeatureTap, stages
from kdsweep.models.shufflenet import GroupedUnit, SplitUnit, shuffle
from kdsweep.models.size import sizes
from kdsweep.spec import Component

both = pytest.mark.parametrize("version", [1, 2])


def build(shape=(3, 32, 32), num_classes=100, **settings):
    component = Component(name="shufflenet", **settings)
    return catalog.model(component, shape=shape, num_classes=num_classes)


@pytest.mark.parametrize(("version", "params", "macs"), [(1, 0.949, 38.7), (2, 1.356, 44.5)])
def test_published_size(version, params, macs):
    found = sizes(lambda: build(version=version), (3, 32, 32))
    assert round(found["params"] / 1e6, 3) == params
    assert round(found["macs"] / 1e6, 1) == macs


def test_version_2_is_as_large_as_torchvisions_but_for_the_stem():  # 3x3 there, 1x1 here
    theirs = catalog.model(
        Component(name="torchvision", model="shufflenet_v2_x1_0"),
        shape=(3, 64, 64),
        num_classes=100,
    )
    own = sum(p.numel() for p in build().parameters())
    assert sum(p.numel() for p in theirs.parameters()) - own == 24 * 3 * (9 - 1)


def test_channels_are_taken_from_the_groups_in_turn():  # (0 1 2 | 3 4 5) -> 0 3 1 4 2 5
    maps = torch.arange(6.0).view(1, 6, 1, 1).expand(2, 6, 3, 4)
    assert shuffle(maps, 2)[1, :, 2, 3].tolist() == [0, 3, 1, 4, 2, 5]
    assert shuffle(maps, 3)[0, :, 0, 0].tolist() == [0, 2, 4, 1, 3, 5]
    assert torch.equal(shuffle(shuffle(maps, 2), 3), maps)
    assert torch.equal(shuffle(maps, 1), maps)


def test_a_grouped_unit_with_nothing_inside_by_hand():
    """Without a stride relu(input); with one the input averaged 3x3, beside zeros."""
    unit = GroupedUnit(24, 24, stride=1).eval()
    nn.init.zeros_(unit.widen[0].weight)
    maps = torch.randn(2, 24, 4, 4)
    torch.testing.assert_close(unit(maps), maps.clamp(min=0))
    unit = GroupedUnit(24, 48, stride=2).eval()
    nn.init.zeros_(unit.widen[0].weight)
    found = unit(torch.full((1, 24, 4, 4), 9.0))
    assert found.shape == (1, 48, 2, 2)
    assert (found[:, :24] == 0).all()
    # The corner's window holds four pixels of nine; the padding counts as zeros.
    assert found[0, 24].tolist() == [[4.0, 6.0], [6.0, 9.0]]


def test_a_split_unit_passes_half_of_the_channels():
    unit = SplitUnit(8, 8, stride=1)
    maps = torch.randn(2, 8, 4, 4)
    found = unit(maps)
    assert torch.equal(found[:, 0::2], maps[:, :4])
    assert (found[:, 1::2] >= 0).all()
    assert SplitUnit(8, 12, stride=2)(maps).shape == (2, 12, 2, 2)


def test_a_changed_channel_reaches_both_halves_in_the_next_unit():
    """The shuffle's purpose: what one unit worked on, the next passes and works on."""
    unit = SplitUnit(8, 8, stride=1).eval()
    maps = torch.randn(1, 8, 4, 4)
    changed = maps.clone()
    changed[:, 7] += 1.0
    differ = (unit(maps) != unit(changed)).flatten(2).any(2)[0]
    assert differ[:4].any()
    assert differ[4:].any()


@both
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 28, 28), (2, 5, 11), (4, 64, 48)])
def test_takes_images_of_any_size(version, shape):
    network = build(shape, 7, version=version, depth=1, width=36)
    assert network.eval()(torch.randn(2, *shape)).shape == (2, 7)


@both
def test_stages_are_read_after_a_relu(version):
    network = build(version=version, depth=1, width=36)
    paths = stages(network, torch.randn(1, 3, 32, 32))
    assert paths == ("stem", "stages.0", "stages.1", "final")
    with FeatureTap(network, paths) as tap:
        network(torch.randn(2, 3, 32, 32))
        assert [maps.shape[-1] for maps in tap.features.values()] == [32, 16, 8, 4]
        assert all((maps >= 0).all() for maps in tap.features.values())


@both
def test_width_and_depth(version):
    network = build(version=version, depth=3, width=48)
    assert [len(stage) for stage in network.stages] == [3, 6, 3]
    with FeatureTap(network, ["stages.0", "stages.1", "stages.2"]) as tap:
        network(torch.randn(2, 3, 32, 32))
        assert [maps.shape[1] for maps in tap.features.values()] == [48, 96, 192]


def test_the_head_of_version_2():
    assert build(head=96).classifier.in_features == 96
    assert build().classifier.in_features == 1024


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"version": 1, "width": 100},
            "width: 100 is not allowed: in version 1 the width is a multiple of 12, at least 36: "
            "use 96",
        ),
        (
            {"version": 1, "width": 24},
            "width: 24 is not allowed: in version 1 the width is a multiple of 12, at least 36: "
            "use 36",
        ),
        (
            {"width": 7},
            "width: 7 is not allowed: in version 2 the width is a multiple of 2, at least 2: use 8",
        ),
        (
            {"version": 1, "head": 64},
            "head: version 1 ends without a last convolution: leave it out",
        ),
        ({"version": 3}, "version: 3 is not allowed (allowed: 1 or 2)"),
        ({"depth": 0}, "depth: 0 is not allowed: must be at least 1"),
    ],
)
def test_what_is_no_shufflenet_is_refused(settings, sentence):
    with pytest.raises(SpecError) as caught:
        build(**settings)
    assert str(caught.value) == sentence


@pytest.mark.parametrize("width", range(36, 36 + 12 * 8, 12))
def test_every_width_that_version_1_allows_is_built(width):
    assert build((1, 8, 8), 2, version=1, depth=1, width=width).eval()(torch.zeros(1, 1, 8, 8)).ndim
