"""From the token ids of texts to the three splits of a data set."""

from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray

from kdsweep.data.assembly import digest, named
from kdsweep.data.base import DataInfo, Splits
from kdsweep.data.partition import Index
from kdsweep.data.text.split import TextSplit

_RECIPE = 1
"""To be raised when the same ids begin to give other batches."""


@dataclass(frozen=True)
class TextPart:
    """Token ids ``[N, S]`` padded with zeros, and labels ``[N]`` int64, of one split by id."""

    ids: NDArray[Any]
    labels: Index


def texts_in_memory(
    info: DataInfo, parts: tuple[TextPart, TextPart, TextPart], device: torch.device
) -> Splits:
    """Train, validation and test as token ids on the device."""
    contents = [digest(array) for part in parts for array in (part.labels, part.ids)]
    name = named({"text recipe": _RECIPE, "info": info.identity, "contents": contents})
    train, validation, test = (TextSplit(part.ids, part.labels, device) for part in parts)
    return Splits(info, train, validation, test, num_views=1, fingerprint=name)
