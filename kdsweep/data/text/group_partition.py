"""Splits that keep groups together: all the texts of a module are in one part."""

from collections.abc import Sequence

import numpy as np
import torch

from kdsweep.data.partition import Index, Partition
from kdsweep.data.views import scramble
from kdsweep.errors import SpecError

_DRAWS = 256
"""Orders of a class's groups that are tried; the one that comes nearest to the shares is taken."""


def by_group(
    groups: Index,
    labels: Index,
    *,
    validation: float,
    test: float,
    seed: int,
    class_names: Sequence[str],
) -> Partition:
    """Split positions so that each group ``[N]`` is in one part, and each class in all three.

    A group has one label. Groups differ in size, so that a part has its share of each class as
    nearly as some of the drawn orders allow. The choice follows from the arguments alone.

    Raises:
        SpecError: a class has fewer than three groups.
    """
    parts: tuple[list[Index], list[Index], list[Index]] = ([], [], [])
    problems = []
    for label, name in enumerate(class_names):
        members = np.flatnonzero(labels == label)
        own, counts = np.unique(groups[members], return_counts=True)
        if len(own) < 3:
            problems.append(
                f"data: class {name!r} has too few modules to split ({len(own)}); it needs 3: one "
                "for each part"
            )
            continue
        for part, chosen in zip(parts, _cut(own, counts, validation, test, seed), strict=True):
            part.append(members[np.isin(groups[members], chosen)])
    if problems:
        raise SpecError(problems)
    return Partition(*(np.sort(np.concatenate(pieces)) for pieces in parts))


def _cut(
    own: Index, counts: Index, validation: float, test: float, seed: int
) -> tuple[Index, Index, Index]:
    """The groups of train, validation and test, of one class."""
    total = counts.sum()
    best: tuple[float, Index, int, int] | None = None
    for order in _orders(own, seed):
        reached = counts[order].cumsum()
        # Groups up to the one that comes nearest to the share, leaving one for each later part.
        last = int(np.abs(reached[:-2] - test * total).argmin())
        rest = np.abs(reached[last + 1 : -1] - reached[last] - validation * total)
        after = last + 1 + int(rest.argmin())
        off = float(abs(reached[last] - test * total) + rest.min())
        if best is None or off < best[0]:
            best = (off, own[order], last + 1, after + 1)
    assert best is not None
    _, order, first, second = best
    return order[second:], order[first:second], order[:first]


def _orders(own: Index, seed: int) -> Index:
    """Orders of positions ``[draws, groups]``, each by other hashes."""
    draws = torch.arange(_DRAWS)[:, None]
    keys = scramble(torch.from_numpy(own).expand(_DRAWS, -1), seed, draws)
    orders: Index = keys.argsort(dim=1, stable=True).numpy()
    return orders
