"""Channels last: where it pays, and how a network gets there and back."""

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

FEWEST_CHANNELS = 8
"""Of the narrowest convolution, for channels last to pay on a CPU. Measured forward and backward,
batches of 64 and 128, one thread, AVX2: narrower networks took 0.9 to 1.3 times as long with it,
wider ones 0.55 to 0.9 times."""
LEAST_SIDE_OF_DEPTHWISE = 32
"""Of the images, for channels last to pay on a CPU where a network has grouped convolutions: 1.1
times as long at 8x8, 0.7 times at 32x32."""
_FEWEST_STRIDED = 16
"""Inputs of a 1x1 convolution with a stride, below which its backward is not safe: see below."""


def pays(network: nn.Module, side: int, device: torch.device) -> bool:
    """Whether ``network`` is faster with channels last, for images of ``side``.

    On a GPU it is taken to be where that computes in bf16, with tensor cores; this was not
    measured. Convolutions that cut an image into patches do not count: what follows them has no
    channels.
    """
    mixing = [
        module
        for module in network.modules()
        if isinstance(module, nn.Conv2d) and not _cuts_patches(module)
    ]
    if not mixing:
        return False
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if min(each.out_channels for each in mixing) < FEWEST_CHANNELS:
        return False
    return side >= LEAST_SIDE_OF_DEPTHWISE or all(each.groups == 1 for each in mixing)


class ChannelsLast:
    """Modules with channels last, until undone; nothing that is saved of them changes.

    Their inputs need no change: a convolution whose weight lies so gives maps that do.
    """

    def __init__(self, module: nn.Module) -> None:
        """Turn the weights of ``module`` and all inside it.

        On a CPU the backward of a 1x1 convolution with a stride and few input channels writes past
        its memory with channels last (https://github.com/uxlfoundation/oneDNN/issues/6035): these
        stay as they are, and their inputs are turned back.
        """
        self._module = module
        self._handles: list[RemovableHandle] = []
        module.to(memory_format=torch.channels_last)
        for each in module.modules():
            if isinstance(each, nn.Conv2d) and _is_unsafe(each):
                each.weight.data = _plain(each.weight.data)
                self._handles.append(each.register_forward_pre_hook(_plain_input))

    def undo(self) -> None:
        """The weights as they lay before."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        for tensor in (*self._module.parameters(), *self._module.buffers()):
            if tensor.ndim == 4:
                tensor.data = _plain(tensor.data)


def _cuts_patches(convolution: nn.Conv2d) -> bool:
    return convolution.kernel_size == convolution.stride != (1, 1)


def _is_unsafe(convolution: nn.Conv2d) -> bool:
    return (
        convolution.weight.device.type == "cpu"
        and convolution.kernel_size == (1, 1)
        and max(convolution.stride) > 1
        and convolution.in_channels // convolution.groups < _FEWEST_STRIDED
    )


def _plain(tensor: Tensor) -> Tensor:
    # Not `contiguous`: with sides or channels of 1 a tensor is so either way, and is not turned.
    return tensor.clone(memory_format=torch.contiguous_format)


def _plain_input(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (_plain(inputs[0]), *inputs[1:])
