"""Who goes into which part: splits and subsets that keep the shares of the classes."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator

from kdsweep.data.views import scramble
from kdsweep.errors import SpecError
from kdsweep.spec import Settings

Index = NDArray[np.int64]
_MOST_NAMED = 4


class Shares(Settings):
    """How much of each class is held out for validation and for test; the rest is for training."""

    validation: float = Field(0.2, gt=0, lt=1, description="share of each class")
    test: float = Field(0.2, gt=0, lt=1, description="share of each class")
    split_seed: int = Field(0, ge=0, lt=2**31)

    @model_validator(mode="after")
    def _something_left(self) -> "Shares":
        if self.validation + self.test >= 1:
            raise ValueError(
                f"validation {self.validation} and test {self.test} leave nothing to train on: "
                "their sum must be less than 1"
            )
        return self


@dataclass(frozen=True)
class Partition:
    """Three sets of positions, disjoint and together everything, each in rising order."""

    train: Index
    validation: Index
    test: Index


def share_problems(params: Shares, own_parts: Collection[str], *, of: str) -> list[str]:
    """What forbids a share that was given for a part that the data have of their own."""
    fields = type(params).model_fields
    return [
        f"data.{part}: {given} is not allowed: {of} has a {part} part of its own"
        for part, given in (("validation", params.validation), ("test", params.test))
        if part in own_parts and given != fields[part].default
    ]


def stratified(
    labels: Index, *, validation: float, test: float, seed: int, class_names: Sequence[str]
) -> Partition:
    """Split positions ``0..len(labels)`` so that each part has its share of every class.

    A share of zero gives an empty part; any other gets one of each class at least. The choice
    follows from the labels, the shares and the seed alone, whatever the versions of libraries.

    Raises:
        SpecError: a class has too few samples for one in each part.
    """
    parts: tuple[list[Index], list[Index], list[Index]] = ([], [], [])
    too_few: dict[str, int] = {}
    least = 1 + (validation > 0) + (test > 0)
    for label, name in enumerate(class_names):
        members = _shuffled(np.flatnonzero(labels == label), seed)
        if len(members) < least:
            too_few[name] = len(members)
            continue
        num_test = _held_out(len(members), test, least)
        num_validation = _held_out(
            len(members) - num_test, validation / (1 - test), least - (test > 0)
        )
        cuts = (num_test, num_test + num_validation)
        for part, piece in zip(reversed(parts), np.split(members, cuts), strict=True):
            part.append(piece)
    if too_few:
        raise SpecError(_too_few(too_few, least))
    return Partition(*(np.sort(np.concatenate(pieces)) for pieces in parts))


def _too_few(counts: Mapping[str, int], least: int) -> list[str]:
    """A sentence for each class, or one for all where they are many."""
    named = [f"{name!r} ({count})" for name, count in counts.items()]
    if len(named) > _MOST_NAMED:
        some = ", ".join(named[:_MOST_NAMED])
        return [
            f"data: {len(named)} classes have too few samples to split: {some} and "
            f"{len(named) - _MOST_NAMED} more; each needs {least}: one for each part"
        ]
    return [
        f"data: class {name!r} has too few samples to split ({count}); "
        f"it needs {least}: one for each part"
        for name, count in counts.items()
    ]


def stratified_subset(labels: Index, limit: int | None, seed: int = 0) -> Index:
    """At most ``limit`` positions, in rising order, with the shares of the classes kept.

    Every class keeps one where the limit allows it.
    """
    if limit is None or limit >= len(labels):
        return np.arange(len(labels), dtype=np.int64)
    order = _shuffled(np.arange(len(labels), dtype=np.int64), seed)
    taken = np.zeros(len(labels))
    for label in np.unique(labels):
        members = order[labels[order] == label]
        # Taking by (k + 1/2) / n from every class is taking from each in proportion.
        taken[members] = (np.arange(len(members)) + 0.5) / len(members)
        taken[members[0]] = -1.0
    return np.sort(order[np.argsort(taken[order], kind="stable")[:limit]])


def _held_out(num: int, share: float, least: int) -> int:
    """Members for a part, leaving one for each of the other ``least - 1`` parts."""
    return min(max(round(num * share), 1), num - least + 1) if share > 0 else 0


def _shuffled(positions: Index, seed: int) -> Index:
    keys = scramble(torch.from_numpy(positions), seed).numpy()
    return positions[np.argsort(keys, kind="stable")]
