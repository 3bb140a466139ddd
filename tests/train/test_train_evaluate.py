"""Evaluation against numbers worked by hand."""

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from kdsweep.data.memory import InMemorySplit
from kdsweep.data.treatment import Normalisation, Treatment
from kdsweep.data.views import Augment
from kdsweep.train.evaluate import EVALUATION_BATCH, evaluate

TREATMENT = Treatment(
    Normalisation((0.0,), (1 / 255,)), Augment(crop=1, views=5), torch.device("cpu")
)


class Pixels(nn.Module):
    """Its two logits are the two pixels of an image, as they lie in the file."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen, self.norm = nn.BatchNorm2d(1).eval(), nn.BatchNorm2d(1)
        self.sizes: list[int] = []

    def forward(self, images: Tensor) -> Tensor:
        assert not any(module.training for module in self.modules())
        assert not torch.is_grad_enabled()
        self.sizes.append(len(images))
        return self.frozen(self.norm(images)).flatten(1)


def split(pixels: list[list[int]], labels: list[int]) -> InMemorySplit:
    images = torch.tensor(pixels, dtype=torch.uint8).reshape(-1, 1, 1, 2)
    return InMemorySplit(images, torch.tensor(labels), TREATMENT)


def exact() -> Pixels:
    network = Pixels()
    for norm in (network.norm, network.frozen):
        norm.eps = 0.0
    return network


def test_accuracy_and_loss_by_hand():
    # Margins 3 and 1 for the right class, 2 for the wrong one: CE is ln(1 + e^-margin).
    found = evaluate(exact(), split([[3, 0], [1, 2], [2, 0]], [0, 1, 1]))
    losses = [math.log(1 + math.exp(-margin)) for margin in (3, 1, -2)]
    assert found == pytest.approx((2 / 3, sum(losses) / 3), rel=1e-6)


def test_every_sample_counts_the_same_whatever_its_batch():
    num = EVALUATION_BATCH + 76
    network, right = exact(), EVALUATION_BATCH
    pixels = [[1, 0]] * right + [[0, 1]] * 76
    accuracy, loss = evaluate(network, split(pixels, [0] * num))
    assert network.sizes == [EVALUATION_BATCH, 76]
    assert accuracy == right / num
    by_hand = (right * math.log(1 + math.exp(-1)) + 76 * math.log(1 + math.e)) / num
    assert loss == pytest.approx(by_hand, rel=1e-6)


def modes(network: nn.Module) -> list[bool]:
    return [module.training for module in network.modules()]


def test_every_module_is_put_back_into_its_mode():
    network = exact()
    before = modes(network)
    assert any(one != other for one, other in pairwise(before))
    evaluate(network, split([[3, 0]], [0]))
    assert modes(network) == before


def test_modes_are_put_back_when_the_network_fails(monkeypatch):
    network = exact()
    before = modes(network)

    def fail(images: Tensor) -> Tensor:
        raise ZeroDivisionError

    monkeypatch.setattr(network, "forward", fail)
    with pytest.raises(ZeroDivisionError):
        evaluate(network, split([[3, 0]], [0]))
    assert modes(network) == before


def test_a_diverged_network_has_no_finite_loss():
    network = exact()
    nn.init.constant_(network.norm.weight, math.nan)
    assert math.isnan(evaluate(network, split([[3, 0]], [0]))[1])


def test_an_empty_split_is_refused():
    with pytest.raises(ValueError, match="empty split"):
        evaluate(exact(), InMemorySplit(torch.zeros(0, 1, 1, 2), torch.zeros(0).long(), TREATMENT))
