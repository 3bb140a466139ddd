"""Nested values with tensors in them as one safetensors file: no pickle is written or read."""

import json
from collections.abc import Mapping
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

_TREE, _TENSOR, _ITEMS = "tree", "$tensor", "$items"


def packed(state: Any) -> bytes:
    """``state`` as the bytes of a safetensors file.

    It is made of tensors, numbers, strings, booleans, ``None``, and of lists, tuples (which come
    back as lists) and mappings of those with strings or integers as keys.

    Raises:
        TypeError: it holds something else; says what.
    """
    tensors: dict[str, Tensor] = {}
    tree = _plain(state, tensors)
    return save(tensors, metadata={_TREE: json.dumps(tree)})


def unpacked(data: bytes) -> Any:
    """What ``packed`` was given, its tensors on the CPU.

    Raises:
        ValueError: the bytes are no such file.
    """
    try:
        tensors = load(data)
        size = int.from_bytes(data[:8], "little")
        tree = json.loads(json.loads(data[8 : 8 + size])["__metadata__"][_TREE])
        return _nested(tree, tensors)
    except (SafetensorError, LookupError, TypeError, RecursionError) as error:
        raise ValueError(f"holds no saved state: {error}") from error


def _plain(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        name = str(len(tensors))
        # A copy: what shares its memory with another tensor cannot be saved.
        tensors[name] = value.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        return {_TENSOR: name}
    if isinstance(value, Mapping):
        return {_ITEMS: [[_key(key), _plain(each, tensors)] for key, each in value.items()]}
    if isinstance(value, list | tuple):
        return [_plain(each, tensors) for each in value]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise TypeError(f"a {type(value).__name__} cannot be saved without running code to read it")


def _key(key: Any) -> str | int:
    if isinstance(key, str | int):
        return key
    raise TypeError(f"a key that is a {type(key).__name__} cannot be saved")


def _nested(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [_nested(each, tensors) for each in value]
    if isinstance(value, dict):
        if _TENSOR in value:
            # A copy, which may be written to, and lies where numbers of its type may.
            return tensors[value[_TENSOR]].clone()
        return {key: _nested(each, tensors) for key, each in value[_ITEMS]}
    return value
