"""Temperature and alpha on their way through training."""

import pytest
import torch

from kdsweep.batch import Batch, Outputs
from kdsweep.losses.logits import hard_labels, soft_targets
from kdsweep.spec import Component
from kdsweep.strategies.base import Probe, Seen
from kdsweep.train.objective import Objective

LOGITS = torch.tensor([[0.0, 2.0], [1.0, -1.0]])
TEACHER = torch.tensor([[0.0, 0.0], [2.0, 0.5]])
BATCH = Batch({"images": torch.zeros(2, 1, 1, 1)}, torch.tensor([1, 0]), torch.arange(2))
PROBE = Probe(Outputs(LOGITS), Outputs(TEACHER), (), (), 2)


def total(settings, progress, name="kd"):
    objective = Objective(Component(name=name, **settings), PROBE)
    return objective(Seen(BATCH, Outputs(LOGITS), Outputs(TEACHER), progress=progress))[0]


@pytest.mark.parametrize(
    ("schedule", "progress", "temperature"),
    [
        ("linear", 0.0, 4.0),
        ("linear", 0.25, 3.25),
        ("linear", 1.0, 1.0),
        ("cosine", 0.0, 4.0),
        # 1 + 3 (1 + cos(pi / 3)) / 2
        ("cosine", 1 / 3, 3.25),
        ("cosine", 0.5, 2.5),
        ("cosine", 1.0, 1.0),
    ],
)
def test_the_temperature_moves_and_its_square_with_it(schedule, progress, temperature):
    settings = {"temperature": 4, "temperature_end": 1, "temperature_schedule": schedule}
    got = total({**settings, "alpha": 0}, progress=progress)
    torch.testing.assert_close(got, soft_targets(LOGITS, TEACHER, temperature))


@pytest.mark.parametrize(
    ("ends", "schedule", "progress", "alpha"),
    [
        ((0, 1), "linear", 0.0, 0.0),
        ((0, 1), "linear", 0.75, 0.75),
        ((0, 1), "linear", 1.0, 1.0),
        ((1, 0.2), "cosine", 0.0, 1.0),
        ((1, 0.2), "cosine", 1 / 3, 0.8),
        ((1, 0.2), "cosine", 1.0, 0.2),
    ],
)
def test_alpha_moves_from_end_to_end(ends, schedule, progress, alpha):
    settings = {"alpha": ends[0], "alpha_end": ends[1], "alpha_schedule": schedule}
    got = total(settings, progress=progress)
    soft = soft_targets(LOGITS, TEACHER, 4.0)
    expected = alpha * hard_labels(LOGITS, BATCH.labels) + (1 - alpha) * soft
    torch.testing.assert_close(got, expected)


def test_without_schedules_nothing_moves():
    assert torch.equal(total({}, progress=0.0), total({}, progress=1.0))


def test_of_an_extra_the_soft_term_alone_is_scheduled():
    moving = {"alpha": 0.2, "alpha_end": 0.6, "alpha_schedule": "linear", "temperature": 2}
    got = total({"extra": {"kd": moving}}, progress=0.5, name="none")
    soft = soft_targets(LOGITS, TEACHER, 2.0)
    torch.testing.assert_close(got, hard_labels(LOGITS, BATCH.labels) + 0.6 * soft)
