"""Where a network is read when nobody names layers: its last map at each resolution."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from kdsweep.models.modes import evaluating

_POOLS = (
    nn.MaxPool2d,
    nn.AvgPool2d,
    nn.AdaptiveMaxPool2d,
    nn.AdaptiveAvgPool2d,
    nn.FractionalMaxPool2d,
    nn.LPPool2d,
)
# Unpadded convolutions trim a map (149 to 147) within one stage; halving one side alone leaves 0.5.
_SAME_AREA = 0.6


@dataclass
class _Call:
    """One call of a module in the probing forward, with the calls made inside it."""

    path: str
    module: nn.Module
    given: tuple[int, int] | None
    output: object = None
    size: tuple[int, int] | None = None
    inside: list[_Call] = field(default_factory=list)

    def within(self) -> Iterator[_Call]:
        for call in self.inside:
            yield call
            yield from call.within()


def stages(network: nn.Module, images: Tensor) -> tuple[str, ...]:
    """Paths of the modules that give the last map ``[N, D, H, W]`` at each resolution, in order.

    Found by one forward of ``images`` ``[N, D, H, W]`` in evaluation mode; modes and buffers stay
    as they were. A map behind a pool is not read before something works on it, so that what counts
    is the map after the activation in front of the pool. A block is read whole: what it computes
    inside, at the resolution that it takes or gives, does not count. Maps of 1x1 are left out where
    there are others. Maps with channels last (Swin) are not recognised, and activations called as
    functions in the network's own ``forward`` cannot be seen: then the convolution before is named.

    A network without maps, as one of texts, has no stages: ``()``.
    """
    if images.ndim != 4:
        return ()
    last: dict[tuple[int, int], str] = {}
    for call in _units(_record(network, images)):
        if call.size is None:
            continue
        size = next((known for known in last if _similar(known, call.size)), call.size)
        last.pop(size, None)
        last[call.size] = call.path
    vectors = {size for size in last if size == (1, 1)}
    kept = [path for size, path in last.items() if size not in vectors]
    return tuple(kept or last.values())


def _record(network: nn.Module, images: Tensor) -> _Call:
    """The calls of one forward as a tree; the root stands for the network."""
    aspect = (images.shape[-2], images.shape[-1])
    root = _Call("", network, aspect)
    open_calls = [root]

    def before(path: str) -> Any:
        def enter(module: nn.Module, inputs: tuple[object, ...]) -> None:
            given = _map_size(inputs[0], aspect) if inputs else None
            call = _Call(path, module, given)
            open_calls[-1].inside.append(call)
            open_calls.append(call)

        return enter

    def leave(module: nn.Module, inputs: object, output: object) -> None:
        call = open_calls.pop()
        call.output, call.size = output, _map_size(output, aspect)

    handles = []
    for path, module in network.named_modules():
        if path:
            handles.append(module.register_forward_pre_hook(before(path)))
            handles.append(module.register_forward_hook(leave))
    try:
        with evaluating(network), torch.no_grad():
            network(images)
    finally:
        for handle in handles:
            handle.remove()
    return root


def _units(call: _Call) -> Iterator[_Call]:
    """The calls inside that count as one step of the network each, without the pools."""
    for inner in call.inside:
        if isinstance(inner.module, _POOLS):
            continue
        if inner.inside and _spans(inner):
            yield from _units(inner)
        else:
            yield inner


def _spans(call: _Call) -> bool:
    """Whether a module holds maps of several stages, so that it must be read inside."""
    size = call.size
    pooled = any(
        inner.output is call.output for inner in call.within() if isinstance(inner.module, _POOLS)
    )
    if size is None or pooled:
        return True
    if isinstance(call.module, nn.Sequential):
        steps = [inner.size for inner in call.inside if not isinstance(inner.module, _POOLS)]
        ends = [size]
    else:
        steps = [inner.size for inner in call.within() if not isinstance(inner.module, _POOLS)]
        ends = [size, call.given or size]
    return any(
        step is not None and step != (1, 1) and not any(_similar(step, end) for end in ends)
        for step in steps
    )


def _map_size(output: object, image: tuple[int, int]) -> tuple[int, int] | None:
    """``(H, W)`` of a map in the image's proportions, None for anything else."""
    if not (isinstance(output, Tensor) and output.ndim == 4):
        return None
    height, width = output.shape[-2:]
    expected = height * image[1] / image[0]
    return (height, width) if abs(width - expected) <= max(1.0, expected / 4) else None


def _similar(one: tuple[int, int], other: tuple[int, int]) -> bool:
    areas = sorted((one[0] * one[1], other[0] * other[1]))
    return areas[0] > _SAME_AREA * areas[1]
