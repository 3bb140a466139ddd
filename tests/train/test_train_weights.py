"""Weights on disk: whole or not at all, and only into the network that they are of."""

import hashlib
import os
import stat

import pytest
import torch
from safetensors import safe_open
from tiny_trials import same_state, state
from torch import nn

from kdsweep.errors import SpecError
from kdsweep.sweep_file.weights import load_state
from kdsweep.train.weights import load_into, save_weights


def network(hidden: int = 3) -> nn.Sequential:
    """With a buffer that is no float, weights that are not contiguous, and two that are one."""
    made = nn.Sequential(nn.Conv2d(2, hidden, 3), nn.BatchNorm2d(hidden), nn.Conv2d(2, hidden, 3))
    made[2].weight = made[0].weight
    return made.to(memory_format=torch.channels_last)


def test_what_is_saved_is_what_is_loaded(tmp_path):
    path, first = tmp_path / "deep" / "w.safetensors", network()
    first[:2](torch.randn(4, 2, 5, 5))  # Moves the running statistics of the norm.
    sha256 = save_weights(first, path, about={"student": "cnn"})
    assert sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    other = network()
    assert not same_state(state(other), state(first))
    load_into(other, load_state(path), source=path)
    assert same_state(state(other), state(first))
    with safe_open(path, framework="pt") as file:
        assert file.metadata() == {"student": "cnn"}


def test_the_same_weights_are_the_same_file(tmp_path):
    first, other = network(), network()
    other.load_state_dict(first.state_dict())
    names = [tmp_path / "1.safetensors", tmp_path / "2.safetensors"]
    sums = [save_weights(each, name) for each, name in zip((first, other), names, strict=True)]
    assert sums[0] == sums[1]


def test_a_save_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "w.safetensors"
    save_weights(network(), path)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError("no room")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="no room"):
        save_weights(network(), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_others_may_read_what_the_umask_lets_them(tmp_path):
    old = os.umask(0o022)
    try:
        save_weights(network(), path := tmp_path / "w.safetensors")
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_saving_leaves_the_network_as_it_is(tmp_path):
    made = network()
    before, modes = state(made), [m.training for m in made.modules()]
    save_weights(made, tmp_path / "w.safetensors")
    assert same_state(state(made), before)
    assert [m.training for m in made.modules()] == modes
    assert made[2].weight is made[0].weight


def test_another_architecture_is_refused_with_its_first_tensors_and_nothing_is_loaded():
    made, other = network(3), network(5)
    before = state(made)
    with pytest.raises(SpecError) as caught:
        load_into(made, other.state_dict(), source="w.pt")
    (said,) = caught.value.problems
    assert said.startswith(
        "'w.pt' holds the weights of another architecture: "
        "0.weight is [3, 2, 3, 3] in the network and [5, 2, 3, 3] in the file; 0.bias is [3]"
    )
    assert said.endswith("; and 5 more")
    assert same_state(state(made), before)


@pytest.mark.parametrize("change", ["missing", "unknown"])
def test_a_tensor_too_few_or_too_many_is_refused(change):
    given = state(network())
    if change == "missing":
        del given["1.running_mean"]
    else:
        given["1.running_median"] = torch.zeros(3)
    with pytest.raises(SpecError, match=r"another architecture: 1\.running_me"):
        load_into(network(), given, source="w.pt")
