"""Random images of 32x32 as a data set: a benchmark of time needs no others."""

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from kdsweep.data.assembly import Part, in_memory
from kdsweep.data.base import DataInfo, DataSet, Splits
from kdsweep.data.treatment import ImageSettings, Treatment, normalisation
from kdsweep.data.views import Augment

NUM_CLASSES = 10
SHAPE = (3, 32, 32)
MEAN = STD = (0.5, 0.5, 0.5)
CROP = 4
NAME = "random_images:RandomImages"
_HELD_OUT = 20
"""Enough to be a split, and so few that to validate on them takes no time."""


def drawn(num: int, *, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images ``[num, 3, 32, 32]`` and labels ``[num]``."""
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 256, (num, *SHAPE), dtype=np.uint8)
    return images, generator.integers(0, NUM_CLASSES, num)


class RandomImages(DataSet):
    """As many as asked for, with crop and flip in as many views as asked for."""

    class Params(ImageSettings):
        """How many to train on, and how they are augmented."""

        num: int = Field(1024, ge=2)
        augment: Augment = Augment(crop=CROP, flip=True, views=2)

    source = "numpy's generator"
    params: Params

    def describe(self) -> DataInfo:
        return DataInfo(NUM_CLASSES, tuple(str(i) for i in range(NUM_CLASSES)), SHAPE)

    def load(self, device: torch.device) -> Splits:
        train = Part(*drawn(self.params.num, seed=0))
        few = Part(*drawn(_HELD_OUT, seed=1))
        treatment = Treatment(normalisation(self.params, train.images), self.params.augment, device)
        return in_memory(self.describe(), (train, few, few), treatment)
