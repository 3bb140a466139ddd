"""Batch norms folded into the convolutions before them, in a copy of a frozen network."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from kdsweep.models.features import OF_INPUT

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@dataclass(frozen=True)
class Pair:
    """A convolution and the batch norm that alone takes its output, by module paths."""

    convolution: str
    norm: str


def foldable(network: nn.Module) -> tuple[Pair, ...]:
    """The pairs of ``network`` that can be folded; none where its forward cannot be traced.

    A forward that branches on values, or takes what ``torch.fx`` does not trace, is one.
    """
    try:
        nodes = fx.Tracer().trace(network).nodes
    except Exception:  # noqa: BLE001  # a user's forward may raise anything when it is traced
        return ()
    modules = dict(network.named_modules())
    called = [str(node.target) for node in nodes if node.op == "call_module"]
    pairs = []
    for node in nodes:
        if node.op != "call_module" or not _folds(modules[str(node.target)]):
            continue
        source = node.args[0] if node.args else None
        if (
            isinstance(source, fx.Node)
            and source.op == "call_module"
            and type(modules[str(source.target)]) in _CONVOLUTIONS
            and not _has_hooks(modules[str(source.target)])
            and len(source.users) == 1
            and called.count(str(source.target)) == called.count(str(node.target)) == 1
        ):
            pairs.append(Pair(str(source.target), str(node.target)))
    return tuple(pairs)


def untapped(pairs: Sequence[Pair], network: nn.Module, layers: Sequence[str]) -> tuple[Pair, ...]:
    """Those of ``pairs`` that can be folded while the maps at the paths ``layers`` are as before.

    Between the two of a pair alone is another value then: at the output of what holds the
    convolution and not the norm, and at the input of what holds the norm and not the convolution.
    """
    modules = dict(network.named_modules(remove_duplicate=False))

    def changes(pair: Pair, path: str) -> bool:
        inside = set(modules[path.removesuffix(OF_INPUT)].modules())
        has_convolution = modules[pair.convolution] in inside
        has_norm = modules[pair.norm] in inside
        if path.endswith(OF_INPUT):
            return has_norm and not has_convolution
        return has_convolution and not has_norm

    return tuple(each for each in pairs if not any(changes(each, path) for path in layers))


def folded(network: nn.Module, pairs: Sequence[Pair]) -> nn.Module:
    """A copy of ``network``, in evaluation mode, without the batch norms of ``pairs``.

    The convolution does what both did; all modules keep their paths.
    """
    copied = copy.deepcopy(network).eval()
    for pair in pairs:
        convolution = copied.get_submodule(pair.convolution)
        norm = copied.get_submodule(pair.norm)
        assert isinstance(convolution, _CONVOLUTIONS)
        assert isinstance(norm, _NORMS)
        _replace(copied, convolution, fuse_conv_bn_eval(convolution, norm))
        _replace(copied, norm, nn.Identity())
    return copied.requires_grad_(False)


def _folds(module: nn.Module) -> bool:
    return (
        type(module) in _NORMS
        and getattr(module, "running_mean", None) is not None
        and not _has_hooks(module)
    )


def _has_hooks(module: nn.Module) -> bool:
    """Whether more happens at a call than the forward, as with a norm of the weight."""
    return bool(module._forward_hooks or module._forward_pre_hooks)


def _replace(network: nn.Module, old: nn.Module, new: nn.Module) -> None:
    """Put ``new`` wherever ``old`` hangs."""
    places = [
        (parent, name)
        for parent in network.modules()
        for name, child in parent._modules.items()
        if child is old
    ]
    for parent, name in places:
        setattr(parent, name, new)
