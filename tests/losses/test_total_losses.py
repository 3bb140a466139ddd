"""Losses of the same examples, added up."""

import pytest
import torch

from kdsweep.losses.total import total


def test_each_example_has_the_sum_of_its_losses():
    losses = (torch.tensor([1.0, 2.0]), torch.tensor([10.0, 20.0]), torch.tensor([0.5, -2.0]))
    assert total(iter(losses)).tolist() == [11.5, 20.0]
    assert total(losses[:1]) is losses[0]


def test_there_is_no_sum_of_nothing():
    with pytest.raises(ValueError, match="not enough values"):
        total([])
