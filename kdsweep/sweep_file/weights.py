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
from kdsweep.spec.labels import short

Shapes = dict[str, tuple[int, ...]]

_SHOWN = 3
_KEYS_SHOWN = 10
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
    if not _is_state(state):
        raise SpecError(
            f"{str(path)!r} holds {_what(loaded)}: must be a state dict, "
            f"a mapping of names to tensors{_way_out(loaded, path)}"
        )
    return dict(state)


def _is_state(found: Any) -> bool:
    return isinstance(found, Mapping) and all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in found.items()
    )


def _what(loaded: Any) -> str:
    kind = type(loaded).__name__
    if not isinstance(loaded, Mapping):
        return kind
    keys = [short(key) for key in loaded]
    more = f" and {len(keys) - _KEYS_SHOWN} more" if len(keys) > _KEYS_SHOWN else ""
    return f"{kind} with the keys {', '.join(keys[:_KEYS_SHOWN])}{more}"


def _way_out(loaded: Any, path: Path) -> str:
    """Which entries of a checkpoint are state dicts, and how the first is saved by itself."""
    if not isinstance(loaded, Mapping):
        return ""
    held = [repr(key) for key, value in loaded.items() if _is_state(value) and value]
    if not held:
        return ""
    which = f"{' and '.join(held)} hold{'s' if len(held) == 1 else ''} one"
    alone = str(path.with_name(f"{path.stem}_alone.pt"))
    return (
        f"; {which}: save {'it' if len(held) == 1 else 'the one you mean'} by itself, with "
        f"torch.save(torch.load({str(path)!r})[{held[0]}], {alone!r}), and name that file"
    )


def _shape(shapes: Mapping[str, Any], name: str) -> str:
    return str(list(shapes[name])) if name in shapes else "absent"


def _reason(error: BaseException) -> str:
    text = str(error).strip()
    if "Unsupported" in text or "weights_only" in text.casefold() or "WeightsUnpickler" in text:
        return "it holds more than tensors, which could run code when read"
    if not text or isinstance(error, LookupError | TypeError | AttributeError | AssertionError):
        return "it is damaged, or of another kind"  # the reader fell over it
    return text.splitlines()[0][:120]
