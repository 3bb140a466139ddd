"""A frozen network as it answers fastest: what is asked of it again and again is its outputs."""

import torch
from torch import Tensor, nn

from kdsweep.batch import Outputs
from kdsweep.models.features import FeatureTap
from kdsweep.train.fused import Pair, foldable, folded, untapped
from kdsweep.train.memory_format import pays

PIXELS_AT_ONCE = 2**15
"""Of the images that a CPU is given at a time: what a layer gives is still in its cache when the
next layer takes it. Of 128 images of 32x32, 32 at a time took 0.7 to 0.85 times as long."""
_FEWEST_AT_ONCE = 8
_CHECKED_EXAMPLES = 2
_TOLERANCE = 1e-3
"""Of the largest logit: folding a batch norm rounds a hundred times less."""


class Frozen:
    """Logits and maps of a network that does not learn, without gradient.

    Batch norms are folded into convolutions, maps lie in memory as is fastest, and nothing is
    recorded for a gradient. All of that is done to a copy; where there is nothing to gain, the
    network itself is asked. A CPU is given a batch in pieces, where no example's outputs depend on
    the others.
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._pairs: tuple[Pair, ...] | None = None
        self._built: tuple[Pair, ...] | None = None
        self._fast = network
        self._channels_last = self._in_pieces = False
        self._tap = FeatureTap(network, ())

    def outputs(self, inputs: Tensor, layers: tuple[str, ...]) -> Outputs:
        """Logits, and the maps at the module paths ``layers``.

        Raises:
            SpecError: there is no module at a path.
        """
        if layers != self._tap.paths or self._built is None:
            self._attach(inputs, layers)
        return self._answers(inputs, _at_once(inputs) if self._in_pieces else len(inputs))

    def _answers(self, inputs: Tensor, size: int) -> Outputs:
        logits: list[Tensor] = []
        features: dict[str, list[Tensor]] = {path: [] for path in self._tap.paths}
        for piece in torch.split(inputs, size):
            with torch.inference_mode():
                logits.append(self._fast(piece))
            for path, map_ in self._tap.features.items():
                features[path].append(map_)
        # A copy also of one piece: a tensor of inference mode cannot be kept for a backward.
        joined = {path: torch.cat(maps) for path, maps in features.items()}
        return Outputs(torch.cat(logits), joined)

    def detach(self) -> None:
        """Remove the hooks, and forget the maps that they kept."""
        self._tap.detach()
        self._tap = FeatureTap(self._fast, ())

    def _attach(self, inputs: Tensor, layers: tuple[str, ...]) -> None:
        """Get the copy ready for ``layers``, and read them there."""
        self.detach()
        if self._pairs is None:
            self._pairs = self._checked(foldable(self._network), inputs)
        FeatureTap(self._network, layers).detach()  # its sentence where a path leads nowhere
        pairs = untapped(self._pairs, self._network, layers)
        if pairs != self._built:
            side = min(inputs.shape[2:]) if inputs.ndim == 4 else 0
            self._channels_last = pays(self._network, side, inputs.device)
            changed = pairs or self._channels_last
            self._fast = folded(self._network, pairs) if changed else self._network
            if self._channels_last:
                self._fast.to(memory_format=torch.channels_last)
            self._built = pairs
        self._tap = FeatureTap(self._fast, layers)
        on_cpu = inputs.device.type == "cpu"
        self._in_pieces = self._channels_last and on_cpu and self._divides(inputs)

    def _divides(self, inputs: Tensor) -> bool:
        """Whether what the network gives for examples one by one is what it gives for all."""
        few = inputs[:_CHECKED_EXAMPLES]
        with torch.autocast(few.device.type, enabled=False):
            whole, single = self._answers(few, len(few)), self._answers(few, 1)
        pairs = [(whole.logits, single.logits)]
        pairs += [(map_, single.features[path]) for path, map_ in whole.features.items()]
        return all(one.shape == other.shape and _close(one, other) for one, other in pairs)

    def _checked(self, pairs: tuple[Pair, ...], inputs: Tensor) -> tuple[Pair, ...]:
        """``pairs``, or none where the network then answers otherwise.

        A forward may go another way when it is traced, as one that asks for its input's type.
        """
        if not pairs:
            return ()
        few = inputs[:_CHECKED_EXAMPLES]
        with torch.no_grad(), torch.autocast(few.device.type, enabled=False):
            expected, found = self._network(few), folded(self._network, pairs)(few)
        return pairs if _close(found, expected) else ()


def _at_once(images: Tensor) -> int:
    return max(PIXELS_AT_ONCE // images.shape[2:].numel(), _FEWEST_AT_ONCE)


def _close(one: Tensor, other: Tensor) -> bool:
    largest = float(other.abs().max())
    return torch.allclose(one, other, rtol=0, atol=_TOLERANCE * largest)
