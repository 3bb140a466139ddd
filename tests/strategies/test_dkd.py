"""DKD against its two losses, its warm-up, and where it is meaningless."""

import math

import pytest
import torch

from kdsweep import catalog
from kdsweep.batch import UNLABELLED, Batch, Outputs
from kdsweep.errors import SpecError
from kdsweep.losses.logits import hard_labels
from kdsweep.losses.standardise import standardise
from kdsweep.spec import Component
from kdsweep.strategies.base import Probe, Seen, Weight
from kdsweep.train.objective import Objective

# q = (1, 1, 2) / 4 and p = (2, 1, 1) / 4 at T = 2.
STUDENT = 2 * torch.tensor([[1.0, 1, 2]]).log()
TEACHER = 2 * torch.tensor([[2.0, 1, 1]]).log()
TCKD, NCKD = 0.5 * math.log(4 / 3), 0.5 * math.log(9 / 8)
BATCH = Batch({"images": torch.zeros(1, 1, 1, 1)}, torch.tensor([0]), torch.arange(1))


def probe(classes=3, teacher_classes=3):
    return Probe(
        Outputs(torch.zeros(2, classes)), Outputs(torch.zeros(2, teacher_classes)), (), (), classes
    )


def made(**settings):
    return Objective(Component(name="dkd", **settings), probe())


def terms(student=STUDENT, teacher=TEACHER, batch=BATCH, **settings):
    return made(**settings)(Seen(batch, Outputs(student), Outputs(teacher)))[1]


def test_total_by_hand_after_the_warm_up():
    objective = made(temperature=2, w_target=3, w_non_target=5)
    got = objective(Seen(BATCH, Outputs(STUDENT), Outputs(TEACHER), progress=0.5))[0]
    hard = hard_labels(STUDENT, BATCH.labels)
    torch.testing.assert_close(got, hard + 3 * 4 * TCKD + 5 * 4 * NCKD)


@pytest.mark.parametrize(
    ("warmup", "progress", "factor"),
    [(0.4, 0.0, 0.0), (0.4, 0.1, 0.25), (0.4, 0.4, 1.0), (0.4, 0.9, 1.0), (0.0, 0.0, 1.0)],
)
def test_both_parts_warm_up_and_the_labels_do_not(warmup, progress, factor):
    objective = made(temperature=2, warmup=warmup)
    got = objective(Seen(BATCH, Outputs(STUDENT), Outputs(TEACHER), progress=progress))[0]
    hard = hard_labels(STUDENT, BATCH.labels)
    torch.testing.assert_close(got, hard + factor * 4 * (TCKD + 8 * NCKD))


def test_terms_are_given_without_weight_and_warm_up():
    got = terms(temperature=2)
    torch.testing.assert_close(got["target"], torch.tensor([4 * TCKD]))
    torch.testing.assert_close(got["non_target"], torch.tensor([4 * NCKD]))


def test_published_defaults():
    strategy = catalog.strategy(Component(name="dkd"), probe())
    assert strategy.params.temperature == 4
    assert strategy.params.warmup == pytest.approx(20 / 240, abs=5e-4)
    assert strategy.weights() == {
        "hard": Weight(1.0), "target": Weight(1.0), "non_target": Weight(8.0)
    }  # fmt: skip


def test_standardised_logits_keep_the_targets():
    student, teacher = torch.tensor([[3.0, -1, 7]]), torch.tensor([[9.0, 0, 1]])
    got = terms(student, teacher, standardise=True)
    again = terms(standardise(student), standardise(teacher))
    assert torch.equal(got["target"], again["target"])
    assert torch.equal(got["non_target"], again["non_target"])
    scaled = terms(100 * student, teacher, standardise=True)
    torch.testing.assert_close(scaled["non_target"], got["non_target"])


def test_an_unlabelled_example_takes_the_teachers_class_for_its_target():
    unlabelled = Batch(BATCH.inputs, torch.tensor([UNLABELLED]), BATCH.ids)
    got = terms(batch=unlabelled, temperature=2)
    assert torch.equal(got["hard"], torch.zeros(1))
    torch.testing.assert_close(got["target"], torch.tensor([4 * TCKD]))
    torch.testing.assert_close(got["non_target"], torch.tensor([4 * NCKD]))


def test_networks_that_are_certain_train_on():
    generator = torch.Generator().manual_seed(0)
    student = 200 * torch.randn(16, 3, generator=generator)
    teacher = 200 * torch.randn(16, 3, generator=generator)
    batch = Batch({"images": torch.zeros(16, 1, 1, 1)}, torch.arange(16) % 3, torch.arange(16))
    student.requires_grad_()
    seen = Seen(batch, Outputs(student), Outputs(teacher), progress=1.0)
    total = made(temperature=1)(seen)[0]
    total.mean().backward()
    assert total.isfinite().all()
    assert student.grad.isfinite().all()


@pytest.mark.parametrize("standardised", [False, True])
def test_two_classes_are_refused(standardised):
    with pytest.raises(SpecError) as caught:
        catalog.strategy(Component(name="dkd", standardise=standardised), probe(2, 2))
    assert caught.value.problems == (
        "of 2 classes one alone is not the target, and nothing is to be learned from how the "
        "others compare: needs 3 classes or more; use strategy kd",
    )


def test_a_teacher_of_other_classes_is_refused():
    with pytest.raises(SpecError, match="the student has 3 classes and the teacher 100: "):
        catalog.strategy(Component(name="dkd"), probe(3, 100))
