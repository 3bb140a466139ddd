"""The sum of several losses of the same examples."""

from collections.abc import Iterable

from torch import Tensor


def total(losses: Iterable[Tensor]) -> Tensor:
    """Losses ``[N]`` each, of one and the same batch, added up ``[N]``; there must be one."""
    first, *others = losses
    return sum(others, start=first)
