"""One student as a person writes it after the tutorials: a DataLoader, the teacher in each step.

The other sides of ``sweep.py`` train with it. The sweep file says what; kdsweep's network classes,
data and loss functions are used, so that a trial trains the same student on the same images with
the same recipe (AdamW and a cosine, as the file's defaults are). The loop is not kdsweep's: images
go through a ``Dataset`` and its transform one at a time, the frozen teacher runs for every batch,
and the loss and the hits of each step are read with ``.item()`` to be printed.
"""

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import RandomCrop

from kdsweep import catalog
from kdsweep.data.base import DataInfo
from kdsweep.losses.attention import attention_transfer
from kdsweep.losses.features import hint
from kdsweep.losses.logits import soft_targets
from kdsweep.spec import SweepSpec, TrainSpec, TrialSpec
from kdsweep.spec.dimension import Dimension, Label
from kdsweep.spec.space import Space
from kdsweep.spec.trial import Cosine
from kdsweep.strategies.parts.adapters import Adapter, to_smaller
from kdsweep.sweep_file import at
from kdsweep.sweep_file.read import parse_yaml

EVALUATION_BATCH = 512
PLAIN: Mapping[str, set[str]] = {
    "none": set(),
    "kd": {"temperature", "alpha"},
    "fitnet": {"weight"},
    "attention_transfer": {"weight"},
}
"""The strategies that the loop has, and what can be set."""

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Images(Dataset[tuple[Tensor, Tensor]]):
    """Normalised images in memory; a random crop of each where the sweep asks for it."""

    def __init__(self, images: Tensor, labels: Tensor, crop: int) -> None:
        self.images, self.labels = images, labels
        self.transform = RandomCrop(tuple(images.shape[2:]), padding=crop) if crop else None

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """One image and its label."""
        image = self.images[index]
        return (self.transform(image) if self.transform else image), self.labels[index]


@dataclass(frozen=True)
class Data:
    """The splits that kdsweep makes of the data set, as tensors."""

    train: Images
    validation: Images
    info: DataInfo


class Asked:
    """A sweep file: its trial, and what to draw."""

    def __init__(self, path: Path) -> None:
        raw, _ = parse_yaml(path.read_text())
        self.spec = SweepSpec.model_validate(raw)
        self.trial, self._space = self.spec.trial, Space.parse(self.spec.space)

    def drawn(self, suggest: Callable[[Dimension], Label]) -> TrialSpec:
        """The trial with what ``suggest`` says of each dimension."""
        return at(self.trial, self._space.resolve(suggest).changes)


def load(trial: TrialSpec) -> Data:
    """The trial's data, whole in memory."""
    splits = catalog.dataset(trial.data).load(torch.device("cpu"))
    parts = []
    for split in (splits.train, splits.validation):
        batches = list(split.in_order(batch_size=EVALUATION_BATCH))
        images = torch.cat([batch.inputs["images"] for batch in batches])
        parts.append((images, torch.cat([batch.labels for batch in batches])))
    augment = catalog.params("data", trial.data).model_dump()["augment"]
    if augment["flip"] or augment["cutout"]:
        raise SystemExit("the plain loop crops images, and does nothing else to them")
    crop = augment["crop"]
    return Data(Images(*parts[0], crop), Images(*parts[1], 0), splits.info)


def train_teacher(trial: TrialSpec, data: Data, path: Path) -> None:
    """Train the sweep's teacher and keep its weights."""
    assert trial.teacher is not None
    torch.manual_seed(trial.teacher.seed)
    network = catalog.model_for(trial.teacher.model, data.info).to(DEVICE)
    _fit(network, trial.teacher.training, data, lambda logits, labels, images: 0.0)
    torch.save(network.state_dict(), path)


def load_teacher(trial: TrialSpec, data: Data, path: Path) -> nn.Module:
    """The trained teacher, frozen."""
    assert trial.teacher is not None
    network = catalog.model_for(trial.teacher.model, data.info)
    network.load_state_dict(torch.load(path, weights_only=True))
    return network.to(DEVICE).eval().requires_grad_(False)


def train_student(trial: TrialSpec, data: Data, teacher: nn.Module) -> tuple[float, int]:
    """Train the trial's student by its strategy; validation accuracy and parameters."""
    torch.manual_seed(trial.seed)
    student = catalog.model_for(trial.student, data.info).to(DEVICE)
    loss = Distillation(trial, student, teacher, data)
    _fit(student, trial.train, data, loss, own=loss.adapter, alpha=loss.alpha)
    return accuracy(student, data.validation), sum(p.numel() for p in student.parameters())


class Distillation:
    """What a step adds to the loss on the labels: the teacher's forward and one or two terms."""

    def __init__(
        self, trial: TrialSpec, student: nn.Module, teacher: nn.Module, data: Data
    ) -> None:
        given, extras = trial.strategy, catalog.extras(trial.strategy)
        check_plain(trial)
        self.teacher = teacher if given.name != "none" else None
        self.alpha, self.temperature = 1.0, None
        if given.name == "kd":
            settings = catalog.params("strategy", given).model_dump()
            self.alpha, self.temperature = settings["alpha"], settings["temperature"]
        elif given.name != "none":
            extras = {given.name: given, **extras}
        self.weights: dict[str, float] = {
            name: catalog.params("strategy", each).model_dump()["weight"]
            for name, each in extras.items()
        }
        self.raw: dict[str, float] = {}
        self.adapter: nn.Module | None = None
        if self.weights:
            self.student_maps, self.teacher_maps = _maps_of(student), _maps_of(teacher)
            self._pair(student, teacher, data)

    def __call__(self, logits: Tensor, labels: Tensor, images: Tensor) -> Tensor | float:
        """The distillation's share of the loss."""
        total: Tensor | float = 0.0
        if self.teacher is None:
            return total
        with torch.no_grad():
            of_teacher = self.teacher(images)
        if self.temperature is not None:
            soft = soft_targets(logits, of_teacher, self.temperature).mean()
            total = total + (1 - self.alpha) * soft
        for name, weight in self.weights.items():
            term = self._term(name)
            if name not in self.raw:
                # A weight is relative to the loss on the labels at the start, as in kdsweep.
                self.raw[name] = weight * (F.cross_entropy(logits, labels) / term).item()
            total = total + self.raw[name] * term
        return total

    def _term(self, name: str) -> Tensor:
        if name == "fitnet":
            assert self.adapter is not None
            return hint(self.adapter(self.student_maps[-1]), self.teacher_maps[self.hinted]).mean()
        pairs = zip(self.student_maps, self.teacher_maps, strict=False)
        return torch.stack([attention_transfer(*to_smaller(*pair)).mean() for pair in pairs]).sum()

    def _pair(self, student: nn.Module, teacher: nn.Module, data: Data) -> None:
        """The student's last map goes with the teacher's of the nearest size."""
        images = data.train.images[:2].to(DEVICE)
        with torch.no_grad():
            student.eval()(images)
            teacher(images)
        ours = self.student_maps[-1].shape
        away = [abs(maps.shape[-1] - ours[-1]) for maps in self.teacher_maps]
        self.hinted = len(away) - 1 - away[::-1].index(min(away))
        self.adapter = Adapter(ours[1:], self.teacher_maps[self.hinted].shape[1:]).to(DEVICE)


def check_plain(trial: TrialSpec) -> None:
    """Leave if the loop would train something else than the trial says."""
    strategy = trial.strategy
    for name, each in {strategy.name: strategy, **catalog.extras(strategy)}.items():
        settings = {key for key in each.settings if key != "extra"}
        if name not in PLAIN or not settings <= PLAIN[name]:
            raise SystemExit(f"the plain loop has no {name} with {', '.join(sorted(settings))}")
    for train in (trial.train, *([trial.teacher.training] if trial.teacher else [])):
        # Without rungs one curve over the whole training is what a person would write.
        one_curve = train.model_copy(update={"schedule": Cosine()})
        known = train if train.schedule.name != "per_rung" else one_curve
        if known != TrainSpec(epochs=train.epochs, batch_size=train.batch_size, lr=train.lr):
            raise SystemExit("the plain loop has no other recipe than AdamW and a cosine")


def _maps_of(network: nn.Module) -> list[Tensor]:
    """The maps of the network's stages at its last forward; the list is kept up to date.

    A teacher stays from trial to trial: what hung at its stages goes.
    """
    stages: Any = network.stages
    maps: list[Tensor] = [torch.empty(0)] * len(stages)

    def keep(position: int) -> Callable[..., None]:
        return lambda module, inputs, output: maps.__setitem__(position, output)

    for position, stage in enumerate(stages):
        stage._forward_hooks.clear()
        stage.register_forward_hook(keep(position))
    return maps


def _fit(
    network: nn.Module,
    train: TrainSpec,
    data: Data,
    more: Callable[[Tensor, Tensor, Tensor], Tensor | float],
    *,
    own: nn.Module | None = None,
    alpha: float = 1.0,
) -> None:
    """The tutorial's loop: forward, loss, backward, step, and its sums read in every step."""
    loader = DataLoader(data.train, batch_size=train.batch_size, shuffle=True)
    trained = [*network.parameters(), *(own.parameters() if own is not None else ())]
    optimizer = torch.optim.AdamW(trained, lr=train.lr, weight_decay=train.optimizer.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, train.epochs * len(loader))
    network.train()
    for epoch in range(1, train.epochs + 1):
        total_loss, correct, total = 0.0, 0, 0
        for images, labels in loader:
            images, labels = images.to(DEVICE), labels.to(DEVICE)
            optimizer.zero_grad()
            logits = network(images)
            loss = alpha * F.cross_entropy(logits, labels) + more(logits, labels, images)
            loss.backward()
            optimizer.step()
            schedule.step()
            total_loss += loss.item()
            correct += logits.max(1).indices.eq(labels).sum().item()
            total += labels.size(0)
        print(f"epoch {epoch}: loss {total_loss / len(loader):.4f}, {100 * correct / total:.2f}%")
    network.eval()


@torch.no_grad()
def accuracy(network: nn.Module, split: Images) -> float:
    """Share of the split's images that the network is right about."""
    loader = DataLoader(split, batch_size=EVALUATION_BATCH)
    hits = sum(
        network(images.to(DEVICE)).max(1).indices.cpu().eq(labels).sum().item()
        for images, labels in loader
    )
    return hits / len(split)


def note(events: Path, metrics: Mapping[str, float]) -> None:
    """Write down that a trial has ended, now; several processes may at once."""
    line = json.dumps({"at": time.time(), "what": "ended", "metrics": dict(metrics)}) + "\n"
    descriptor = os.open(events, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def one_thread(environment: Iterable[str] = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")) -> None:
    """As many trials run at once as there are processors: more threads slow all of them down."""
    os.environ.update(dict.fromkeys(environment, "1"))
    torch.set_num_threads(1)
