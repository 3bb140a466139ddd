"""What a trial asks of one of its teachers, and how much of the disk it takes to store it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

from torch import Tensor

from kdsweep.batch import Outputs
from kdsweep.data.base import Extent
from kdsweep.spec.trial import StoredWord
from kdsweep.strategies.base import Strategy

BYTES_PER_VALUE = 2
"""Of float16."""

LOGITS = "logits"


@dataclass(frozen=True)
class Asked:
    """What is read of a teacher for each example: how many logits, and values at module paths.

    ``obstacle`` says why none of it can be stored; ``unfit`` are layers that cannot, by their paths
    with the reason.
    """

    logits: int
    layers: Mapping[str, int] = field(default_factory=dict)
    obstacle: str = ""
    unfit: Mapping[str, str] = field(default_factory=dict)

    @property
    def values(self) -> int:
        """Of one example in one view, all together."""
        return self.logits + sum(self.layers.values())


@dataclass(frozen=True)
class Room:
    """So many values of so many views of so many examples, and what they may take."""

    extent: Extent
    values: int
    max_bytes: int

    @property
    def num_bytes(self) -> int:
        """What they take on the disk."""
        return self.extent.num_views * self.extent.num_samples * self.values * BYTES_PER_VALUE

    @property
    def fits(self) -> bool:
        """Whether that is allowed."""
        return self.num_bytes <= self.max_bytes

    @property
    def arithmetic(self) -> str:
        """``8 views x 1,437 samples x 10 values x 2 bytes = 224.5 KiB``."""
        views, values = self.extent.num_views, self.values
        return (
            f"{views:,} view{'s' * (views != 1)} x {self.extent.num_samples:,} samples x "
            f"{values:,} value{'s' * (values != 1)} x {BYTES_PER_VALUE} bytes = "
            f"{bytes_in_words(self.num_bytes)}"
        )


def asked_of_main(
    strategies: Iterable[Strategy], teacher: Outputs, *, num_probed: int, reads_tokens: bool
) -> Asked:
    """What strategies that were built read of the main teacher, whose probe is given."""
    each = list(strategies)
    layers = dict.fromkeys(path for strategy in each for path in strategy.layers.teacher)
    maps = {path: teacher.features.get(path) for path in layers}
    unfit = {path: _unfitness(m, num_probed, reads_tokens) for path, m in maps.items()}
    return Asked(
        num_values(teacher.logits),
        {path: num_values(map_) for path, map_ in maps.items() if map_ is not None},
        _obstacle(each),
        {path: reason for path, reason in unfit.items() if reason},
    )


def asked_of_other(strategies: Iterable[Strategy], teacher: Outputs) -> Asked:
    """What is read of a further teacher: its logits."""
    return Asked(num_values(teacher.logits), {}, _obstacle(list(strategies)))


def storable(word: StoredWord, asked: Asked) -> bool:
    """Whether what is asked may be stored by the setting of the teacher, if there is room."""
    if word == "none" or asked.obstacle or asked.unfit:
        return False
    return word != "logits" or not asked.layers


def views_seen(num_views: int, epochs: int) -> tuple[int, ...]:
    """The views that a training shows, in the order in which it comes to need them."""
    return tuple(dict.fromkeys(epoch % num_views for epoch in range(1, epochs + 1)))


def bytes_in_words(num: int) -> str:
    """``512 bytes``, ``224.5 KiB``, ``4.0 GiB``."""
    size, unit = float(num), "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{num:,} bytes" if unit == "bytes" else f"{size:,.1f} {unit}"


def num_values(map_: Tensor) -> int:
    """Of one example of ``map_`` ``[N, ...]``."""
    return prod(map_.shape[1:])


def _obstacle(strategies: Sequence[Strategy]) -> str:
    if not all(strategy.needs.data for strategy in strategies):
        return "the strategy makes its own batches"
    if not all(strategy.needs.stored for strategy in strategies):
        return "the strategy changes the batches that both networks see"
    return ""


def _unfitness(map_: Tensor | None, num_probed: int, reads_tokens: bool) -> str:
    """Why a map cannot be stored, from that of a few examples."""
    if map_ is None:
        return "its shape is not known beforehand"
    if not map_.is_floating_point() or map_.ndim < 1 or len(map_) != num_probed:
        return "it has not one row of numbers for each example"
    if reads_tokens and map_.ndim > 2:
        return "it is as wide as the longest text of a batch"
    return ""
