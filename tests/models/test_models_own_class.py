"""Classes of the user's own, named by import path."""

import pytest
import torch
from pydantic import Field
from torch import nn

from kdsweep import catalog
from kdsweep.errors import SpecError
from kdsweep.models.base import Family
from kdsweep.models.features import FeatureTap
from kdsweep.models.size import sizes
from kdsweep.spec import Component, Settings

SHAPE = (1, 8, 8)


class Plain(nn.Module):
    def __init__(self, num_classes: int, units: int = 16) -> None:
        super().__init__()
        if units < 1:
            raise ValueError("units must be positive")
        self.hidden = nn.Linear(64, units)
        self.head = nn.Linear(units, num_classes)

    def forward(self, images):
        return self.head(self.hidden(images.flatten(1)).relu())


class OwnFamily(Family):
    """A family outside the package."""

    class Params(Settings):
        """Units of the hidden layer."""

        units: int = Field(16, ge=1)

    source = "here"

    def __init__(self, params, *, shape, num_classes):
        super().__init__(params, shape=shape, num_classes=num_classes)
        self.head = nn.Linear(shape[0] * shape[1] * shape[2], num_classes)

    def forward(self, images):
        return self.head(images.flatten(1))


def build(name: str, **settings) -> nn.Module:
    component = Component(name=f"{__name__}:{name}", **settings)
    return catalog.model(component, shape=SHAPE, num_classes=10)


@pytest.mark.parametrize("name", ["Plain", "OwnFamily"])
def test_is_built_tapped_and_sized_without_edits(name):
    network = build(name, units=4)
    with FeatureTap(network, ["head"]) as tap:
        logits = network(torch.randn(2, *SHAPE))
        assert torch.equal(tap.features["head"], logits)
    assert logits.shape == (2, 10)
    found = sizes(lambda: build(name, units=4), SHAPE, num_classes=10)
    assert found["params"] == {"Plain": 64 * 4 + 4 + 50, "OwnFamily": 650}[name]


def test_its_settings_are_closed():
    with pytest.raises(SpecError, match="units_: no setting named 'units_'; did you mean 'units'"):
        build("Plain", units_=4)
    with pytest.raises(SpecError, match="units: 0 is not allowed: must be at least 1"):
        build("OwnFamily", units=0)


def test_its_own_refusal_is_shown():
    with pytest.raises(SpecError, match="Plain cannot be built: units must be positive"):
        build("Plain", units=0)


def test_something_else_is_not_a_model():
    with pytest.raises(SpecError, match="is not a model: it must be a subclass of Module"):
        catalog.model(Component(name="pathlib:Path"), shape=SHAPE, num_classes=10)
