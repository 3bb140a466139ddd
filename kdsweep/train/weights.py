"""Weights on disk: safetensors, written whole or not at all, never a pickle."""

import hashlib
from collections.abc import Mapping

import torch
from safetensors.torch import save
from torch import nn

from kdsweep.errors import SpecError
from kdsweep.storage.address import Place
from kdsweep.storage.folder import write_at
from kdsweep.sweep_file.weights import mismatch


def save_weights(network: nn.Module, place: Place, *, about: dict[str, str] | None = None) -> str:
    """Write the state dict as safetensors, atomically; returns the sha256 of the file.

    Raises:
        OSError: ``place``, a path or an address, cannot be written to.
    """
    state = {k: v.detach().cpu().contiguous().clone() for k, v in network.state_dict().items()}
    data = save(state, metadata=about)
    write_at(place, data)
    return hashlib.sha256(data).hexdigest()


def load_into(network: nn.Module, state: Mapping[str, torch.Tensor], *, source: object) -> None:
    """Load ``state`` into ``network``, every tensor or none.

    Raises:
        SpecError: the weights are of another architecture; names the first tensors that differ.
    """
    own = {name: value.shape for name, value in network.state_dict().items()}
    differ = mismatch(own, {name: value.shape for name, value in state.items()})
    if differ is not None:
        raise SpecError(f"{str(source)!r} holds the weights of another architecture: {differ}")
    network.load_state_dict(state)
