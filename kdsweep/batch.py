"""The tensors that pass between rooms.

Shape letters, one legend for the repository: ``N`` batch, ``C`` classes, ``D`` channels or
features, ``H W`` space, ``L`` layers, ``S`` sequence, ``V`` views, ``K`` teachers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Samples on the training device, normalised and augmented.

    ``images`` is ``[N, D, H, W]`` float32, ``labels`` ``[N]`` int64, ``ids`` ``[N]`` int64: the
    position of each sample in its split, whatever the order of the epoch, and ``view`` the epoch's
    slot among the replayable views (zero where nothing is augmented).
    """

    images: Tensor
    labels: Tensor
    ids: Tensor
    view: int = 0

    def __len__(self) -> int:
        return self.labels.shape[0]


@dataclass(frozen=True)
class Outputs:
    """What a network gave for a batch: logits ``[N, C]`` and features by module path."""

    logits: Tensor
    features: Mapping[str, Tensor] = field(default_factory=dict)
