"""Whether a weights file belongs to an architecture, from names and shapes alone."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file

from kdsweep.errors import SpecError

Shapes = dict[str, tuple[int, ...]]

_SHOWN = 3
# Of no use to a frozen network, and absent from torchvision's oldest files.
_COUNT = ".num_batches_tracked"


def shapes_in(path: Path) -> Shapes:
    """The shape of every tensor in a ``.safetensors`` file, or a ``.pt`` of tensors alone.

    No weights are read, and of a pickle nothing but tensors and plain containers is let in.

    Raises:
        SpecError: there is no such file, or it is no state dict.
    """
    if path.suffix == ".safetensors" and path.is_file():
        with _reading(path), safe_open(path, framework="pt") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    return {name: tuple(value.shape) for name, value in load_state(path, device="meta").items()}


def load_state(path: Path, *, device: str = "cpu") -> dict[str, torch.Tensor]:
    """The tensors of a ``.safetensors`` file, or of a ``.pt`` that holds tensors alone.

    Raises:
        SpecError: there is no such file, or it is no state dict.
    """
    if not path.is_file():
        what = "is no ordinary file" if path.exists() else "no such file"
        raise SpecError(f"{str(path)!r}: {what}")
    with _reading(path), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if path.suffix == ".safetensors":
            return load_file(path, device=device)
        loaded = torch.load(path, map_location=device, weights_only=True)
    return _state_of(loaded, path)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    # A damaged or hostile file lets the readers fall over anywhere, in assertions too; the
    # restricted unpickler runs no code.
    except Exception as error:  # noqa: BLE001
        raise SpecError(
            f"{str(path)!r} cannot be read as weights ({_reason(error)}); allowed: .safetensors, "
            "or a .pt that holds a state dict of tensors and nothing else"
        ) from None


def mismatch(network: Mapping[str, Any], file: Mapping[str, Any]) -> str | None:
    """The first tensors that differ between a network and a file, both name -> shape, in words.

    ``None`` where every name and every shape agrees. How many batches a norm has seen, which
    older files do not say, need not be in the file.
    """
    needed = [name for name in network if name in file or not name.endswith(_COUNT)]
    differing = [
        f"{name} is {_shape(network, name)} in the network and {_shape(file, name)} in the file"
        for name in dict.fromkeys((*needed, *file))
        if name not in network or name not in file or tuple(network[name]) != tuple(file[name])
    ]
    if not differing:
        return None
    more = f"; and {len(differing) - _SHOWN} more" if len(differing) > _SHOWN else ""
    return "; ".join(differing[:_SHOWN]) + more


def _state_of(loaded: Any, path: Path) -> dict[str, torch.Tensor]:
    nested = loaded.get("state_dict") if isinstance(loaded, Mapping) else None
    state = nested if isinstance(nested, Mapping) else loaded
    if not isinstance(state, Mapping) or not all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in state.items()
    ):
        raise SpecError(
            f"{str(path)!r} holds {type(loaded).__name__}: must be a state dict, "
            "a mapping of names to tensors"
        )
    return dict(state)


def _shape(shapes: Mapping[str, Any], name: str) -> str:
    return str(list(shapes[name])) if name in shapes else "absent"


def _reason(error: BaseException) -> str:
    text = str(error).strip()
    if "Unsupported" in text or "weights_only" in text.casefold() or "WeightsUnpickler" in text:
        return "it holds more than tensors, which could run code when read"
    if not text or isinstance(error, LookupError | TypeError | AttributeError | AssertionError):
        return "it is damaged, or of another kind"  # the reader fell over it
    return text.splitlines()[0][:120]
