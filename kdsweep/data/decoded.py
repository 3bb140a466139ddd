"""The splits of images that have to be decoded: held in memory where they fit, else streamed."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import torch
from pydantic import Field

from kdsweep.data.assembly import (
    WITHOUT_TRAINING,
    Part,
    assembled,
    digest,
    held_out_in_memory,
    in_memory,
)
from kdsweep.data.base import DataInfo, Extent, Splits
from kdsweep.data.partition import Index, Shares, stratified, stratified_subset
from kdsweep.data.source import ImageSource, read_all
from kdsweep.data.stream import StreamedSplit
from kdsweep.data.survey import Survey
from kdsweep.data.treatment import (
    ImageSettings,
    Normalisation,
    Treatment,
    given_normalisation,
    normalisation,
)
from kdsweep.data.views import Augment
from kdsweep.data.withheld import WithheldSplit

_MOST_MEASURED = 4096


class DecodedSettings(ImageSettings):
    """Where decoded images are kept, and who decodes them."""

    max_memory_bytes: int = Field(
        2 * 1024**3, ge=0, description="keep the set on the device up to this size, else stream it"
    )
    workers: int = Field(2, ge=0, le=256, description="processes that decode a streamed set")


@dataclass(frozen=True)
class Listing:
    """The samples of one split: where they are in the source ``[N]``, and their labels ``[N]``."""

    index: Index
    labels: Index


def list_splits(
    labels: Mapping[str, Index], shares: Shares, class_names: Sequence[str]
) -> tuple[Listing, Listing, Listing]:
    """Train, validation and test of the samples of each part, counted through all parts in order.

    ``labels`` has ``train``, and the other parts where the data have them; one that is not there
    is taken from train by its share, stratified.

    Raises:
        SpecError: a class has too few samples to split.
    """
    places: dict[str, Index] = {}
    start = 0
    for part, each in labels.items():
        places[part] = np.arange(start, start + len(each), dtype=np.int64)
        start += len(each)
    cut = stratified(
        labels["train"],
        validation=0.0 if "validation" in labels else shares.validation,
        test=0.0 if "test" in labels else shares.test,
        seed=shares.split_seed,
        class_names=class_names,
    )
    whole = places["train"]
    index = {"validation": whole[cut.validation], "test": whole[cut.test], **places}
    index["train"] = whole[cut.train]
    every = np.concatenate(list(labels.values()))
    train, validation, test = (
        Listing(index[part], every[index[part]]) for part in ("train", "validation", "test")
    )
    return train, validation, test


def limited(
    listings: tuple[Listing, Listing, Listing], limit: int | None
) -> tuple[Listing, Listing, Listing]:
    """The same with at most ``limit`` samples to train on, all classes kept."""
    train, validation, test = listings
    kept = stratified_subset(train.labels, limit)
    return Listing(train.index[kept], train.labels[kept]), validation, test


def survey_of(
    listings: tuple[Listing, Listing, Listing], limit: int | None, num_opened: int | None = None
) -> Survey:
    """The counts of what ``load_decoded`` will read."""
    parts = zip(("train", "validation", "test"), limited(listings, limit), strict=True)
    return Survey({name: len(part.index) for name, part in parts}, num_opened)


def extent_of(train: Listing, limit: int | None, augment: Augment) -> Extent:
    """How much ``load_decoded`` will train on."""
    return Extent(len(stratified_subset(train.labels, limit)), augment.num_views)


def load_decoded(
    info: DataInfo,
    source: ImageSource,
    listings: tuple[Listing, Listing, Listing],
    params: DecodedSettings,
    *,
    augment: Augment,
    device: torch.device,
    contents: Callable[[], Iterable[str]],
    threads: int = 0,
) -> Splits:
    """Train, validation and test of a source.

    Mean and std are those of a fixed sample of the training split, the same either way.
    ``contents`` gives what stands for the images in the fingerprint of a streamed set: to hash
    them all it would have to decode them all.

    Raises:
        SpecError: images that cannot be read.
    """
    parts = limited(listings, params.limit)
    treatment = Treatment(_sampled(params, source, parts[0], threads), augment, device)
    if _fits(parts, source, params):
        held = [_read(source, part, threads) for part in parts]
        return in_memory(info, (held[0], held[1], held[2]), treatment)
    splits = [_streamed(source, part, treatment, params) for part in parts]
    said = [*_said(parts), *contents()]
    return assembled(info, (splits[0], splits[1], splits[2]), treatment, said)


def load_held_out(
    info: DataInfo,
    source: ImageSource,
    listings: tuple[Listing, Listing],
    params: DecodedSettings,
    *,
    augment: Augment,
    device: torch.device,
    contents: Callable[[], Iterable[str]],
) -> Splits:
    """Validation and test of a source, as ``load_decoded`` gives them; no other image is read.

    Raises:
        SpecError: images that cannot be read; or mean or std are not given.
    """
    treatment = Treatment(given_normalisation(params), augment, device)
    if _fits(listings, source, params):
        held = [_read(source, part, threads=0) for part in listings]
        return held_out_in_memory(info, (held[0], held[1]), treatment)
    validation, test = (_streamed(source, part, treatment, params) for part in listings)
    said = [WITHOUT_TRAINING, *_said(listings), *contents()]
    return assembled(info, (WithheldSplit(), validation, test), treatment, said)


def _fits(parts: Sequence[Listing], source: ImageSource, params: DecodedSettings) -> bool:
    return sum(len(part.index) for part in parts) * prod(source.shape) <= params.max_memory_bytes


def _read(source: ImageSource, part: Listing, threads: int) -> Part:
    return Part(read_all(source, part.index, threads=threads), part.labels)


def _streamed(
    source: ImageSource, part: Listing, treatment: Treatment, params: DecodedSettings
) -> StreamedSplit:
    labels = torch.from_numpy(part.labels)
    return StreamedSplit(source, part.index, labels, treatment, workers=params.workers)


def _said(parts: Sequence[Listing]) -> list[str]:
    return [digest(array) for part in parts for array in (part.index, part.labels)]


def _sampled(
    params: DecodedSettings, source: ImageSource, train: Listing, threads: int
) -> Normalisation:
    if params.mean is not None and params.std is not None:
        return Normalisation(params.mean, params.std)
    sample = train.index[stratified_subset(train.labels, _MOST_MEASURED)]
    return normalisation(params, read_all(source, sample, threads=threads))
