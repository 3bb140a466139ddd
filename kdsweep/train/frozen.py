"""A frozen network as it answers fastest: what is asked of it again and again is its outputs."""

import torch
from torch import Tensor, nn

from kdsweep.batch import Outputs
from kdsweep.models.features import FeatureTap
from kdsweep.train.fused import Pair, foldable, folded, untapped
from kdsweep.train.memory_format import pays

_CHECKED_EXAMPLES = 2
_TOLERANCE = 1e-3
"""Of the largest logit: folding a batch norm rounds a hundred times less."""


class Frozen:
    """Logits and maps of a network that does not learn, without gradient.

    Batch norms are folded into convolutions, maps lie in memory as is fastest, and nothing is
    recorded for a gradient. All of that is done to a copy; where there is nothing to gain, the
    network itself is asked.
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._pairs: tuple[Pair, ...] | None = None
        self._built: tuple[Pair, ...] | None = None
        self._fast = network
        self._tap = FeatureTap(network, ())

    def outputs(self, inputs: Tensor, layers: tuple[str, ...]) -> Outputs:
        """Logits, and the maps at the module paths ``layers``.

        Raises:
            SpecError: there is no module at a path.
        """
        if layers != self._tap.paths or self._built is None:
            self._attach(inputs, layers)
        with torch.inference_mode():
            logits = self._fast(inputs)
        # Copies: a tensor of inference mode cannot be kept for a backward.
        features = {path: map_.clone() for path, map_ in self._tap.features.items()}
        return Outputs(logits.clone(), features)

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
            channels_last = pays(self._network, side, inputs.device)
            self._fast = folded(self._network, pairs) if pairs or channels_last else self._network
            if channels_last:
                self._fast.to(memory_format=torch.channels_last)
            self._built = pairs
        self._tap = FeatureTap(self._fast, layers)

    def _checked(self, pairs: tuple[Pair, ...], inputs: Tensor) -> tuple[Pair, ...]:
        """``pairs``, or none where the network then answers otherwise.

        A forward may go another way when it is traced, as one that asks for its input's type.
        """
        if not pairs:
            return ()
        few = inputs[:_CHECKED_EXAMPLES]
        with torch.no_grad(), torch.autocast(few.device.type, enabled=False):
            expected, found = self._network(few), folded(self._network, pairs)(few)
        same = torch.allclose(
            found, expected, rtol=0, atol=_TOLERANCE * float(expected.abs().max())
        )
        return pairs if same else ()
