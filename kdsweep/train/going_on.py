"""A training that goes on where a process left it that is no more, to the same numbers."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from kdsweep.errors import TrialError
from kdsweep.results.record import EpochMetrics
from kdsweep.spec import TrialSpec
from kdsweep.train.checkpoint import Checkpoints, Saved
from kdsweep.train.optimize import Optimizers
from kdsweep.train.ranks import Ranks
from kdsweep.train.teacher import Source

RECIPE = 1
"""Raised when a state that was saved before is no longer that of the same training."""


def identity_of(trial: TrialSpec, data: str, sources: Mapping[str, Source], ranks: Ranks) -> str:
    """What a checkpoint must be of, to go on with this trial: its settings, data and teachers.

    ``data`` is the fingerprint of its splits.
    """
    said = [
        RECIPE,
        trial.model_dump(mode="json"),
        data,
        {name: source.teacher.digest for name, source in sources.items()},
        ranks.size,
    ]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


class Keeper:
    """Saves the state of a training between its epochs, and takes it up again.

    That is all that the next epoch depends on: student, learned layers and banks of the strategy,
    raw weights of the terms, optimizers, schedules, and the random state of each worker.
    """

    def __init__(
        self,
        checkpoints: Checkpoints | None,
        identity: str,
        step: nn.Module,
        optimizers: Optimizers,
        ranks: Ranks,
        device: torch.device,
    ) -> None:
        """Without ``checkpoints`` nothing is kept, and nothing is gone on with."""
        self._checkpoints, self._identity = checkpoints, identity
        self._step, self._optimizers = step, optimizers
        self._ranks, self._device = ranks, device

    def resumed(self) -> list[EpochMetrics]:
        """The epochs that need not be trained again, the state being that after them.

        Raises:
            TrialError: another worker of the trial has found what this one cannot read.
        """
        if self._checkpoints is None:
            return []
        saved = self._checkpoints.latest(self._identity) if self._ranks.is_first else None
        epoch = int(self._ranks.told_by_first(len(saved.epochs) if saved else 0, self._device))
        if not epoch:
            return []
        saved = saved or self._checkpoints.at(epoch, self._identity)
        if saved is None:
            raise TrialError(
                f"worker {self._ranks.rank} cannot read the checkpoint that the first worker found "
                f"in {str(self._checkpoints.place)!r}: runs must lie on storage that all nodes "
                "share"
            )
        self._take_up(saved.state)
        self._checkpoints.on_resume(saved.epochs)
        return list(saved.epochs)

    def keep(self, epochs: Sequence[EpochMetrics], *, cut_short: bool) -> None:
        """Save if it is time to, or if the training is ``cut_short`` and will go on some day."""
        if self._checkpoints is None:
            return
        if not self._ranks.agree(cut_short or self._checkpoints.is_due, self._device):
            return
        state = self._state()
        if self._ranks.is_first:
            self._checkpoints.save(self._identity, Saved(tuple(epochs), state))

    def _state(self) -> dict[str, Any]:
        random = [torch.get_rng_state()]
        if self._device.type == "cuda":
            random.append(torch.cuda.get_rng_state(self._device))
        # Drawn differently by each worker: theirs are as much a part of it as the first one's.
        of_all = [self._ranks.gather(each[None].to(self._device)).cpu() for each in random]
        return {
            "step": self._step.state_dict(),
            "optimizers": self._optimizers.state(),
            "random": of_all,
        }

    def _take_up(self, state: Mapping[str, Any]) -> None:
        self._step.load_state_dict(state["step"])
        self._optimizers.load(state["optimizers"])
        # Copies: torch reads a state from the beginning of its memory, wherever the view begins.
        own: list[Tensor] = [each[self._ranks.rank].clone() for each in state["random"]]
        torch.set_rng_state(own[0])
        if self._device.type == "cuda" and len(own) > 1:
            torch.cuda.set_rng_state(own[1], self._device)
