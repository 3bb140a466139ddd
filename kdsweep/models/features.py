"""Intermediate features by module path, read with forward hooks: no network is edited."""

from collections.abc import Sequence
from difflib import get_close_matches
from functools import partial
from types import TracebackType
from typing import Self

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from kdsweep.errors import SpecError
from kdsweep.models.stages import stages

__all__ = ["FeatureTap", "stages"]


OF_INPUT = ":input"
"""Behind a path: what the module takes, not what it gives."""


class FeatureTap:
    """What modules give during the last forward of a network, until detached.

    A path with ``:input`` behind it reads the first input of the module in place of its output.

    Each forward of the network begins by forgetting the one before. Of a module called several
    times in one forward the last call counts. The tensors are the network's own, with their
    gradients: where it changes one in place afterwards (``ReLU(inplace=True)`` behind a norm), the
    change is seen, and the module around both reads better.

    >>> with FeatureTap(network, ["stages.0", "pooled"]) as tap:
    ...     outputs = Outputs(network(images), tap.features)
    """

    def __init__(self, network: nn.Module, paths: Sequence[str]) -> None:
        """Attach to the modules at ``paths``.

        Raises:
            SpecError: a path does not lead to a module; names every such path and the nearest.
        """
        # The same module may hang at several paths.
        modules = dict(network.named_modules(remove_duplicate=False))
        del modules[""]
        bare = [path.removesuffix(OF_INPUT) for path in paths]
        wrong = [_unknown_path(path, network, modules) for path in bare if path not in modules]
        if wrong:
            raise SpecError(wrong)
        self.paths = tuple(dict.fromkeys(paths))
        self._seen: dict[str, Tensor] = {}
        self._handles: list[RemovableHandle] = []
        if self.paths:
            self._handles.append(network.register_forward_pre_hook(self._forget))
        for path in self.paths:
            module = modules[path.removesuffix(OF_INPUT)]
            keep = partial(self._keep, path)
            self._handles.append(
                module.register_forward_pre_hook(keep)
                if path.endswith(OF_INPUT)
                else module.register_forward_hook(keep)
            )

    @property
    def features(self) -> dict[str, Tensor]:
        """The features of the last forward by path, in the order asked for.

        Raises:
            SpecError: the last forward did not call a module, or there was none.
        """
        missing = [path for path in self.paths if path not in self._seen]
        if missing:
            raise SpecError(
                f"no features at {path!r}: the network's last forward did not call this module; "
                "name one that it calls"
                for path in missing
            )
        return {path: self._seen[path] for path in self.paths}

    def detach(self) -> None:
        """Remove the hooks and forget all features; a second time does nothing."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._seen.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.detach()

    def _forget(self, network: nn.Module, inputs: object) -> None:
        self._seen.clear()

    def _keep(self, path: str, module: nn.Module, inputs: object, *outputs: object) -> None:
        """Called with the inputs before a module's forward, with its output too after it."""
        given = inputs[0] if isinstance(inputs, tuple) and inputs else None
        found = outputs[0] if outputs else given
        if not isinstance(found, Tensor):
            raise SpecError(
                f"no features at {path!r}: {type(module).__name__} "
                f"{'gives' if outputs else 'takes'} a {type(found).__name__}, not a tensor; "
                "name a module inside it"
            )
        self._seen[path] = found


def _unknown_path(path: str, network: nn.Module, modules: dict[str, nn.Module]) -> str:
    """The sentence for a path that leads nowhere: the nearest, and what there is at that depth."""
    parent = path.rpartition(".")[0]
    while parent and parent not in modules:
        parent = parent.rpartition(".")[0]
    around = modules[parent] if parent else network
    prefix = f"{parent}." if parent else ""
    have = [prefix + name for name, _ in around.named_children()]
    close = get_close_matches(path, modules, n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    inside = f" in {parent!r}" if parent else ""
    there = f"have{inside}: {', '.join(have)}" if have else f"{parent!r} has no modules inside"
    return f"no module at {path!r} in {type(network).__name__}{hint} ({there})"
