"""A teacher that a sweep has made, as a network: read, never trained."""

import torch
from torch import nn

from kdsweep import catalog
from kdsweep.batch import Shape
from kdsweep.data.base import DataInfo
from kdsweep.spec import Component
from kdsweep.storage.address import Place
from kdsweep.train.teacher_store import TeacherStore, fetched, read_teacher
from kdsweep.train.weights import load_into


def stored_teacher(teachers: Place, digest: str, info: DataInfo) -> tuple[nn.Module, Shape] | None:
    """The teacher of that hash in evaluation mode, and what it reads of a data set; none if gone.

    Raises:
        SpecError: it cannot be built here, or does not take such inputs.
        StorageError: it is in an object store that does not answer.
    """
    place = TeacherStore(teachers).place_of(digest)
    stored = read_teacher(place.directory)
    if stored is None and fetched(place):
        stored = read_teacher(place.directory)
    if stored is None:
        return None
    card, state = stored
    model = Component.model_validate(card.model)
    # Initial weights are drawn, and then replaced: nobody's random numbers are to change.
    with torch.random.fork_rng(devices=[]):
        network = catalog.model_for(model, info)
    load_into(network, state, source=place.directory)
    return network.eval().requires_grad_(False), catalog.shape_for(model, info)
