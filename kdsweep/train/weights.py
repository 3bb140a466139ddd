"""Weights on disk: safetensors, written whole or not at all, never a pickle."""

import hashlib
import os
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import nn

from kdsweep.errors import SpecError


def save_weights(network: nn.Module, path: Path, *, about: dict[str, str] | None = None) -> str:
    """Write the state dict as safetensors, atomically; returns the sha256 of the file."""
    state = {k: v.detach().cpu().contiguous().clone() for k, v in network.state_dict().items()}
    data = save(state, metadata=about)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return hashlib.sha256(data).hexdigest()


def load_state(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a ``.safetensors`` file, or of a ``.pt`` that holds tensors alone.

    Raises:
        SpecError: the file is missing, unreadable or holds anything but tensors.
    """
    if not path.is_file():
        raise SpecError(f"no weights file {str(path)!r}")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001  # a file from a stranger fails in many ways, all one to the user
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SpecError(
            f"{str(path)!r} cannot be read as weights ({reason}); allowed: .safetensors, or a .pt "
            "that holds a state dict of tensors and nothing else"
        ) from None
    if isinstance(loaded, dict) and isinstance(loaded.get("state_dict"), dict):
        loaded = loaded["state_dict"]
    if not isinstance(loaded, dict) or not all(isinstance(v, torch.Tensor) for v in loaded.values()):
        raise SpecError(f"{str(path)!r} holds no state dict: a mapping of names to tensors is needed")
    return loaded


def load_into(network: nn.Module, state: dict[str, torch.Tensor], *, source: object) -> None:
    """Load ``state`` into ``network``, every tensor or none.

    Raises:
        SpecError: the weights are of another architecture; names the first tensors that differ.
    """
    own = network.state_dict()
    differ = [
        f"{name}: file has {list(state[name].shape) if name in state else 'nothing'}, "
        f"network has {list(own[name].shape) if name in own else 'nothing'}"
        for name in [*own, *(n for n in state if n not in own)]
        if name not in state or name not in own or state[name].shape != own[name].shape
    ]
    if differ:
        shown = "; ".join(differ[:3]) + (f"; and {len(differ) - 3} more" if differ[3:] else "")
        raise SpecError(f"{str(source)!r} holds the weights of another architecture: {shown}")
    network.load_state_dict(state)
