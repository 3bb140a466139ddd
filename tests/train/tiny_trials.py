"""Trials that train in a fraction of a second, and what two trainings are compared by."""

from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from kdsweep import catalog
from kdsweep.batch import Batch, Outputs
from kdsweep.data.base import Split, Splits
from kdsweep.results.record import EpochMetrics
from kdsweep.spec import Component, TrialSpec
from kdsweep.storage.shared import Shared
from kdsweep.train.loop import Report, Trained, Verdict, train
from kdsweep.train.output_store import OutputStore
from kdsweep.train.ranks import ALONE
from kdsweep.train.teacher import Teacher
from kdsweep.train.teacher_store import TeacherCard, TeacherStore

CPU = torch.device("cpu")
DATA: dict[str, Any] = {"name": "digits", "limit": 96, "validation": 0.05, "test": 0.05}
VIEWS = {"crop": 1, "views": 3}
STUDENT: dict[str, Any] = {"name": "cnn", "width": 2, "stages": 2, "hidden": 8}
OF_TEACHER: dict[str, Any] = {"name": "cnn", "width": 5, "stages": 2, "hidden": 16}
TRAIN: dict[str, Any] = {"epochs": 2, "batch_size": 40, "lr": 0.01}

STILL = {"lr": 1e-30, "optimizer": {"name": "sgd", "weight_decay": 0.0}}
"""So small a learning rate that no weight moves: the student stays as it was drawn."""


def spec(strategy: str | dict[str, Any] = "none", **changes: Any) -> TrialSpec:
    """A trial without a teacher's settings; ``train`` and ``data`` are merged into the usual."""
    changes["train"] = TRAIN | changes.get("train", {})
    changes["data"] = DATA | changes.get("data", {})
    return TrialSpec(**{"student": STUDENT, "strategy": strategy, **changes})


def splits_of(trial: TrialSpec) -> Splits:
    """The trial's data, read once for all tests."""
    return _splits(trial.data.model_dump_json())


@cache
def _splits(data: str) -> Splits:
    return catalog.dataset(Component.model_validate_json(data)).load(CPU)


def teacher(network: nn.Module | None = None) -> Teacher:
    """A teacher that was drawn and never trained: it teaches as well as any other."""
    if network is None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            network = catalog.model(Component(**OF_TEACHER), shape=(1, 8, 8), num_classes=10)
    return Teacher(network, digest="drawn", accuracy=0.1)


class Counting(Teacher):
    """Counts the samples that it was asked about, batch by batch."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__(network, digest="counting", accuracy=0.0)
        self.asked: list[int] = []

    def outputs(
        self, batch: Batch, layers: tuple[str, ...] = (), *, to_inputs: bool = False
    ) -> Outputs:
        self.asked.append(len(batch))
        return super().outputs(batch, layers, to_inputs=to_inputs)


def counting() -> Counting:
    """The teacher that was drawn, counting."""
    return Counting(teacher().network)


def store_in(folder: Path, master: Teacher, trial: TrialSpec) -> OutputStore:
    """Where what a teacher says of the trial's training data is kept."""
    return OutputStore(Shared(folder), "weights", master, splits_of(trial).train)


def go_on(epoch: EpochMetrics, teacher: str = "") -> Verdict:
    """A listener that lets every training run to its end."""
    return Verdict.CONTINUE


def trained(trial: TrialSpec, report: Report = go_on, **others: Any) -> Trained:
    """The trial, trained here and now."""
    return train(trial, report, splits=splits_of(trial), device=CPU, **others)


def curve(epochs: tuple[EpochMetrics, ...]) -> list[dict[str, Any]]:
    """All of the epochs but the time that they took."""
    return [epoch.model_dump(exclude={"seconds"}) for epoch in epochs]


def numbers(epochs: tuple[EpochMetrics, ...]) -> Tensor:
    """Validation loss and the means of the terms: one row for each epoch."""
    return torch.tensor([[epoch.loss, *epoch.train.values()] for epoch in epochs])


def state(network: nn.Module) -> dict[str, Tensor]:
    """A copy of all that is saved of a network."""
    return {name: value.clone() for name, value in network.state_dict().items()}


def same_state(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Whether two states are equal bit by bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def all_of(split: Split) -> tuple[Tensor, Tensor]:
    """Every plain image and label of a split."""
    (batch,) = split.in_order(batch_size=split.num_samples)
    return batch.images, batch.labels


def num_hooks(network: nn.Module) -> int:
    """Hooks on the network and all inside it."""
    return sum(
        len(hooks)
        for module in network.modules()
        for hooks in (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks)
    )


def taught(data: dict[str, Any] | None = None, **changes: Any) -> TrialSpec:
    """A trial with a teacher; ``changes`` are of the teacher."""
    return spec("kd", data=data or {}, teacher={"model": OF_TEACHER, **changes})


TAUGHT = taught(train=TRAIN)


def get_teacher(
    folder: Path, trial: TrialSpec = TAUGHT, report: Report = go_on
) -> tuple[Teacher, TeacherCard]:
    """The trial's teacher from the store in a folder."""
    assert trial.teacher is not None
    return TeacherStore(folder).get(
        trial, trial.teacher, splits=splits_of(trial), device=CPU, report=report, ranks=ALONE
    )


def never(epoch: EpochMetrics, teacher: str = "") -> Verdict:
    """A listener that nobody may speak to."""
    raise AssertionError("trained again")
