"""Every strategy with every family of the folder: steps of training, or a refusal in words."""

from functools import cache
from typing import Any

import pytest
import torch
from conforming import (
    DOCSTRINGS,
    NAMED_GLYPHS,
    OF_IMAGES,
    SETTINGS,
    Pair,
    distillation,
    splits_of,
)
from torch import nn

from kdsweep import catalog
from kdsweep.errors import SpecError
from kdsweep.spec import Component

GLYPHS = {key: value for key, value in NAMED_GLYPHS.items() if key != "texts"}
SMALL: dict[str, dict[str, Any]] = {
    "bert": {"layers": 2, "width": 16, "heads": 2, "hidden": 32},
    "cnn": {"width": 4},
    "distilbert": {"layers": 2, "width": 16, "heads": 2, "hidden": 32},
    "mobilenet": {"width": 0.25},
    "resnet": {"depth": 8, "width": 4},
    "shufflenet": {"width": 24, "head": 64, "depth": 1},
    "text_cnn": {"width": 8, "filters": 8},
    "torchvision": {"model": "mobilenet_v3_small", "width_mult": 0.25},
    "vgg": {"depth": 8, "width": 8},
    "vit": {"width": 16, "depth": 2, "heads": 2},
    "wide_resnet": {"depth": 10},
}
"""Settings that keep a step in milliseconds; the other families have small defaults."""
REFUSED = {
    "bert": OF_IMAGES,
    "distilbert": OF_IMAGES,
    "text_cnn": OF_IMAGES | {"self_distillation", "similarity", "transformer"},
    "vit": frozenset[str](),
}
"""What a family cannot be distilled by; all others only by ``transformer``."""


@cache
def pair_of(family: str) -> tuple[Pair, dict[str, nn.Module]]:
    """A student and two teachers of one family, on the data that it reads."""
    component = {"name": family, **SMALL.get(family, {})}
    of_texts = getattr(catalog.find("model", family), "reads", "images") == "tokens"
    without = REFUSED.get(family, frozenset({"transformer"}))
    pair = Pair(DOCSTRINGS if of_texts else GLYPHS, component, component, frozenset(without))
    torch.manual_seed(1)
    info = splits_of(pair).info
    networks = {
        name: catalog.model_for(Component(**component), info) for name in ("teacher", "second")
    }
    return pair, {name: network.eval() for name, network in networks.items()}


@pytest.mark.parametrize("strategy", catalog.names("strategy"))
@pytest.mark.parametrize("family", catalog.names("model"))
def test_a_step_moves_the_student_or_the_pair_is_refused(family, strategy):
    pair, teachers = pair_of(family)
    component = Component(name=strategy, **SETTINGS.get(strategy, {}))
    if strategy in pair.without:
        with pytest.raises(SpecError, match=r"^strategy: .{20}"):
            distillation(pair, teachers, component)
        return
    made = distillation(pair, teachers, component, examples=8)
    before = [parameter.detach().clone() for parameter in made.student.parameters()]
    losses = made.train(2)
    assert all(map(torch.isfinite, map(torch.tensor, losses)))
    moved = [
        not torch.equal(old, new)
        for old, new in zip(before, made.student.parameters(), strict=True)
    ]
    assert sum(moved) > 0.9 * len(moved)
