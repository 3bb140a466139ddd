"""The student of a trial as a network, from its record and the weights that were kept."""

from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from kdsweep import catalog
from kdsweep.batch import Shape
from kdsweep.data.base import DataInfo
from kdsweep.errors import ResultError, SpecError
from kdsweep.results.places import read_own
from kdsweep.results.record import TrialResult
from kdsweep.results.store import RunStore
from kdsweep.spec import TrialSpec
from kdsweep.spec.problems import sentences
from kdsweep.storage.address import is_address
from kdsweep.storage.objects import objects_at
from kdsweep.train.weights import load_into


@dataclass(frozen=True)
class Student:
    """The network of a trial in evaluation mode, and what it is for.

    ``shape`` is that of one input of ``network``; ``info`` is what can be said of the data without
    their files, where the classes may be named by numbers.
    """

    network: nn.Module
    trial: TrialSpec
    info: DataInfo
    shape: Shape


def student_of(
    store: RunStore, result: TrialResult, *, device: str | torch.device = "cpu"
) -> Student:
    """The student of a trial on ``device``, in evaluation mode, with the weights that were kept.

    The files of its data are not looked for where the trial says what shape they have.

    Raises:
        ResultError: no weights are kept, they are a link, damaged or of another architecture, or
            the network cannot be built here, as one whose class cannot be imported.
        StorageError: the weights are in an object store that does not answer.
    """
    trial = trial_of(store, result)
    state = _state(store, result)
    try:
        info = catalog.dataset(trial.data).promised()
        shape = catalog.shape_for(trial.student, info)
        # Initial weights are drawn, and then replaced: nobody's random numbers are to change.
        with torch.random.fork_rng(devices=[]):
            network = catalog.model_for(trial.student, info)
        load_into(network, state, source=str(store.weights_of(result.trial_id)))
    except SpecError as error:
        raise ResultError(
            [f"the student cannot be built here: {problem}" for problem in error.problems],
            source=_called(result),
        ) from error
    network.requires_grad_(False)
    return Student(network.to(device).eval(), trial, info, shape)


def trial_of(store: RunStore, result: TrialResult) -> TrialSpec:
    """The resolved trial of a record, checked.

    Raises:
        ResultError: it is the record of a teacher, or no trial that this version of kdsweep knows.
    """
    if result.role == "teacher":
        raise ResultError(
            "is a teacher, and no student: name a trial (`kdsweep front` lists the best)",
            source=_called(result),
        )
    try:
        return TrialSpec.model_validate(result.trial)
    except ValidationError as error:
        raise ResultError(
            [f"its record cannot be used: {said}" for said in sentences(error, TrialSpec)],
            source=f"{store.place}: {_called(result)}",
        ) from None


def _state(store: RunStore, result: TrialResult) -> dict[str, Tensor]:
    if result.weights is None:
        raise ResultError(_not_kept(store, result), source=_called(result))
    place = store.weights_of(result.trial_id)
    try:
        return load(_content(place))
    except FileNotFoundError:
        raise ResultError(_not_kept(store, result, is_gone=True), source=place) from None
    except SafetensorError as error:
        again = _again(store, result)
        raise ResultError(f"is damaged ({error}); {again}", source=place) from None


def _content(place: Path | str) -> bytes:
    if is_address(place):
        folder, _, name = str(place).rpartition("/")
        return objects_at(folder).read(name)
    path = Path(place)
    if path.is_symlink():
        raise ResultError(
            "is a link, which could lead anywhere; put there what it links to", source=path
        )
    try:
        # As much as there is: a file has no other limit, and room for it is taken at once.
        return read_own(path, most_bytes=path.stat().st_size)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ResultError(f"cannot be read: {error.strerror or error}", source=path) from error


def _not_kept(store: RunStore, result: TrialResult, *, is_gone: bool = False) -> str:
    if result.status == "running":
        return "is still being trained: its weights are written at its end"
    ended = "" if result.status == "complete" else f" of a trial that is {result.status}"
    what = "is not there" if is_gone else f"no weights are kept{ended}"
    return f"{what}; {_again(store, result)}"


def _again(store: RunStore, result: TrialResult) -> str:
    file = store.trial_file(result.trial_id)
    return f"`kdsweep trial {file} --weights student.safetensors` trains it again"


def _called(result: TrialResult) -> str:
    return f"trial {result.number} ({result.label})"
