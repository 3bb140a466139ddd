"""KD against numbers worked by hand; both ends of alpha; its distances and its refusals."""

import math

import pytest
import torch

from kdsweep import catalog
from kdsweep.batch import Batch, Outputs
from kdsweep.errors import SpecError, TrialError
from kdsweep.losses.distances import logit_mse
from kdsweep.losses.logits import hard_labels, kl_divergence, soft_targets
from kdsweep.spec import Component
from kdsweep.strategies.base import Probe, Seen, Weight
from kdsweep.train.objective import Objective

LOGITS = torch.tensor([[0.0, math.log(9)], [1.0, -1.0]])
TEACHER = torch.tensor([[0.0, 0.0], [2.0, 0.5]])
BATCH = Batch({"images": torch.zeros(2, 1, 1, 1)}, torch.tensor([1, 0]), torch.arange(2))


def probe(classes=2, teacher_classes=2, teacher=True):
    ours, theirs = torch.zeros(2, classes), torch.zeros(2, teacher_classes)
    return Probe(Outputs(ours), Outputs(theirs) if teacher else None, (), (), classes)


def total(settings, teacher=TEACHER):
    objective = Objective(Component(name="kd", **settings), probe())
    return objective(Seen(BATCH, Outputs(LOGITS), Outputs(teacher)))[0]


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
        (
            {"alpha_end": 1, "alpha_schedule": "linear", "w_ce": 1, "w_kd": 1},
            "strategy: give either alpha, or w_ce and w_kd, not both",
        ),
        (
            {"temperature_end": 2},
            "strategy: temperature_end needs temperature_schedule: linear or cosine",
        ),
        ({"alpha_end": 1}, "strategy: alpha_end needs alpha_schedule: linear or cosine"),
        (
            {"temperature_schedule": "cosine"},
            "strategy: temperature_schedule: cosine needs temperature_end, where it ends",
        ),
        (
            {"alpha_schedule": "linear"},
            "strategy: alpha_schedule: linear needs alpha_end, where it ends",
        ),
        (
            {"distance": "mse", "temperature": 2},
            "strategy: distance: mse compares the logits as they are: leave the temperature out, "
            "or choose another distance",
        ),
        (
            {"distance": "mse", "temperature_end": 2, "temperature_schedule": "linear"},
            "strategy: distance: mse compares the logits as they are: leave the temperature out, "
            "or choose another distance",
        ),
        (
            {"distance": "kll"},
            "strategy.distance: 'kll' is not allowed; did you mean 'kl'? (allowed: 'kl', "
            "'soft_cross_entropy', 'reverse_kl', 'jensen_shannon' or 'mse')",
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


# q^T = (1/4, 3/4) at T = 2 and p^T = (1/2, 1/2), as above; each is multiplied by T^2 = 4.
@pytest.mark.parametrize(
    ("distance", "by_hand"),
    [
        ("kl", 0.5 * math.log(4 / 3)),
        ("soft_cross_entropy", 0.5 * math.log(4) + 0.5 * math.log(4 / 3)),
        ("reverse_kl", 0.25 * math.log(0.5) + 0.75 * math.log(1.5)),
        (
            "jensen_shannon",
            0.25 * (math.log(4 / 3) + math.log(4 / 5))
            + 0.125 * math.log(2 / 3)
            + 0.375 * math.log(6 / 5),
        ),
    ],
)
def test_softened_distances_by_hand_times_t_squared(distance, by_hand):
    got = total({"distance": distance, "temperature": 2, "alpha": 0})[0]
    torch.testing.assert_close(got, torch.tensor(4 * by_hand))


def test_mse_is_of_the_logits_as_they_are():
    got = total({"distance": "mse", "alpha": 0.25})
    # (ln 9)^2 / 2 and (1^2 + 1.5^2) / 2
    squares = torch.tensor([math.log(9) ** 2 / 2, 1.625])
    torch.testing.assert_close(got, 0.25 * hard_labels(LOGITS, BATCH.labels) + 0.75 * squares)
    torch.testing.assert_close(logit_mse(LOGITS, TEACHER), squares)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_standardised_logits_by_hand(temperature):
    # (1, 2, 6) has deviation sqrt 7, (0, 6, 6) sqrt 12: the scale of neither network is left.
    student, teacher = torch.tensor([[1.0, 2, 6]]), torch.tensor([[0.0, 6, 6]])
    ours = torch.tensor([[-2.0, -1, 3]]) / 7**0.5
    theirs = torch.tensor([[-4.0, 2, 2]]) / 12**0.5
    settings = {"standardise": True, "temperature": temperature}
    strategy = catalog.strategy(Component(name="kd", **settings), probe(3, 3))
    got = strategy.terms(Seen(BATCH, Outputs(100 * student), Outputs(teacher - 50)))["soft"]
    expected = temperature**2 * kl_divergence(ours / temperature, theirs / temperature)
    torch.testing.assert_close(got, expected)


def test_a_network_without_opinions_is_standardised_to_finite_terms():
    strategy = catalog.strategy(Component(name="kd", standardise=True), probe(3, 3))
    student = torch.zeros(2, 3, requires_grad=True)
    soft = strategy.terms(Seen(BATCH, Outputs(student), Outputs(torch.randn(2, 3))))["soft"]
    soft.sum().backward()
    assert soft.isfinite().all()
    assert torch.equal(student.grad, torch.zeros(2, 3))


def test_two_classes_cannot_be_standardised():
    with pytest.raises(SpecError) as caught:
        catalog.strategy(Component(name="kd", standardise=True), probe())
    assert caught.value.problems == (
        "standardise: two standardised logits are +0.707 and -0.707 whatever they were, and teach "
        "nothing but which is greater: needs 3 classes or more; leave it out",
    )


def test_dense_logits_are_distilled_at_every_position():
    student, teacher = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    batch = Batch(BATCH.inputs, torch.randint(3, (2, 4, 4)), BATCH.ids)
    dense = Probe(Outputs(student), Outputs(teacher), (), (), 3)
    objective = Objective(Component(name="kd", standardise=True), dense)
    got, terms = objective(Seen(batch, Outputs(student), Outputs(teacher)))
    assert got.shape == (2,)
    torch.testing.assert_close(terms["hard"], hard_labels(student, batch.labels))


def test_a_teacher_of_other_classes_is_refused():
    with pytest.raises(SpecError, match="the student has 2 classes and the teacher 100: "):
        catalog.strategy(Component(name="kd"), probe(teacher_classes=100))


def test_a_trial_without_a_teacher_is_refused():
    with pytest.raises(SpecError, match=r"needs a teacher: give the trial one \(teacher: \.\.\.\)"):
        catalog.strategy(Component(name="kd"), probe(teacher=False))


def test_a_batch_without_the_teachers_outputs_is_refused():
    strategy = catalog.strategy(Component(name="kd"), probe())
    with pytest.raises(TrialError, match="the batch came without"):
        strategy.terms(Seen(BATCH, Outputs(LOGITS)))


def test_no_distillation_needs_no_teacher_and_has_no_terms():
    objective = Objective(Component(name="none"), probe(teacher=False))
    got, terms = objective(Seen(BATCH, Outputs(LOGITS)))
    assert torch.equal(got, hard_labels(LOGITS, BATCH.labels))
    assert list(terms) == ["hard"]
    assert not objective.needs.teacher
    assert not list(objective.parameters())
