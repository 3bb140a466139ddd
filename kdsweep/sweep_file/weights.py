"""Whether a weights file belongs to an architecture, from names and shapes alone."""

import pickle
import struct
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from kdsweep.errors import SpecError

Shapes = dict[str, tuple[int, ...]]

# What a damaged or hostile file makes the readers raise; the restricted unpickler runs no code.
_UNREADABLE = (
    SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError, LookupError,
    TypeError, AttributeError, OSError, ArithmeticError, MemoryError, struct.error,
)  # fmt: skip
_SHOWN = 3


def shapes_in(path: Path) -> Shapes:
    """The shape of every tensor in a ``.safetensors`` file, or a ``.pt`` of tensors alone.

    No weights are read, and of a pickle nothing but tensors and plain containers is let in.

    Raises:
        SpecError: there is no such file, or it is no state dict.
    """
    if not path.is_file():
        raise SpecError(f"{str(path)!r}: no such file")
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loaded = torch.load(path, map_location="meta", weights_only=True)
    except _UNREADABLE as error:
        raise SpecError(
            f"{str(path)!r} cannot be read as weights ({_reason(error)}); allowed: .safetensors, "
            "or a .pt that holds a state dict of tensors and nothing else"
        ) from None
    return _shapes_of(loaded, path)


def mismatch(network: Mapping[str, Any], file: Mapping[str, Any]) -> str | None:
    """The first tensors that differ between a network and a file, both name -> shape, in words.

    ``None`` where every name and every shape agrees.
    """
    differing = [
        f"{name} is {_shape(network, name)} in the network and {_shape(file, name)} in the file"
        for name in dict.fromkeys((*network, *file))
        if name not in network or name not in file or tuple(network[name]) != tuple(file[name])
    ]
    if not differing:
        return None
    more = f"; and {len(differing) - _SHOWN} more" if len(differing) > _SHOWN else ""
    return "; ".join(differing[:_SHOWN]) + more


def _shapes_of(loaded: Any, path: Path) -> Shapes:
    nested = loaded.get("state_dict") if isinstance(loaded, Mapping) else None
    state = nested if isinstance(nested, Mapping) else loaded
    if not isinstance(state, Mapping) or not all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in state.items()
    ):
        raise SpecError(
            f"{str(path)!r} holds {type(loaded).__name__}: must be a state dict, "
            "a mapping of names to tensors"
        )
    return {name: tuple(value.shape) for name, value in state.items()}


def _shape(shapes: Mapping[str, Any], name: str) -> str:
    return str(list(shapes[name])) if name in shapes else "absent"


def _reason(error: BaseException) -> str:
    text = str(error).strip()
    if "Unsupported" in text or "weights_only" in text.casefold() or "WeightsUnpickler" in text:
        return "it holds more than tensors, which could run code when read"
    return text.splitlines()[0][:120] if text else type(error).__name__
