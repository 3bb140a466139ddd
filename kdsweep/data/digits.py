"""Handwritten digits that come with scikit-learn: small, real, and always there."""

import importlib.util
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from kdsweep.data.assembly import Part, check, in_memory
from kdsweep.data.base import DataInfo, DataSet, Extent, Splits
from kdsweep.data.partition import Index, Partition, Shares, stratified, stratified_subset
from kdsweep.data.treatment import ImageSettings, Treatment, normalisation
from kdsweep.data.views import Augment

_SHAPE = (1, 8, 8)
_INFO = DataInfo(num_classes=10, class_names=tuple("0123456789"), shape=_SHAPE)
_WHITE = 16
"""The largest value in the set: the number of set pixels in a 4x4 block of the scan."""


class Digits(DataSet):
    """1,797 grey images of 8x8 pixels, in ten classes."""

    class Params(ImageSettings, Shares):
        """How the digits are split, normalised and augmented; a mirrored digit is none."""

        augment: Augment = Field(Augment(), description="nothing unless asked for")

    source = "Optical recognition of handwritten digits, UCI; shipped with scikit-learn"
    params: Params

    @property
    def preparation(self) -> str:
        """Of an image of one's own."""
        return (
            "grey 8x8, light on dark: scikit-learn's load_digits gives 0..16, and a pixel is that "
            f"times {255 // _WHITE}"
        )

    def describe(self) -> DataInfo:
        """Ten classes of 8x8; raises ``SpecError`` for settings that do not fit such images."""
        check(_INFO, self.params, self.params.augment)
        return _INFO

    def extent(self) -> Extent:
        """By the labels alone."""
        labels, params = _table()[:, -1], self.params
        train = self._cut(labels).train
        return Extent(len(stratified_subset(labels[train], params.limit)), params.augment.num_views)

    def promised_extent(self) -> Extent:
        """As ``extent``: every machine has them."""
        return self.extent()

    def _cut(self, labels: Index) -> Partition:
        params = self.params
        return stratified(
            labels,
            validation=params.validation,
            test=params.test,
            seed=params.split_seed,
            class_names=_INFO.class_names,
        )

    def load(self, device: torch.device) -> Splits:
        """All of it in memory on the device."""
        info, params = self.describe(), self.params
        table = _table()
        labels = table[:, -1]
        # A whole factor, so that the seventeen greys stay evenly spaced.
        images = (table[:, :-1] * (255 // _WHITE)).astype(np.uint8).reshape(-1, *_SHAPE)
        cut = self._cut(labels)
        train = cut.train[stratified_subset(labels[cut.train], params.limit)]
        treatment = Treatment(normalisation(params, images[train]), params.augment, device)
        parts = [Part(images[index], labels[index]) for index in (train, cut.validation, cut.test)]
        return in_memory(info, (parts[0], parts[1], parts[2]), treatment)


def _table() -> NDArray[np.int64]:
    """The 64 pixels and the label of each digit ``[1797, 65]``.

    Read from scikit-learn's file where it is known to lie: to import scikit-learn takes seconds,
    in every worker.
    """
    spec = importlib.util.find_spec("sklearn")
    file = Path(spec.origin or "").parent / "datasets/data/digits.csv.gz" if spec else None
    if file is not None and file.is_file():
        return np.loadtxt(file, delimiter=",", dtype=np.int64)
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return np.column_stack([bunch.data, bunch.target]).astype(np.int64)
