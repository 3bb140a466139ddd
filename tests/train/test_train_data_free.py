"""Data-free trainings in the real loop: which data are read, what moves, how a collapse ends."""

import copy
from dataclasses import replace

import pytest
import torch
from tiny_trials import CPU, STUDENT, all_of, curve, go_on, same_state, spec, splits_of, state
from torch import nn
from torch.nn import functional as F

from kdsweep import catalog
from kdsweep.errors import SpecError, TrialError
from kdsweep.probing import blank_batch
from kdsweep.spec import Component
from kdsweep.train.loop import Verdict, train
from kdsweep.train.objective import Objective
from kdsweep.train.optimize import Optimizers
from kdsweep.train.probe import probe
from kdsweep.train.ranks import ALONE
from kdsweep.train.step import Step
from kdsweep.train.teacher import Source, Teacher

OF_TEACHER = {"name": "cnn", "width": 12, "stages": 2, "hidden": 32, "batch_norm": True}
QUICK = {"name": "data_free", "batches_per_epoch": 6, "width": 4}
"""So few steps that a collapse must be let pass: the generator has hardly moved."""
UNJUDGED = {**QUICK, "grace": 1.0, "above_chance": None}


def trial(strategy=UNJUDGED, **changes):
    """All digits, with a teacher by name: it is handed over, trained, beside the trial."""
    return spec(
        strategy,
        data={"limit": None},
        teacher={"model": OF_TEACHER},
        train={"batch_size": 64, **changes.pop("train", {})},
        **changes,
    )


@pytest.fixture(scope="module")
def knowing():
    """A teacher that has learned the digits."""
    settings = trial("none", student=OF_TEACHER, train={"epochs": 4})
    made = train(settings, go_on, splits=splits_of(settings), device=CPU)
    assert made.epochs[-1].accuracy > 0.9
    made.student.zero_grad()
    return Teacher(made.student, digest="knowing", accuracy=made.epochs[-1].accuracy)


class Closed:
    """Training data that nobody may look at, not even at how many there are."""

    def __getattr__(self, name):
        raise AssertionError(f"the training data were opened: {name}")


def without_data(settings):
    return replace(splits_of(settings), train=Closed())


def trained(settings, teacher):
    return train(settings, go_on, splits=without_data(settings), device=CPU, teacher=teacher)


def test_a_student_learns_the_digits_without_opening_the_training_data(knowing):
    strategy = {"name": "data_free", "batches_per_epoch": 80, "width": 16, "student_steps": 2}
    settings = trial(
        strategy, student={**STUDENT, "width": 6, "hidden": 32}, train={"epochs": 4, "lr": 0.01}
    )
    made = trained(settings, knowing)
    # It saw no digit and no label. One in ten would be chance.
    assert made.epochs[-1].accuracy > 0.5
    assert made.epochs[-1].train["hard"] == 0
    assert set(made.raw_weights) == {
        "hard", "soft", "one_hot", "balance", "activation", "statistics", "adversarial",
    }  # fmt: skip


def test_training_with_data_does_open_them(knowing):
    """Else the test above would show nothing."""
    with pytest.raises(AssertionError, match="the training data were opened"):
        trained(trial("kd"), knowing)


def test_the_teacher_is_left_as_it_was(knowing):
    before = state(knowing.network)
    trained(trial(), knowing)
    assert same_state(before, state(knowing.network))
    assert not knowing.network.training
    assert all(parameter.grad is None for parameter in knowing.network.parameters())


def test_the_same_trial_gives_the_same_numbers(knowing):
    runs = [trained(trial(), knowing) for _ in range(2)]
    assert curve(runs[0].epochs) == curve(runs[1].epochs)
    assert same_state(*(state(run.student) for run in runs))


def step_of(settings, teacher):
    """Student and objective as the loop makes them, and their optimizers."""
    torch.manual_seed(0)
    info = splits_of(settings).info
    student, sources = catalog.model_for(settings.student, info), {"teacher": Source(teacher, None)}
    shown = probe(settings, student, sources, blank_batch(info, CPU), info, num_samples=0)
    made = Step(student, Objective(settings.strategy, shown), sources, ALONE).train()
    learners = [(each.module, each.lr) for each in made.objective.learners()]
    return made, Optimizers(settings.train, made, learners, num_steps=100)


def test_one_network_moves_at_a_time(knowing):
    settings = trial({**UNJUDGED, "student_steps": 2})
    step, optimizers = step_of(settings, knowing)
    student, generator = step.student, step.objective.main.generator
    moved = []
    for i in range(6):
        before = state(student), state(generator)
        optimizers.step(step(32, i / 6)[0].mean())
        moved.append(
            (not same_state(before[0], state(student)), not same_state(before[1], state(generator)))
        )
    students, generators = (True, False), (False, True)
    assert moved == [students, students, generators, students, students, generators]
    assert all(p.grad is None for p in knowing.network.parameters())


def test_the_generators_step_follows_the_whole_of_its_losses(knowing):
    """Against the gradient of the weighted sum, worked through both networks at once."""
    settings = trial({**UNJUDGED, "w_adversarial": 0.7})
    step, _ = step_of(settings, knowing)
    main, student = step.objective.main, step.student
    step(8, 0.0)
    torch.manual_seed(5)
    seen = step.seen(8)
    assert seen.batch.images.requires_grad
    weights, raw = list(main.generator.parameters()), step.objective.raw_weights()
    terms = dict(main.terms(seen))
    got = torch.autograd.grad(
        sum(raw[name] * terms[name].mean() for name in terms), weights, retain_graph=True
    )
    apart = F.l1_loss(seen.student.logits, seen.teacher.logits)
    of_teacher = ("one_hot", "balance", "activation", "statistics")
    whole = sum(raw[name] * terms[name].mean() for name in of_teacher) - 0.7 * apart
    for ours, theirs in zip(got, torch.autograd.grad(whole, weights), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)
    assert all(parameter.grad is None for parameter in student.parameters())


def test_a_collapse_ends_the_trial(knowing):
    """Nothing but certainty asked for: one class that the teacher is sure of is enough."""
    strategy = {
        "name": "data_free", "batches_per_epoch": 30, "width": 8, "grace": 0.0,
        "w_one_hot": 10, "w_balance": 0, "w_activation": 0, "w_statistics": 0, "w_adversarial": 0,
        "lr": 0.02,
    }  # fmt: skip
    with pytest.raises(
        TrialError, match=r"epoch \d+: the generator has collapsed: its images show"
    ):
        trained(trial(strategy, train={"epochs": 6}), knowing)


def blind(network):
    """A teacher's twin, sure of itself, that calls everything by the name of the next class."""
    twin = copy.deepcopy(network)
    last = [module for module in twin.modules() if isinstance(module, nn.Linear)][-1]
    for parameter in (last.weight, last.bias):
        parameter.data = parameter.data.roll(1, dims=0)
    return Teacher(twin, digest="blind", accuracy=0.0)


def test_a_student_that_ends_at_chance_ends_the_trial(knowing):
    """Every loss falls and the images show all classes: only the names are those of others."""
    heard = []
    strategy = {"name": "data_free", "batches_per_epoch": 60, "width": 16}
    settings = trial(strategy, student={**STUDENT, "width": 6}, train={"epochs": 2, "lr": 0.01})
    splits, twin = without_data(settings), blind(knowing.network)

    def report(epoch):
        heard.append(epoch.epoch)
        return Verdict.CONTINUE

    num = splits.validation.num_samples
    with pytest.raises(TrialError, match=f"epoch 2: the student is at chance: .* {num} validation"):
        train(settings, report, splits=splits, device=CPU, teacher=twin)
    assert heard == [1]


@pytest.mark.parametrize(
    ("extra", "settings"), [("fitnet", {"raw_weight": 1.0}), ("online", {"peers": 1})]
)
def test_extras_learn_with_the_student_and_rest_while_the_generator_learns(
    knowing, extra, settings
):
    step, optimizers = step_of(trial({**UNJUDGED, "extra": {extra: settings}}), knowing)
    alone, _ = step_of(trial(), knowing)
    own = {
        "student": step.student,
        "extra": step.objective.strategies[1],
        "generator": step.objective.main.generator,
    }
    for learning in ({"student", "extra"}, {"generator"}):
        before = {name: weights(module) for name, module in own.items()}
        optimizers.step(step(32, 0.0)[0].mean())
        still = {name for name in own if same_state(before[name], weights(own[name]))}
        assert set(own) - still == learning
    assert set(step.objective.raw_weights()) > set(alone.objective.raw_weights())


def weights(module):
    return {name: parameter.detach().clone() for name, parameter in module.named_parameters()}


def test_it_makes_the_batches_and_so_cannot_be_an_extra():
    with pytest.raises(SpecError, match=r"extra\.data_free: .*only the main strategy can"):
        catalog.extras(Component(name="kd", extra={"data_free": {}}))


def test_normalised_images_are_what_the_teacher_was_trained_on():
    """The generator's normalisation is the data's own: mean 0 and deviation 1 of all pixels."""
    images, _ = all_of(splits_of(trial()).train)
    torch.testing.assert_close(images.mean(), torch.tensor(0.0), atol=1e-3, rtol=0)
    torch.testing.assert_close(images.std(), torch.tensor(1.0), atol=1e-2, rtol=0)
