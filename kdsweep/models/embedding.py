"""Where a network has its embedding: the vectors that its last linear layer classifies."""

from typing import Any

import torch
from torch import Tensor, nn

from kdsweep.models.features import OF_INPUT
from kdsweep.models.modes import evaluating


def embedding(network: nn.Module, inputs: Tensor) -> str | None:
    """The path ``[N, D]`` of what the linear layer that gives the logits takes, or ``None``.

    Found by one forward of ``inputs`` in evaluation mode; modes and buffers stay as they were. A
    network whose logits come of something else, as of a convolution, has none.
    """
    given: list[tuple[str, object, object]] = []

    def note(path: str) -> Any:
        def keep(module: nn.Module, taken: tuple[object, ...], output: object) -> None:
            given.append((path, taken[0] if taken else None, output))

        return keep

    linear = [(path, m) for path, m in network.named_modules() if isinstance(m, nn.Linear)]
    handles = [module.register_forward_hook(note(path)) for path, module in linear]
    try:
        with evaluating(network), torch.no_grad():
            logits = network(inputs)
    finally:
        for handle in handles:
            handle.remove()
    for path, taken, output in reversed(given):
        if output is logits and isinstance(taken, Tensor) and taken.ndim == 2:
            return path + OF_INPUT
    return None
