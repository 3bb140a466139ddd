"""KD against numbers worked by hand; both ends of alpha; its settings and its refusals."""

import math

import pytest
import torch

from kdsweep import catalog
from kdsweep.batch import Batch, Outputs
from kdsweep.errors import SpecError, TrialError
from kdsweep.losses.logits import hard_labels, soft_targets
from kdsweep.spec import Component
from kdsweep.strategies.base import Probe, Weight
from kdsweep.train.objective import Objective

LOGITS = torch.tensor([[0.0, math.log(9)], [1.0, -1.0]])
TEACHER = torch.tensor([[0.0, 0.0], [2.0, 0.5]])
BATCH = Batch(torch.zeros(2, 1, 1, 1), torch.tensor([1, 0]), torch.arange(2))


def probe(classes=2, teacher_classes=2, teacher=True):
    ours, theirs = torch.zeros(2, classes), torch.zeros(2, teacher_classes)
    return Probe(Outputs(ours), Outputs(theirs) if teacher else None, (), (), classes)


def total(settings, teacher=TEACHER):
    objective = Objective(Component(name="kd", **settings), probe())
    return objective(BATCH, Outputs(LOGITS), Outputs(teacher))[0]


def test_total_by_hand():
    # First example, T = 2: q^T = (1/4, 3/4), p^T = (1/2, 1/2), so T^2 KL = 2 ln 4/3.
    # q = (1/10, 9/10) and y = 1, so CE = ln 10/9. alpha = 0.3 is the weight of CE.
    got = total({"temperature": 2, "alpha": 0.3})[0]
    expected = 0.3 * math.log(10 / 9) + 0.7 * 2 * math.log(4 / 3)
    torch.testing.assert_close(got, torch.tensor(expected))


def test_alpha_one_is_exactly_cross_entropy():
    assert torch.equal(total({"alpha": 1.0}), hard_labels(LOGITS, BATCH.labels))


@pytest.mark.parametrize("temperature", [2.0, 8.0])
def test_alpha_zero_is_exactly_the_soft_targets_with_t_squared(temperature):
    got = total({"alpha": 0.0, "temperature": temperature})
    assert torch.equal(got, soft_targets(LOGITS, TEACHER, temperature))


def test_untied_weights():
    got = total({"w_ce": 0.5, "w_kd": 9, "temperature": 2})
    soft = soft_targets(LOGITS, TEACHER, 2.0)
    torch.testing.assert_close(got, 0.5 * hard_labels(LOGITS, BATCH.labels) + 9 * soft)


def test_published_defaults():
    strategy = catalog.strategy(Component(name="kd"), probe())
    assert strategy.params.temperature == 4
    assert strategy.weights() == {"hard": Weight(0.1), "soft": Weight(0.9)}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"w_kd": 1}, "strategy: w_ce and w_kd go together: w_ce is missing"),
        ({"w_ce": 1}, "strategy: w_ce and w_kd go together: w_kd is missing"),
        (
            {"alpha": 0.1, "w_ce": 1, "w_kd": 1},
            "strategy: give either alpha, or w_ce and w_kd, not both",
        ),
        ({"alpha": 1.5}, "strategy.alpha: 1.5 is not allowed: must be at most 1"),
        ({"temperature": 0}, "strategy.temperature: 0 is not allowed: must be greater than 0"),
    ],
)
def test_settings_refused(settings, message):
    with pytest.raises(SpecError) as caught:
        catalog.params("strategy", Component(name="kd", **settings), at="strategy")
    assert [
        problem.replace("1.0", "1").replace("0.0", "0") for problem in caught.value.problems
    ] == [message]


def test_a_teacher_of_other_classes_is_refused():
    with pytest.raises(SpecError, match="the student has 2 classes and the teacher 100: "):
        catalog.strategy(Component(name="kd"), probe(teacher_classes=100))


def test_a_trial_without_a_teacher_is_refused():
    with pytest.raises(SpecError, match=r"needs a teacher: give the trial one \(teacher: \.\.\.\)"):
        catalog.strategy(Component(name="kd"), probe(teacher=False))


def test_a_batch_without_the_teachers_outputs_is_refused():
    strategy = catalog.strategy(Component(name="kd"), probe())
    with pytest.raises(TrialError, match="the batch came without"):
        strategy.terms(BATCH, Outputs(LOGITS), None)


def test_no_distillation_needs_no_teacher_and_has_no_terms():
    objective = Objective(Component(name="none"), probe(teacher=False))
    got, terms = objective(BATCH, Outputs(LOGITS), None)
    assert torch.equal(got, hard_labels(LOGITS, BATCH.labels))
    assert list(terms) == ["hard"]
    assert not objective.needs.teacher
    assert not list(objective.parameters())
