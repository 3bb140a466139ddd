"""Teachers on disk, each under the hash of what made it: paid for once, found by every sweep."""

import hashlib
import json
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from pydantic import TypeAdapter
from torch import nn

from kdsweep import catalog
from kdsweep.data.base import Splits
from kdsweep.errors import SpecError, TrialError
from kdsweep.models.size import count_macs, count_params, size_bytes
from kdsweep.results.record import EpochMetrics
from kdsweep.spec import Component, TeacherSpec, TrialSpec
from kdsweep.storage.address import Place, under
from kdsweep.storage.atomic import remove_unfinished, write_bytes
from kdsweep.storage.copies import name_of
from kdsweep.storage.shared import Shared
from kdsweep.sweep_file.weights import load_state
from kdsweep.train.checkpoint import EVERY_S, Checkpoints
from kdsweep.train.device import describe
from kdsweep.train.evaluate import evaluate
from kdsweep.train.loop import Report, train
from kdsweep.train.ranks import Ranks
from kdsweep.train.teacher import Teacher
from kdsweep.train.weights import load_into, save_weights

_log = logging.getLogger(__name__)

RECIPE = 2
"""Raised when the trainer changes what the same settings give: older teachers are made again."""

_WEIGHTS, _CARD, _TURN = "teacher.safetensors", "teacher.json", "turn"

OUTPUTS, CHECKPOINTS = "outputs", "checkpoints"
"""The directories beside a teacher's weights: its stored outputs, and those of its training."""


@dataclass(frozen=True)
class TeacherCard:
    """What is known of a stored teacher; ``reused`` says that it was found, not made."""

    digest: str
    model: dict[str, Any]
    data: str
    accuracy: float
    loss: float
    params: int
    macs: int
    size_bytes: int
    device: str
    weights_sha256: str = ""
    seconds: float = 0.0
    epochs: tuple[dict[str, Any], ...] = field(default=())
    reused: bool = False


_CARDS = TypeAdapter(TeacherCard)


def digest_of(teacher: TeacherSpec, *, data: str) -> str:
    """The address of a teacher: architecture, weights or recipe of training, and data.

    Raises:
        SpecError: its weights file is missing.
    """
    if teacher.weights is not None:
        path = Path(teacher.weights).expanduser()
        if not path.is_file():
            raise SpecError(f"teacher.weights: no file {teacher.weights!r}")
        origin: object = hashlib.sha256(path.read_bytes()).hexdigest()
    else:
        origin = {"train": teacher.training.model_dump(mode="json"), "seed": teacher.seed}
    model = described(teacher.model)
    made = {"recipe": RECIPE, "model": model, "origin": origin, "data": data}
    contents = {key: _contents(Path(value)) for key, value in model.items() if _is_local(value)}
    if contents:
        made["contents"] = contents
    return hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()[:24]


def _is_local(value: object) -> bool:
    """Whether a setting of a model is the place of files that it begins from."""
    return isinstance(value, str) and Path(value).is_absolute() and Path(value).exists()


def _contents(path: Path) -> str:
    """SHA-256 of a file, or of all files of a directory with their names."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    files = sorted(each for each in path.rglob("*") if each.is_file())
    said = [(each.relative_to(path).as_posix(), _contents(each)) for each in files]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def described(model: Component) -> dict[str, Any]:
    """A model's name and settings with the defaults written out, so that equal ones hash alike."""
    settings = catalog.params("model", model).model_dump(mode="json")
    return {"name": model.name, **model.settings, **settings}


class TeacherStore:
    """A directory of teachers, shared by all sweeps under one root and by all their lanes.

    ``place`` may be an address: each node then has a copy of what it needs of it.
    """

    def __init__(self, place: Place, *, checkpoint_every_s: float = EVERY_S) -> None:
        self._shared = Shared(place)
        self._every_s = checkpoint_every_s

    def get(
        self,
        trial: TrialSpec,
        teacher: TeacherSpec,
        *,
        splits: Splits,
        device: torch.device,
        report: Report,
        ranks: Ranks,
    ) -> tuple[Teacher, TeacherCard]:
        """One of the trial's teachers: from the store if it is there and whole, else made, stored.

        Two lanes that want the same teacher make it once: the second waits for the first. A
        teacher whose checksum is wrong is made again.

        Raises:
            SpecError: the weights file is missing or of another architecture.
            TrialError: its training failed.
        """
        place = self.place_of(digest_of(teacher, data=splits.for_teachers))
        place.directory.mkdir(parents=True, exist_ok=True)
        # Of several workers the first holds the lock for all: they go on when it does.
        with _alone(place) if ranks.is_first else nullcontext():
            return self._get_or_make(trial, teacher, place, splits, device, report, ranks)

    def place_of(self, digest: str) -> Shared:
        """Where a teacher is, and what is kept beside it."""
        return self._shared.within(digest)

    def _get_or_make(
        self,
        trial: TrialSpec,
        teacher: TeacherSpec,
        place: Shared,
        splits: Splits,
        device: torch.device,
        report: Report,
        ranks: Ranks,
    ) -> tuple[Teacher, TeacherCard]:
        info, stored = splits.info, _agreed(place, ranks, device)
        if stored is not None:
            card, state = stored
            network = catalog.model_for(teacher.model, info)
            load_into(network, state, source=place.directory / _WEIGHTS)
            network.to(device)
        else:
            checkpoints = Checkpoints(under(place.place, CHECKPOINTS), every_s=self._every_s)
            network, epochs, seconds = _make(
                trial, teacher, splits, device, report, ranks, checkpoints
            )
            accuracy, loss = evaluate(network, splits.validation)
            card = TeacherCard(
                digest=place.directory.name,
                model=described(teacher.model),
                data=splits.for_teachers,
                accuracy=accuracy,
                loss=loss,
                params=count_params(network),
                macs=count_macs(network, catalog.shape_for(teacher.model, info)),
                size_bytes=size_bytes(network),
                device=describe(device),
                seconds=seconds,
                epochs=tuple(e.model_dump() for e in epochs),
            )
            if ranks.is_first:
                card = _write(network, card, place)
                checkpoints.clear()
            if ranks.size > 1:
                card = _as_first(network, card, place, ranks, device)
        return Teacher(network, digest=card.digest, accuracy=card.accuracy), card


def _make(
    trial: TrialSpec,
    teacher: TeacherSpec,
    splits: Splits,
    device: torch.device,
    report: Report,
    ranks: Ranks,
    checkpoints: Checkpoints,
) -> tuple[nn.Module, tuple[EpochMetrics, ...], float]:
    """The teacher's network, loaded or trained; its epochs, and the seconds they took."""
    info = splits.info
    if teacher.weights is not None:
        network = catalog.model_for(teacher.model, info)
        path = Path(teacher.weights).expanduser()
        load_into(network, load_state(path), source=teacher.weights)
        return network.to(device), (), 0.0
    alone = TrialSpec(
        data=trial.data,
        student=teacher.model,
        strategy=Component(name="none"),
        train=teacher.training,
        seed=teacher.seed,
    )
    # Another view in each epoch: what students vary must not give each of them another teacher.
    splits = splits.with_views(teacher.training.epochs)
    try:
        trained = train(
            alone, report, splits=splits, device=device, ranks=ranks, checkpoints=checkpoints
        )
    except TrialError as error:
        raise TrialError(f"teacher: {problem}" for problem in error.problems) from error
    if trained.stopped:
        raise InterruptedError("the teacher's training was stopped")
    return trained.student, trained.epochs, sum(e.seconds for e in trained.epochs)


@contextmanager
def _alone(place: Shared) -> Iterator[None]:
    """Nobody else makes this teacher, on this node or on another, unless it is there."""
    with FileLock(place.directory / ".lock"), ExitStack() as stack:
        if read_teacher(place.directory) is None and not fetched(place):
            stack.enter_context(place.turn(_TURN, enough=lambda: fetched(place)))
        yield


def fetched(place: Shared) -> bool:
    """Whether another node has made it; it is here then."""
    return place.fetch(_WEIGHTS, _CARD) and read_teacher(place.directory) is not None


def _write(network: nn.Module, card: TeacherCard, place: Shared) -> TeacherCard:
    """Weights first, then the card that vouches for them."""
    remove_unfinished(place.directory, _WEIGHTS, _CARD)
    sha256 = save_weights(network, place.directory / _WEIGHTS)
    whole = replace(card, weights_sha256=sha256)
    write_bytes(place.directory / _CARD, json.dumps(asdict(whole), indent=1).encode())
    place.put(_WEIGHTS, _CARD)
    return whole


def _as_first(
    network: nn.Module, card: TeacherCard, place: Shared, ranks: Ranks, device: torch.device
) -> TeacherCard:
    """What the first worker has just written, on every worker: norms differ after the last step."""
    stored = _agreed(place, ranks, device)
    if stored is None:
        problem = f"the teacher that was just written to {str(place.place)!r} cannot be read"
        raise TrialError(problem)
    written, state = stored
    load_into(network, state, source=place.directory / _WEIGHTS)
    return replace(written, reused=False, epochs=card.epochs)


def _agreed(
    place: Shared, ranks: Ranks, device: torch.device
) -> tuple[TeacherCard, dict[str, torch.Tensor]] | None:
    """What is stored as the first worker sees it: the others must load or train as it does.

    Raises:
        TrialError: it sees a teacher that this worker does not.
    """
    stored = read_teacher(place.directory) if ranks.is_first else None
    found = ranks.agree(stored is not None, device)
    if found and not ranks.is_first:
        stored = read_teacher(place.directory)
        if stored is None and fetched(place):
            stored = read_teacher(place.directory)
        if stored is None:
            raise TrialError(
                f"worker {ranks.rank} cannot read the teacher that the first worker found in "
                f"{str(place.place)!r}: teachers must lie on storage that all nodes share"
            )
    return stored


def read_teacher(place: Path) -> tuple[TeacherCard, dict[str, torch.Tensor]] | None:
    """What is stored, or nothing if it is missing, half-written or damaged."""
    try:
        card = replace(_CARDS.validate_json((place / _CARD).read_bytes()), reused=True)
        data = (place / _WEIGHTS).read_bytes()
    except (OSError, ValueError):
        return None
    # A card with another digest would lead to another place.
    if card.digest != place.name or hashlib.sha256(data).hexdigest() != card.weights_sha256:
        where = name_of(place / _WEIGHTS)
        _log.warning("the teacher in %s is damaged and made again: its checksum is wrong", where)
        return None
    return card, load_state(place / _WEIGHTS)
