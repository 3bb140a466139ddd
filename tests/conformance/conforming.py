"""Real batches, networks that fit them, and the distillations that strategies are held to."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import nn

from kdsweep import catalog
from kdsweep.batch import Batch
from kdsweep.data.base import Splits
from kdsweep.probing import blank_batch
from kdsweep.spec import Component, TrialSpec
from kdsweep.spec.trial import Constant
from kdsweep.strategies.base import Seen, Strategy
from kdsweep.train.needs import teachers_of as teachers_read
from kdsweep.train.objective import Objective
from kdsweep.train.optimize import Optimizers
from kdsweep.train.probe import probe
from kdsweep.train.ranks import ALONE
from kdsweep.train.step import Step
from kdsweep.train.teacher import Source, Teacher

CPU = torch.device("cpu")
EXAMPLES, STEPS = 16, 100
LONGER = {"data_free": (32, 100)}
"""Examples and steps of a strategy that needs more: a generator learns beside the student."""
LATE = 0.9
"""The share of training at which terms are looked at: warm-ups are over."""

CNN = {"name": "cnn", "stages": 2}
DIGITS = {"name": "digits"}
NAMED_GLYPHS = {
    "name": "glyphs", "limit": 200, "classes": ["braille", "greek", "hebrew"], "texts": "names",
    "augment": {"crop": 0},
}  # fmt: skip
DOCSTRINGS = {
    "name": "docstrings", "limit": 60, "length": 24, "classes": ["concurrency", "numbers", "web"],
    "tokenizer": {"vocabulary": 400},
}  # fmt: skip
BERT = {"name": "bert", "heads": 2, "hidden": 32, "dropout": 0.0}


@dataclass(frozen=True)
class Pair:
    """A data set, a student and a teacher; and the strategies that cannot be used with them."""

    data: dict[str, Any]
    student: dict[str, Any]
    teacher: dict[str, Any]
    without: frozenset[str] = frozenset()
    """Each of these must be refused in words."""


MAPS = frozenset({"attention_transfer", "nst", "reviewkd", "vid"})
"""Strategies that compare maps of convolutions."""
OF_IMAGES = MAPS | {"data_free", "fitnet", "function_matching"}
"""Strategies for students that read images, from teachers that do."""

PAIRS = {
    "cnn from a wider cnn": Pair(
        DIGITS, {**CNN, "width": 4}, {**CNN, "width": 12}, frozenset({"transformer"})
    ),
    "resnet from a resnet": Pair(
        DIGITS,
        {"name": "resnet", "depth": 8, "width": 4},
        {"name": "resnet", "depth": 8, "width": 12},
        frozenset({"transformer"}),
    ),
    "cnn from a resnet": Pair(
        DIGITS,
        {**CNN, "width": 4, "batch_norm": True},
        {"name": "resnet", "depth": 8, "width": 8},
        frozenset({"transformer"}),
    ),
    "vit from a vit": Pair(
        DIGITS,
        {"name": "vit", "patch": 2, "width": 16, "depth": 2, "heads": 2},
        {"name": "vit", "patch": 2, "width": 24, "depth": 4, "heads": 2},
        frozenset(),
    ),
    "distilbert from bert": Pair(
        DOCSTRINGS,
        {**BERT, "name": "distilbert", "layers": 2, "width": 16},
        {**BERT, "layers": 4, "width": 24},
        OF_IMAGES,
    ),
    "text from images": Pair(
        NAMED_GLYPHS,
        {"name": "text_cnn", "width": 8, "filters": 8},
        {**CNN, "width": 8},
        OF_IMAGES | {"self_distillation", "similarity", "transformer"},
    ),
    "images from text": Pair(
        NAMED_GLYPHS,
        {**CNN, "width": 4},
        {"name": "text_cnn", "width": 16, "filters": 16},
        OF_IMAGES | {"similarity", "transformer"},
    ),
}

SETTINGS: dict[str, dict[str, Any]] = {
    "multi_teacher": {"teachers": ["teacher", "second"]},
    "crd": {"negatives": 64},
    # What the student is shown changes while the generator learns to trouble it.
    "data_free": {"w_adversarial": 0, "lr": 1e-4},
}
"""What a strategy needs beside its defaults to be tried on few samples."""


@cache
def _splits(data: str) -> Splits:
    return catalog.dataset(Component.model_validate_json(data)).load(CPU)


def splits_of(pair: Pair) -> Splits:
    """The pair's data, read once for all tests."""
    return _splits(Component(**pair.data).model_dump_json())


def first_batch(pair: Pair, num: int = EXAMPLES) -> Batch:
    """Training examples of the pair's data, of several classes."""
    return next(splits_of(pair).train.shuffled(batch_size=num, epoch=0, seed=0))


def trial_of(pair: Pair, strategy: Component) -> TrialSpec:
    """A trial with two teachers of the same architecture."""
    teacher = {"model": pair.teacher}
    return TrialSpec(
        data=pair.data,
        student=pair.student,
        teacher=teacher,
        teachers={"second": teacher},
        strategy=strategy.model_dump(),
        train={"epochs": 1, "batch_size": EXAMPLES, "lr": 3e-3, "optimizer": "adam"},
    )


def teachers_of(pair: Pair) -> dict[str, nn.Module]:
    """Two teachers that know the batch a little, each from weights of its own."""
    batch, known = first_batch(pair), {}
    for seed, name in enumerate(("teacher", "second"), start=1):
        torch.manual_seed(seed)
        network = catalog.model_for(Component(**pair.teacher), splits_of(pair).info)
        optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
        for _ in range(30):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(network(batch.seen_by(network)), batch.labels)
            loss.backward()
            optimizer.step()
        network.zero_grad()
        known[name] = network.eval()
    return known


@dataclass
class Distillation:
    """A student, its teachers and the objective of a strategy, put together as in a training."""

    step: Step
    teachers: dict[str, nn.Module]
    batch: Batch | int
    trial: TrialSpec

    @property
    def student(self) -> nn.Module:
        return self.step.student

    @property
    def objective(self) -> Objective:
        return self.step.objective

    @property
    def strategy(self) -> Strategy:
        """The last one: an extra if there is one."""
        found = self.objective.strategies[-1]
        assert isinstance(found, Strategy)
        return found

    def seen(self, batch: Batch | int | None = None) -> Seen:
        return self.step.seen(self.batch if batch is None else batch, LATE)

    def totals(self) -> torch.Tensor:
        total: torch.Tensor = self.step(self.batch, LATE)[0]
        return total

    def learned(self) -> set[int]:
        """Parameters of the strategies that have optimizers of their own."""
        return {id(p) for each in self.objective.learners() for p in each.module.parameters()}

    def train(self, steps: int) -> list[float]:
        apart = [(learner.module, learner.lr) for learner in self.objective.learners()]
        steady = self.trial.train.model_copy(update={"schedule": Constant()})
        optimizers = Optimizers(steady, self.step, apart, num_steps=steps)
        losses = []
        for _ in range(steps):
            loss = self.totals().mean()
            optimizers.step(loss)
            losses.append(loss.item())
        return losses


def distillation(
    pair: Pair,
    networks: Mapping[str, nn.Module],
    strategy: Component,
    *,
    examples: int | None = None,
) -> Distillation:
    """The same distillation each time that it is asked for, with the teachers that are read."""
    trial, info = trial_of(pair, strategy), splits_of(pair).info
    read = {"teacher", *teachers_read(trial)}
    teachers = {name: copy.deepcopy(network) for name, network in networks.items() if name in read}
    sources = {
        name: Source(Teacher(network, digest=name, accuracy=0.5))
        for name, network in teachers.items()
    }
    if examples is None:
        examples, _ = LONGER.get(strategy.name, (EXAMPLES, STEPS))
    own = all(
        catalog.find("strategy", each.name).needs.data
        for each in (strategy, *catalog.extras(strategy).values())
    )
    batch: Batch | int = first_batch(pair, examples) if own else examples
    torch.manual_seed(2)
    student = catalog.model_for(trial.student, info)
    shown = batch if isinstance(batch, Batch) else blank_batch(info, CPU)
    num_samples = splits_of(pair).train.num_samples if own else 0
    seen = probe(trial, student, sources, shown, info, num_samples=num_samples)
    objective = Objective(trial.strategy, seen)
    objective.begin(student, teachers["teacher"])
    step = Step(student, objective, sources, ALONE).train()
    if objective.needs_calibration:
        step.calibrate([batch])
    return Distillation(step, teachers, batch, trial)


def assert_all_is_reached(made: Distillation) -> None:
    """By the gradients of two steps, as some take turns in learning."""
    made.step.zero_grad(set_to_none=True)
    for _ in range(2):
        made.totals().mean().backward()
    for parameter in (*made.student.parameters(), *made.objective.parameters()):
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()
    for module in made.objective.modules():
        own = [parameter.grad.abs().sum() for parameter in module.parameters(recurse=False)]
        assert not own or sum(own) > 0
    made.step.zero_grad(set_to_none=True)
