"""The loops that the trainer is measured beside: the documents' own, and torchdistill's."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import random_images
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, RandomSampler

TEMPERATURE, ALPHA, LEARNING_RATE = 3.0, 0.7, 1e-3


@dataclass
class Epochs:
    """Seconds of every epoch, by the clock and of the processor."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    @contextmanager
    def one(self) -> Iterator[None]:
        began, used = time.perf_counter(), time.process_time()
        yield
        self.wall.append(time.perf_counter() - began)
        self.cpu.append(time.process_time() - used)


Loop = Callable[[nn.Module, nn.Module, int, int, int], Epochs]
"""Teacher, student, how many images, the size of a batch, how many epochs."""


class Pictures(Dataset[Any]):
    """The same random images as PIL pictures, cropped and flipped as torchvision does it."""

    def __init__(self, num: int) -> None:
        from torchvision import transforms

        images, self.labels = random_images.drawn(num, seed=0)
        self.images = images.transpose(0, 2, 3, 1).copy()
        self.change = transforms.Compose(
            [
                transforms.RandomCrop(32, padding=random_images.CROP),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(random_images.MEAN, random_images.STD),
            ]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        from PIL import Image

        return self.change(Image.fromarray(self.images[index])), int(self.labels[index])


def loss_of_documents(student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
    """``alpha CE + (1 - alpha) T^2 KL``, as Knowledge Distillation Basics has it."""
    hard = F.cross_entropy(student, labels)
    soft = F.kl_div(
        F.log_softmax(student / TEMPERATURE, dim=1),
        F.softmax(teacher / TEMPERATURE, dim=1),
        reduction="batchmean",
    )
    return ALPHA * hard + (1 - ALPHA) * TEMPERATURE**2 * soft


def documents(
    teacher: nn.Module, student: nn.Module, num: int, batch_size: int, epochs: int
) -> Epochs:
    """As the documents train: a DataLoader, a teacher in evaluation mode, ``.item()`` per step."""
    loader = DataLoader(Pictures(num), batch_size=batch_size, shuffle=True)
    optimizer = torch.optim.Adam(student.parameters(), lr=LEARNING_RATE)
    teacher.eval()
    student.train()
    taken = Epochs()
    for _ in range(epochs):
        with taken.one():
            total_loss, correct, total = 0.0, 0, 0
            for images, labels in loader:
                optimizer.zero_grad()
                with torch.no_grad():
                    teacher_logits = teacher(images)
                student_logits = student(images)
                loss = loss_of_documents(student_logits, teacher_logits, labels)
                loss.backward()
                optimizer.step()
                total_loss += loss.item()
                correct += student_logits.argmax(dim=1).eq(labels).sum().item()
                total += len(labels)
    return taken


def torchdistill(
    teacher: nn.Module, student: nn.Module, num: int, batch_size: int, epochs: int
) -> Epochs:
    """Torchdistill's DistillationBox with its KD loss, driven as its examples drive it."""
    from torchdistill.core.distillation import get_distillation_box

    logits = {"module_path": ".", "module_io": "output"}
    paths = {f"{who}_{key}": value for who in ("student", "teacher")
             for key, value in logits.items()}  # fmt: skip
    config = {
        "num_epochs": epochs,
        "train_data_loader": {
            "dataset_id": "train",
            "sampler": {"class_or_func": RandomSampler, "kwargs": {}},
            "kwargs": {"batch_size": batch_size, "num_workers": 0},
        },
        "teacher": {"forward_proc": "forward_batch_only", "sequential": [], "wrapper": None,
                    "requires_grad": False},
        "student": {"forward_proc": "forward_batch_only", "sequential": [], "wrapper": None,
                    "requires_grad": True},
        "optimizer": {"key": "Adam", "kwargs": {"lr": LEARNING_RATE}},
        "criterion": {
            "key": "WeightedSumLoss",
            "kwargs": {"sub_terms": {"kd": {
                "criterion": {"key": "KDLoss", "kwargs": {
                    **paths, "temperature": TEMPERATURE, "alpha": ALPHA,
                    "reduction": "batchmean"}},
                "weight": 1.0,
            }}},
        },
    }  # fmt: skip
    cpu = torch.device("cpu")
    teacher.eval()
    box = get_distillation_box(
        teacher, student, {"train": Pictures(num)}, config, cpu, None, False, 1
    )
    taken = Epochs()
    for epoch in range(epochs):
        with taken.one():
            total_loss = 0.0
            box.pre_epoch_process(epoch=epoch)
            for images, labels, more in box.train_data_loader:
                box.pre_forward_process()
                loss = box.forward_process(images, labels, more)
                box.post_forward_process(loss=loss)
                total_loss += loss.item()
            box.post_epoch_process()
    return taken
