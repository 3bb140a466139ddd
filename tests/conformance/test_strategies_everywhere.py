"""Every strategy with every family and every data set: its promises kept, or refused in words.

The families are the listing of the folder, distilled from themselves; the data sets too, with
transformers, which every strategy that suits the inputs can read.
"""

import io
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from conforming import (
    BERT,
    DOCSTRINGS,
    NAMED_GLYPHS,
    OF_IMAGES,
    SETTINGS,
    STEPS,
    Distillation,
    Pair,
    assert_all_is_reached,
    distillation,
    splits_of,
    teachers_of,
)
from data_made_here import made_here
from torch import nn

from kdsweep import catalog
from kdsweep.errors import SpecError
from kdsweep.spec import Component

EXAMPLES = 8
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
FALLS = {"data_free": 1.0}
"""How far the loss must fall: that of a generator is mostly how far the batch norms of a deep
teacher are from what it makes, hundreds, and takes longer."""
PLACES = [
    *(f"family {name}" for name in catalog.names("model")),
    *(f"data {name}" for name in catalog.names("data")),
]

Place = tuple[Pair, dict[str, nn.Module]]


def of_family(family: str) -> Pair:
    """A student and a teacher of one family, on data that it reads."""
    component = {"name": family, **SMALL.get(family, {})}
    of_texts = getattr(catalog.find("model", family), "reads", "images") == "tokens"
    without = REFUSED.get(family, frozenset({"transformer"}))
    return Pair(DOCSTRINGS if of_texts else GLYPHS, component, component, frozenset(without))


def on_data(settings: dict[str, Any]) -> Pair:
    """A student and a teacher that read a data set."""
    if catalog.dataset(Component(**settings)).describe().shapes.get("tokens"):
        bert = {**BERT, "layers": 3, "width": 16}
        return Pair(settings, {**bert, "name": "distilbert", "layers": 2}, bert, OF_IMAGES)
    vit = {"name": "vit", "patch": 4, "width": 16, "heads": 2}
    return Pair(settings, {**vit, "depth": 2}, {**vit, "depth": 3})


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Place]:
    """A function: a pair by its name, with teachers that know the data a little."""

    @cache
    def made(name: str) -> Place:
        kind, _, called = name.partition(" ")
        root: Path = tmp_path_factory.mktemp("data") / "files"
        pair = of_family(called) if kind == "family" else on_data(made_here()[called](root))
        return pair, teachers_of(pair)

    return made


@pytest.mark.parametrize("strategy", catalog.names("strategy"))
@pytest.mark.parametrize("where", PLACES)
def test_it_keeps_its_promises_or_is_refused_in_words(where, strategy, place):
    pair, teachers = place(where)
    component = Component(name=strategy, **SETTINGS.get(strategy, {}))
    if strategy in pair.without:
        with pytest.raises(SpecError, match=r"^strategy[.:].{20}"):
            distillation(pair, teachers, component)
        return
    made = distillation(pair, teachers, component, examples=EXAMPLES)
    before = {name: copied(network) for name, network in made.teachers.items()}
    terms = made.strategy.terms(made.seen())
    assert all(term.isfinite().all() for term in terms.values())
    assert_all_is_reached(made)
    losses = made.train(STEPS)
    # The batch is the same at every step: a learner that stood still would end where it began.
    assert sum(losses[-5:]) < FALLS.get(strategy, 0.8) * 5 * losses[0]
    for name, network in made.teachers.items():
        assert not any(module.training for module in network.modules())
        assert all(parameter.grad is None for parameter in network.parameters())
        assert all(
            torch.equal(old, new) for old, new in zip(before[name], copied(network), strict=True)
        )
    plain = catalog.model_for(Component(**pair.student), splits_of(pair).info)
    assert list(made.student.state_dict()) == list(plain.state_dict())
    assert_a_checkpoint_goes_on(made, distillation(pair, teachers, component, examples=EXAMPLES))


def copied(network: nn.Module) -> list[torch.Tensor]:
    return [value.clone() for value in network.state_dict().values()]


def assert_a_checkpoint_goes_on(made: Distillation, fresh: Distillation) -> None:
    """Another one that is given its state comes to the same losses."""
    file = io.BytesIO()
    torch.save(made.step.state_dict(), file)
    file.seek(0)
    fresh.step.load_state_dict(torch.load(file, weights_only=True))
    found = []
    for each in (made, fresh):
        torch.manual_seed(5)
        found.append(each.totals())
    assert torch.equal(*found)
