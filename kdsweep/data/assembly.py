"""From labelled images to the three splits of a data set, and the hash that names them."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kdsweep.data.base import DataInfo, Split, Splits
from kdsweep.data.memory import InMemorySplit
from kdsweep.data.partition import Index
from kdsweep.data.treatment import ImageSettings, Treatment, settings_problems
from kdsweep.data.views import Augment, fit_problems
from kdsweep.data.withheld import WithheldSplit
from kdsweep.errors import SpecError

_RECIPE = 1
"""To be raised when the same settings and contents begin to give other pixels or batches."""

WITHOUT_TRAINING = "without training"
"""Among the contents in a fingerprint that knows nothing of the training split."""


@dataclass(frozen=True)
class Part:
    """Images ``[N, D, H, W]`` uint8 and labels ``[N]`` int64 of one split, in the order of ids.

    ``texts`` says of each sample what it shows, where the data set knows; ``tokens`` ``[N, S]``
    are the same as ids for a network that reads.
    """

    images: NDArray[Any]
    labels: Index
    texts: tuple[str, ...] = ()
    tokens: NDArray[Any] | None = None

    @property
    def contents(self) -> Iterator[str]:
        """Digests of all that networks may see of it."""
        yield digest(self.labels)
        yield digest(self.images)
        if self.tokens is not None:
            yield digest(self.tokens)


def check(info: DataInfo, params: ImageSettings, augment: Augment) -> None:
    """Refuse settings that the images cannot have.

    Raises:
        SpecError: mean or std do not fit the channels, or crop or cutout the size.
    """
    shape = info.image_shape
    problems = [*settings_problems(params, shape[0]), *fit_problems(augment, shape)]
    if problems:
        raise SpecError(problems)


def in_memory(info: DataInfo, parts: tuple[Part, Part, Part], treatment: Treatment) -> Splits:
    """Train, validation and test as tensors on the device of the treatment."""
    contents = (each for part in parts for each in part.contents)
    train, validation, test = (_held(part, treatment) for part in parts)
    return assembled(info, (train, validation, test), treatment, contents)


def held_out_in_memory(info: DataInfo, parts: tuple[Part, Part], treatment: Treatment) -> Splits:
    """Validation and test as tensors on the device of the treatment; the rest is withheld."""
    contents = (each for part in parts for each in part.contents)
    validation, test = (_held(part, treatment) for part in parts)
    held = (WithheldSplit(), validation, test)
    return assembled(info, held, treatment, [WITHOUT_TRAINING, *contents])


def assembled(
    info: DataInfo,
    splits: tuple[Split, Split, Split],
    treatment: Treatment,
    contents: Iterable[str],
) -> Splits:
    """Train, validation and test under the names that follow from their ``contents``."""
    augment, said = treatment.augment, list(contents)
    plain = replace(treatment, augment=augment.model_copy(update={"views": 1}))
    return Splits(
        info,
        *splits,
        num_views=augment.num_views,
        fingerprint=_fingerprint(info, treatment, said),
        of_any_views=_fingerprint(info, plain, said),
    )


def digest(array: NDArray[Any]) -> str:
    """SHA-256 of the contents of an array."""
    return hashlib.sha256(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data).hexdigest()


def _fingerprint(info: DataInfo, treatment: Treatment, contents: Sequence[str]) -> str:
    """SHA-256 of all that batches follow from, but for the device and the place of the files."""
    said = {
        "recipe": _RECIPE,
        "info": info.identity,
        "normalisation": asdict(treatment.normalisation),
        "augment": treatment.augment.model_dump() if treatment.augment.active else None,
        "contents": contents,
    }
    return named(said)


def _held(part: Part, treatment: Treatment) -> InMemorySplit:
    return InMemorySplit(
        torch.from_numpy(part.images),
        torch.from_numpy(part.labels),
        treatment,
        texts=part.texts,
        tokens=part.tokens,
    )


def named(said: Mapping[str, Any]) -> str:
    """SHA-256 of what a data set follows from."""
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
