"""Checkpoints of a training: the last two in a folder, each whole or recognised as damaged.

checkpoints/00012-9f86d081884c7d65.safetensors      after epoch 12, and the start of its SHA-256
"""

import hashlib
import logging
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from kdsweep.results.record import EpochMetrics
from kdsweep.storage.address import Place, under
from kdsweep.storage.folder import folder_at
from kdsweep.train.state_file import packed, unpacked

_log = logging.getLogger(__name__)

EVERY_S = 30.0
"""How much training a worker that dies may take with it, epochs that take longer aside."""
_DEAREST = 0.05
"""The share of a training's time that its checkpoints may take."""
_KEPT = 2
_NAME = re.compile(r"(\d{5,})-([0-9a-f]{16})\.safetensors")


@dataclass(frozen=True)
class Saved:
    """A training after some of its epochs; ``state`` is what goes on from there."""

    epochs: tuple[EpochMetrics, ...]
    state: Any


class Checkpoints:
    """Where one training keeps its checkpoints.

    There is one after an epoch if the last one is ``every_s`` ago, and so long that saving takes no
    more than a twentieth of all time; with zero there is one after each epoch. ``on_resume`` hears
    of the epochs that need not be trained again, ``on_damage`` of a checkpoint that is not used.
    """

    def __init__(
        self,
        place: Place,
        *,
        every_s: float = EVERY_S,
        on_resume: Callable[[Sequence[EpochMetrics]], object] = lambda epochs: None,
        on_damage: Callable[[str], object] = _log.warning,
    ) -> None:
        self.place = place
        self._folder = folder_at(place)
        self.on_resume, self._on_damage = on_resume, on_damage
        self._every_s, self._cost_s = every_s, 0.0
        self._last = time.monotonic()
        self._refused = False

    @property
    def is_due(self) -> bool:
        """Whether there should be one now."""
        pause_s = max(self._every_s, self._cost_s / _DEAREST) if self._every_s else 0.0
        return not self._refused and time.monotonic() - self._last >= pause_s

    def save(self, identity: str, saved: Saved) -> None:
        """Keep ``saved``, and of those before it one. ``identity`` is of what is trained.

        A disk that is full costs the checkpoint, not the training: it is warned of, once.
        """
        started = time.monotonic()
        epochs = [epoch.model_dump(mode="json") for epoch in saved.epochs]
        try:
            data = packed({"identity": identity, "epochs": epochs, "state": saved.state})
            digest = hashlib.sha256(data).hexdigest()[:16]
            name = f"{len(epochs):05d}-{digest}.safetensors"
            self._folder.write(name, data)
            found = self._names()
            older = [each for each in found if _epoch_of(each) < len(epochs)]
            for each in set(found) - {name, *older[: _KEPT - 1]}:
                self._folder.remove(each)
        except (OSError, TypeError) as error:
            if not self._refused:
                _log.warning("no checkpoint can be kept in %s: %s", self.place, error)
            # What cannot be saved now cannot be saved later; a disk may have room again.
            self._refused = isinstance(error, TypeError)
        self._last = time.monotonic()
        self._cost_s = self._last - started

    def latest(self, identity: str) -> Saved | None:
        """The newest that is whole and of ``identity``; damaged ones are warned of and removed."""
        for name in self._names():
            saved = self._read(name, identity)
            if saved is not None:
                return saved
        return None

    def at(self, epoch: int, identity: str) -> Saved | None:
        """The one after ``epoch`` epochs, as another worker of the trial has found it."""
        for name in self._names():
            if _epoch_of(name) == epoch and (saved := self._read(name, identity)) is not None:
                return saved
        return None

    def clear(self) -> None:
        """Keep nothing: the training has ended."""
        self._folder.clear()

    def _names(self) -> list[str]:
        """Newest first."""
        found = [name for name in self._folder.names() if _NAME.fullmatch(name)]
        return sorted(found, key=lambda name: (-_epoch_of(name), name))

    def _read(self, name: str, identity: str) -> Saved | None:
        try:
            data = self._folder.read(name)
            if hashlib.sha256(data).hexdigest()[:16] != name.partition("-")[2].partition(".")[0]:
                raise ValueError("its checksum is wrong")
            found = unpacked(data)
            if found["identity"] != identity:
                # Of other settings, as after a file was changed: nobody will ask for it again.
                self._folder.remove(name)
                return None
            epochs = tuple(EpochMetrics.model_validate(each) for each in found["epochs"])
            return Saved(epochs, found["state"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, LookupError, TypeError) as error:
            self._on_damage(
                f"checkpoint {under(self.place, name)} is damaged and not used ({error}): the "
                "training goes on from the one before, or from its first epoch"
            )
            self._folder.remove(name)
            return None


def _epoch_of(name: str) -> int:
    return int(name.partition("-")[0])
