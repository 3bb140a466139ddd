"""How large a network is, and whether it fits the inputs at all."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils import flop_counter
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from kdsweep.batch import Shape, Tokens, in_words
from kdsweep.errors import SpecError
from kdsweep.models.eager import spare_compiler
from kdsweep.models.modes import evaluating

LARGE = 30_000_000
"""Parameters above which a network is tried on the meta device: a forward there imports torch's
compiler, and a smaller one runs in less time."""

# What a constructor or a forward raises when shapes, or the meta device, do not suit it.
_REFUSALS = (RuntimeError, TypeError, ValueError, AssertionError, IndexError)


for _mode in vars(flop_counter).values():
    if isinstance(_mode, type) and issubclass(_mode, TorchDispatchMode):
        spare_compiler(_mode.__torch_dispatch__)


def count_params(network: nn.Module) -> int:
    """Number of parameters, trained or frozen, each shared one once."""
    return sum(parameter.numel() for parameter in network.parameters())


def size_bytes(network: nn.Module) -> int:
    """Bytes of the parameters and buffers that are saved, each shared one once."""
    saved = network.state_dict(keep_vars=True).values()
    distinct = {id(tensor): tensor for tensor in saved if isinstance(tensor, Tensor)}
    return sum(tensor.nbytes for tensor in distinct.values())


def count_macs(network: nn.Module, shape: Shape) -> int:
    """Multiply-adds of convolutions, matrix products and attention, for one input of ``shape``.

    Nothing is computed where the network is on the meta device.
    """
    return _counted_forward(network, shape)[1]


def check_takes(
    network: nn.Module, shape: Shape, num_classes: int, *, name: str | None = None
) -> None:
    """Pass if the network gives logits ``[1, num_classes]`` for one input of ``shape``.

    ``name`` is what the error calls the network; its class if not given.

    Raises:
        SpecError: it fails on such an image, or gives something else.
    """
    output, _ = _accepted_forward(network, shape, name)
    _check_logits(output, shape, num_classes, name or type(network).__name__)


def sizes(
    build: Callable[[], nn.Module],
    shape: Shape,
    *,
    num_classes: int | None = None,
    name: str | None = None,
) -> dict[str, int]:
    """``params``, ``macs`` and ``size_bytes`` of what ``build`` makes, for inputs of ``shape``.

    A large network is built on the meta device, so that no weight is allocated or drawn; a small
    one, and one that cannot be, on the CPU, with the random state as before afterwards. With
    ``num_classes`` the logits are checked as ``check_takes`` does.

    Raises:
        SpecError: the network cannot be built, or does not take such images.
    """
    try:
        with torch.device("meta"):
            network = build()
        large = count_params(network) > LARGE
        counted = _counted_forward(network, shape) if large else None
    except (SpecError, *_REFUSALS):
        counted = None
    if counted is None:
        # Whether the network or only the meta device is at fault shows on the CPU.
        with torch.random.fork_rng(devices=[]):
            network = build()
            counted = _accepted_forward(network, shape, name)
    output, macs = counted
    if num_classes is not None:
        _check_logits(output, shape, num_classes, name or type(network).__name__)
    return {
        "params": count_params(network),
        "macs": macs,
        "size_bytes": size_bytes(network),
    }


def _counted_forward(network: nn.Module, shape: Shape) -> tuple[object, int]:
    """The output for one image, and the multiply-adds that it took."""
    fused = torch.backends.mha.get_fastpath_enabled()
    # The counter does not see into the fused kernel of multi-head attention.
    torch.backends.mha.set_fastpath_enabled(False)
    counter = FlopCounterMode(display=False)
    try:
        with evaluating(network), torch.no_grad(), counter:
            output = network(example(network, shape))
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
    return output, counter.get_total_flops() // 2


def _accepted_forward(network: nn.Module, shape: Shape, name: str | None) -> tuple[object, int]:
    try:
        return _counted_forward(network, shape)
    except _REFUSALS as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise SpecError(
            f"{name or type(network).__name__} does not take {in_words(shape)}: {reason}; "
            "change the model's settings or the data's shape"
        ) from error


def _check_logits(output: object, shape: Shape, num_classes: int, name: str) -> None:
    if isinstance(output, Tensor) and tuple(output.shape) == (1, num_classes):
        return
    found = list(output.shape) if isinstance(output, Tensor) else f"a {type(output).__name__}"
    raise SpecError(
        f"{name} gives {found} for one of the {in_words(shape)}: with {num_classes} classes its "
        f"forward must give logits of shape [1, {num_classes}]"
    )


def example(network: nn.Module, shape: Shape) -> Tensor:
    """One empty image where the network is, or one text of full length."""
    weight = next((p for p in network.parameters() if p.is_floating_point()), torch.empty(0))
    if isinstance(shape, Tokens):
        return torch.ones(1, shape.length, device=weight.device, dtype=torch.int64)
    return torch.zeros(1, *shape, device=weight.device, dtype=weight.dtype)
