"""Optimizers against torch's own, schedules against numbers by hand."""

import copy
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from kdsweep.spec import TrainSpec
from kdsweep.spec.trial import Constant, Cosine, PerRung, Sgd, Steps
from kdsweep.train.optimize import factor, optimizer, scheduler, steps_in_epoch

OPTIMIZERS = {
    "sgd": (
        {"name": "sgd", "momentum": 0.8, "weight_decay": 0.01},
        lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.8, weight_decay=0.01),
    ),
    "sgd nesterov": (
        {"name": "sgd", "momentum": 0.8, "nesterov": True, "weight_decay": 0.0},
        lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.8, nesterov=True),
    ),
    "sgd plain": (
        {"name": "sgd", "momentum": 0.0, "weight_decay": 0.0},
        lambda p: torch.optim.SGD(p, lr=0.05),
    ),
    "adam": (
        {"name": "adam", "beta1": 0.8, "beta2": 0.95, "weight_decay": 0.02},
        lambda p: torch.optim.Adam(p, lr=0.05, betas=(0.8, 0.95), weight_decay=0.02),
    ),
    "adamw": (
        {"name": "adamw", "beta1": 0.8, "beta2": 0.95, "weight_decay": 0.2},
        lambda p: torch.optim.AdamW(p, lr=0.05, betas=(0.8, 0.95), weight_decay=0.2),
    ),
}


def parameters() -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(*s, generator=generator)) for s in ((5, 3), (5,), (2, 2, 3))]


def steps(own: list[nn.Parameter], made: torch.optim.Optimizer, count: int = 6) -> list[Tensor]:
    for step in range(count):
        made.zero_grad()
        sum(((p - step).sin() * p).sum() for p in own).backward()
        made.step()
    return [p.detach() for p in own]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_are_those_of_torch(name):
    settings, theirs = OPTIMIZERS[name]
    ours, other = parameters(), parameters()
    made = optimizer(TrainSpec(lr=0.05, optimizer=settings), ours)
    for one, expected in zip(steps(ours, made), steps(other, theirs(other)), strict=True):
        torch.testing.assert_close(one, expected, rtol=1e-6, atol=1e-7)


def test_names_alone_are_the_optimizers_with_their_defaults():
    for name, kind in (("sgd", torch.optim.SGD), ("adam", torch.optim.Adam)):
        assert isinstance(optimizer(TrainSpec(optimizer=name), parameters()), kind)
    default = optimizer(TrainSpec(), parameters())
    assert isinstance(default, torch.optim.AdamW)
    assert default.param_groups[0]["weight_decay"] == 1e-2


def test_frozen_parameters_are_left_out():
    own = parameters()
    own[1].requires_grad_(False)
    made = optimizer(TrainSpec(), own)
    assert [id(p) for p in made.param_groups[0]["params"]] == [id(own[0]), id(own[2])]


def test_state_goes_to_another_optimizer():
    train = TrainSpec(lr=0.05, optimizer="sgd")
    ours, other = parameters(), parameters()
    first, second = optimizer(train, ours), optimizer(train, other)
    steps(ours, first, 3)
    with torch.no_grad():
        for p, q in zip(ours, other, strict=True):
            q.copy_(p)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    pairs = zip(steps(ours, first, 2), steps(other, second, 2), strict=True)
    assert all(torch.equal(one, two) for one, two in pairs)


def test_nesterov_without_momentum_is_refused():
    with pytest.raises(ValidationError, match=r"nesterov needs a momentum greater than 0"):
        Sgd(nesterov=True, momentum=0.0)


@pytest.mark.parametrize(
    ("schedule", "progress", "expected"),
    [
        (Constant(), 0.0, 1.0),
        (Constant(), 1.0, 1.0),
        (Constant(warmup=0.2), 0.05, 0.25),
        (Constant(warmup=0.2), 0.2, 1.0),
        (Cosine(), 0.0, 1.0),
        (Cosine(), 1 / 3, 0.75),
        (Cosine(), 0.5, 0.5),
        (Cosine(), 2 / 3, 0.25),
        (Cosine(), 1.0, 0.0),
        (Cosine(warmup=0.2), 0.1, 0.5),
        (Cosine(warmup=0.2), 0.6, 0.5),  # half of what is left after warm-up
        (Cosine(warmup=0.2), 1.0, 0.0),
        (Steps(milestones=(0.5, 0.75), factor=0.1), 0.49, 1.0),
        (Steps(milestones=(0.5, 0.75), factor=0.1), 0.5, 0.1),
        (Steps(milestones=(0.75, 0.5), factor=0.1), 0.8, 0.01),
        (Steps(milestones=(0.5,), factor=0.1, warmup=0.5), 0.25, 0.5),
        (PerRung(), 0.0, 1.0),
        (PerRung(), 0.025, 0.5),
        (PerRung(), 0.05, 1.0),  # the second begins where the first has ended
        (PerRung(), 0.1, 0.5),
        (PerRung(), 0.15, 1.0),
        (PerRung(), 0.25, 0.75),
        (PerRung(), 0.725, 0.5),
        (PerRung(), 1.0, 0.0),
        (PerRung(ends=(0.5,), warmup=0.1), 0.05, 0.5),
        (PerRung(ends=(0.5,), warmup=0.1), 0.3, 0.5),
        (PerRung(ends=(0.52,)), 0.5, 1.0),  # 10.4 epochs of 20 are 10
    ],
    ids=str,
)
def test_the_factor_by_hand(schedule, progress, expected):
    assert factor(schedule, 20)(progress) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", [2.0, 2.0, 2.0, 2.0]),
        ("cosine", [2.0, 2 * 0.8535534, 1.0, 2 * 0.1464466]),
        ({"name": "steps", "milestones": [0.5, 0.75], "factor": 0.5}, [2.0, 2.0, 1.0, 0.5]),
        # Warming up, no step stands still: each has the rate of its end.
        ({"name": "constant", "warmup": 0.5}, [1.0, 2.0, 2.0, 2.0]),
        ({"name": "per_rung", "ends": [0.5]}, [2.0, 1.0, 2.0, 1.0]),
        ({"name": "cosine", "warmup": 0.5}, [1.0, 2.0, 1.0, 0.0]),
    ],
    ids=str,
)
def test_the_rate_of_every_step(schedule, expected):
    train = TrainSpec(lr=2.0, schedule=schedule, optimizer={"name": "sgd", "weight_decay": 0.0})
    made = optimizer(train, [nn.Parameter(torch.zeros(1))])
    rates, found = scheduler(train, made, num_steps=4), []
    for _ in range(4):
        found.append(made.param_groups[0]["lr"])
        made.step()
        rates.step()
    assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("num_samples", "batch_size", "num_ranks", "expected"),
    [(96, 40, 1, 3), (80, 40, 1, 2), (81, 40, 1, 2), (82, 40, 1, 3), (3, 40, 1, 1), (5, 1, 1, 5),
     (83, 40, 2, 2), (84, 40, 2, 3), (2, 2, 2, 1)],
)  # fmt: skip
def test_steps_in_an_epoch(num_samples, batch_size, num_ranks, expected):
    assert steps_in_epoch(num_samples, batch_size, num_ranks) == expected


NO_COMPILER = """
import sys
from tiny_trials import curve, spec, teacher, trained
for name in ("sgd", "adam", "adamw"):
    train = {"epochs": 1, "optimizer": name, "clip_norm": 1.0, "label_smoothing": 0.1}
    trained(spec({"name": "kd", "extra": {"fitnet": {}}}, train=train), teacher=teacher())
import kdsweep.train.session
unwanted = {"torch._dynamo", "ray", "mlflow", "optuna", "sklearn"}
print("imported:", *sorted(unwanted & set(sys.modules)))
"""


def test_training_imports_neither_compiler_nor_cluster():
    found = subprocess.run(
        [sys.executable, "-c", NO_COMPILER],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (found.stdout, found.stderr) == ("imported:\n", "")


def test_a_schedule_per_rung_ends_with_whole_epochs_each_once():
    assert PerRung().end_epochs(20) == (1, 3, 9)
    assert PerRung(ends=(0.24, 0.26, 0.99)).end_epochs(10) == (2, 3)  # 9.9 would be the last
    assert PerRung().end_epochs(1) == ()
    assert PerRung(ends=(0.01, 0.02)).end_epochs(30) == (1,)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"ends": [0.5, 0.5]}, "each must be greater than the last"),
        ({"ends": [0.5, 0.25]}, "each must be greater than the last"),
        ({"ends": [0.25], "warmup": 0.25}, "must end before the first of ends, 0.25"),
        ({"ends": []}, "at least 1 item"),
        ({"ends": [1.0]}, "less than 1"),
    ],
    ids=str,
)
def test_ends_that_make_no_schedule_are_refused(settings, said):
    with pytest.raises(ValidationError, match=said):
        PerRung(**settings)
