"""Adapters give the teacher's shape, can reach its values, and lose nothing by their order."""

import pytest
import torch
from torch import nn

from kdsweep.strategies.parts.adapters import Adapter, resize, to_smaller


def maps(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize(
    ("student", "teacher"),
    [
        ((4, 8, 8), (16, 8, 8)),  # channels alone
        ((4, 8, 8), (4, 4, 4)),  # averaged down
        ((4, 4, 4), (16, 8, 8)),  # interpolated up
        ((4, 7, 7), (8, 8, 8)),
        ((4, 8, 2), (8, 4, 4)),  # one side down, the other up
        ((4,), (16,)),
    ],
)
def test_shapes(student, teacher, batch_norm):
    adapter = Adapter(student, teacher, batch_norm=batch_norm)
    features = maps(3, *student).requires_grad_()
    adapted = adapter(features)
    assert adapted.shape == (3, *teacher)
    adapted.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in adapter.parameters())
    assert features.grad.abs().sum() > 0


def test_negative_targets_are_reached():
    # A ReLU after the adapter would leave these hints at a loss of at least 1.
    torch.manual_seed(0)
    adapter, target = Adapter((4, 2, 2), (3, 2, 2)), -torch.ones(8, 3, 2, 2)
    optimizer = torch.optim.SGD(adapter.parameters(), lr=0.1)
    for _ in range(200):
        loss = nn.functional.mse_loss(adapter(maps(8, 4, 2, 2)), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 1e-2


@pytest.mark.parametrize("student", [(4, 8, 8), (4, 2, 2)])
def test_mixing_channels_before_or_after_resizing_is_the_same(student):
    adapter, features = Adapter(student, (6, 4, 4)), maps(3, *student)
    first = resize(adapter.project(features), (4, 4))
    second = adapter.project(resize(features, (4, 4)))
    torch.testing.assert_close(first, second)
    torch.testing.assert_close(adapter(features), first)


def test_resize_by_hand():
    # 2x2 -> 1x2: each column's mean, (1 + 3) / 2 and (2 + 4) / 2
    features = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    assert torch.equal(resize(features, (1, 2)), torch.tensor([[[[2.0, 3.0]]]]))
    assert resize(features, (2, 2)) is features
    # 1x2 -> 1x4, pixel centres: 0.25 from the edge repeats it, between them quarters
    row = torch.tensor([[[[0.0, 4.0]]]])
    torch.testing.assert_close(resize(row, (1, 4)), torch.tensor([[[[0.0, 1.0, 3.0, 4.0]]]]))


def test_the_larger_map_comes_to_the_smaller():
    one, other = to_smaller(maps(2, 3, 8, 2), maps(2, 5, 4, 4))
    assert one.shape == (2, 3, 4, 2)
    assert other.shape == (2, 5, 4, 2)


def test_batch_norm_keeps_no_statistics():
    adapter = Adapter((4, 2, 2), (3, 2, 2), batch_norm=True)
    before = {name: value.clone() for name, value in adapter.state_dict().items()}
    adapter(maps(8, 4, 2, 2))
    assert not list(adapter.buffers())
    assert all(torch.equal(value, before[name]) for name, value in adapter.state_dict().items())


@pytest.mark.parametrize(("student", "teacher"), [((3,), (4,)), ((3, 1, 1), (4, 1, 1))])
def test_batch_norm_takes_a_batch_of_one_value(student, teacher):
    adapter = Adapter(student, teacher, batch_norm=True)
    adapted = adapter(torch.randn(1, *student))
    assert torch.equal(adapted.flatten(), adapter.norm.bias)
    adapted.sum().backward()
    assert all(parameter.grad is not None for parameter in adapter.parameters())
    several = adapter(torch.randn(5, *student))
    torch.testing.assert_close(several.mean(dim=0).flatten(), torch.zeros(4), atol=1e-6, rtol=0)
