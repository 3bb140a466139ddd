"""Data-free distillation: its terms, whose turn it is, and when it gives up."""

import math

import pytest
import torch
from torch import nn

from kdsweep import catalog
from kdsweep.batch import UNLABELLED, Batch, Outputs, Tokens
from kdsweep.errors import SpecError, TrialError
from kdsweep.losses.logits import kl_divergence, soft_targets
from kdsweep.losses.synthetic import (
    activation,
    class_balance,
    disagreement,
    norm_statistics,
    one_hot,
)
from kdsweep.spec import Component
from kdsweep.strategies.base import EpochEnd, Layers, Needs, Probe, Seen, Weight

NORMS = {
    "a:input": (torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])),
    "b:input": (torch.tensor([5.0]), torch.tensor([6.0])),
}
EMBEDDING = "last:input"


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


TEACHER = Outputs(
    drawn(4, 3, seed=1),
    {EMBEDDING: drawn(4, 5), "a:input": drawn(4, 2, 3, 3), "b:input": drawn(4, 1, 2, 2)},
)
STUDENT = Outputs(drawn(4, 3, seed=2))


def probe(**changes):
    given = {
        "student": STUDENT,
        "teacher": TEACHER,
        "student_stages": (),
        "teacher_stages": (),
        "num_classes": 3,
        "shape": (1, 8, 8),
        "teacher_embedding": EMBEDDING,
        "teacher_norms": NORMS,
    }
    return Probe(**{**given, **changes})


def data_free(settings=None, **changes):
    torch.manual_seed(0)
    component = Component(name="data_free", noise=4, width=2, **(settings or {}))
    return catalog.strategy(component, probe(**changes))


def seen(images=None, student=STUDENT, teacher=TEACHER, progress=0.0):
    images = torch.zeros(4, 1, 8, 8) if images is None else images
    batch = Batch({"images": images}, torch.full((4,), UNLABELLED), torch.arange(4))
    return Seen(batch, student, teacher, progress=progress)


def test_terms_are_the_losses_of_what_the_teacher_gives():
    got = data_free({"temperature": 2.5}).terms(seen())
    expected = {
        "soft": soft_targets(STUDENT.logits, TEACHER.logits, 2.5),
        "one_hot": one_hot(TEACHER.logits),
        "balance": class_balance(TEACHER.logits),
        "activation": activation(TEACHER.features[EMBEDDING]),
        "statistics": norm_statistics(TEACHER.features["a:input"], *NORMS["a:input"])
        + norm_statistics(TEACHER.features["b:input"], *NORMS["b:input"]),
        "adversarial": -disagreement(STUDENT.logits, TEACHER.logits),
    }
    assert list(got) == list(expected)
    for name, term in expected.items():
        torch.testing.assert_close(got[name], term)


def test_the_student_may_disagree_by_divergence():
    got = data_free({"disagreement": "kl"}).terms(seen())["adversarial"]
    torch.testing.assert_close(got, -kl_divergence(STUDENT.logits, TEACHER.logits))


def test_weights_are_raw_and_labels_have_none():
    made = data_free({"w_one_hot": 0.5, "w_balance": 7, "w_statistics": 2, "w_adversarial": 0.25})
    assert made.weights() == {
        "hard": Weight(0.0),
        "soft": Weight(1.0),
        "one_hot": Weight(0.5),
        "balance": Weight(7.0),
        "activation": Weight(0.1),
        "statistics": Weight(2.0),
        "adversarial": Weight(0.25),
    }
    assert made.needs == Needs(teacher=True, features=True, stored=False, data=False)
    assert made.layers == Layers(teacher=(EMBEDDING, "a:input", "b:input"))


@pytest.mark.parametrize(
    ("settings", "changes"),
    [
        ({}, {"teacher_norms": {}, "teacher_embedding": None}),
        ({"w_activation": 0, "w_statistics": 0}, {}),
    ],
)
def test_losses_that_have_no_layer_or_no_weight_are_left_out(settings, changes):
    made = data_free({"w_adversarial": 0, **settings}, **changes)
    assert set(made.weights()) - {"hard"} == {"soft", "one_hot", "balance"}
    assert set(made.terms(seen())) == {"soft", "one_hot", "balance"}
    assert made.layers == Layers()


@pytest.mark.parametrize(
    ("settings", "changes", "problems"),
    [
        (
            {"w_activation": 0.1, "w_statistics": 1},
            {"teacher_norms": {}, "teacher_embedding": None},
            (
                "w_activation: 0.1 is not allowed: the teacher's logits do not come of a linear "
                "layer, so that it has no embedding; leave it out",
                "w_statistics: 1.0 is not allowed: the teacher has no batch norms; leave it out, "
                "or use a teacher with batch norms",
            ),
        ),
        (
            {},
            {"shape": Tokens(16, 100)},
            (
                "data_free makes images, and the student reads texts of 16 tokens out of 100: "
                "use another strategy",
            ),
        ),
        (
            {},
            {"teacher_shape": Tokens(16, 100)},
            (
                "data_free makes images, and the teacher reads texts of 16 tokens out of 100: "
                "use another teacher",
            ),
        ),
        (
            {},
            {"teacher": Outputs(torch.zeros(4, 7))},
            (
                "the student has 3 classes and the teacher 7: logits can only be compared over "
                "the same classes; use a teacher trained on this data set",
            ),
        ),
        (
            {},
            {"teacher": None},
            ("needs a teacher: give the trial one (teacher: ...), or use strategy none",),
        ),
    ],
)
def test_networks_refused(settings, changes, problems):
    with pytest.raises(SpecError) as caught:
        data_free(settings, **changes)
    assert caught.value.problems == problems


def test_made_images_have_no_labels():
    batch = data_free().made(6)
    assert batch.images.shape == (6, 1, 8, 8)
    assert batch.labels.tolist() == [UNLABELLED] * 6
    assert batch.ids.tolist() == list(range(6))


def turns(strategy, num):
    return "".join("g" if strategy.made(2).images.requires_grad else "s" for _ in range(num))


@pytest.mark.parametrize(("steps", "expected"), [(1, "sgsgsg"), (3, "sssgsssg")])
def test_the_student_learns_so_often_for_each_step_of_the_generator(steps, expected):
    assert turns(data_free({"student_steps": steps}), len(expected)) == expected


def test_turns_go_on_after_a_checkpoint():
    saved, loaded = data_free({"student_steps": 2}), data_free({"student_steps": 2})
    assert turns(saved, 2) == "ss"
    loaded.load_state_dict(saved.state_dict())
    assert turns(loaded, 4) == "gssg"


def test_calibration_takes_no_turn():
    made = data_free()
    with torch.no_grad():
        assert turns(made, 3) == "sss"
    assert turns(made, 2) == "sg"


def network(seed, out=3):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 6), nn.Tanh(), nn.Linear(6, out))


@pytest.mark.parametrize("kind", ["logits", "kl"])
def test_disagreement_reaches_the_images_as_it_would_and_no_weight_of_the_student(kind):
    made = data_free({"disagreement": kind, "w_activation": 0, "w_statistics": 0})
    student, teacher = network(1), network(2).requires_grad_(False)
    images = drawn(4, 1, 8, 8).requires_grad_()
    ours, theirs = student(images), teacher(images)
    term = made.terms(seen(images, Outputs(ours), Outputs(theirs)))["adversarial"]
    (got,) = torch.autograd.grad(term.sum(), images, retain_graph=True)
    direct = {"logits": disagreement, "kl": kl_divergence}[kind](ours, theirs)
    torch.testing.assert_close(term, -direct)
    (expected,) = torch.autograd.grad(-direct.sum(), images, retain_graph=True)
    torch.testing.assert_close(got, expected)
    assert got.abs().sum() > 0
    weights = torch.autograd.grad(term.sum(), list(student.parameters()), allow_unused=True)
    assert weights == (None,) * 4


def test_what_each_network_learns_from_reaches_no_other():
    made = data_free({"w_activation": 0, "w_statistics": 0})
    student, teacher = network(1), network(2).requires_grad_(False)
    for turn in ("student", "generator"):
        images = made.made(4).images
        assert images.requires_grad == (turn == "generator")
        terms = made.terms(seen(images, Outputs(student(images)), Outputs(teacher(images))))
        learning = {name for name, term in terms.items() if term.requires_grad}
        assert learning == (
            {"soft"} if turn == "student" else {"one_hot", "balance", "adversarial"}
        )
        sum(term.sum() for term in terms.values()).backward()
        for network_, whose in ((student, "student"), (made.generator, "generator")):
            found = [parameter.grad is not None for parameter in network_.parameters()]
            assert found == [turn == whose] * len(found)
        student.zero_grad()
        made.generator.zero_grad()


def test_the_generator_is_all_that_it_learns():
    made = data_free({"lr": 0.02})
    (learner,) = made.learners()
    assert learner.module is made.generator
    assert learner.lr == 0.02
    own = {id(parameter) for parameter in made.generator.parameters()}
    assert {id(parameter) for parameter in made.parameters()} == own


def test_the_statistics_are_no_part_of_the_checkpoint_but_follow_to_the_device():
    made = data_free()
    assert not [name for name in made.state_dict() if name.startswith(("mean", "variance"))]
    moved = made.to(torch.float64)
    mean, variance = moved.mean_0, moved.variance_0
    assert mean.dtype == variance.dtype == torch.float64
    assert mean.tolist() == [1.0, 2.0]
    assert variance.tolist() == [3.0, 4.0]


def means(even, certainty):
    """Of an epoch in which ten classes come as if there were ``even`` of them."""
    return {"balance": math.log(10 / even), "one_hot": -math.log(certainty)}


def ended(means=None, *, accuracy=0.9, **changes):
    """Epoch 7 of 9: of 400 images in ten classes, as many each, the student knows nearly all."""
    given = {"epoch": 7, "is_last": False, "chance": 0.1, "num_validated": 400}
    return EpochEnd(means=means or {}, accuracy=accuracy, **{**given, **changes})


def judged(settings=None, progress=0.9, num=50):
    """A strategy for ten classes after a step with a batch of ``num``."""
    ours, theirs = Outputs(torch.zeros(4, 10)), Outputs(torch.zeros(4, 10), TEACHER.features)
    made = data_free(settings, student=ours, teacher=theirs, num_classes=10)
    made.made(num)
    made.terms(seen(None, ours, theirs, progress))
    return made


def test_a_generator_that_shows_one_class_ends_the_training():
    with pytest.raises(TrialError) as caught:
        judged().check(ended(means(even=1.5, certainty=0.9)))
    assert caught.value.problems == (
        "epoch 7: the generator has collapsed: its images show the teacher 1.4 of 10 classes, and "
        "the least is 3.7 (classes by how evenly they come: 1.5, the teacher's certainty 0.90); a "
        "larger w_balance or w_one_hot, a smaller w_adversarial or lr may help, or a smaller "
        "least_variety if all is as it should be",
    )


def test_a_generator_whose_images_the_teacher_knows_nothing_of_ends_it_too():
    """Every image looks like every class: as even as can be."""
    with pytest.raises(TrialError, match=r"show the teacher 1\.0 of 10 classes"):
        judged().check(ended(means(even=10, certainty=0.1)))


@pytest.mark.parametrize(
    ("settings", "progress", "even"),
    [
        ({}, 0.9, 5),  # as it should be
        ({}, 0.19, 1),  # it has just begun
        ({"grace": 1.0}, 0.999, 1),
        ({"least_variety": 0.0}, 0.9, 1),
        ({"least_variety": 0.4}, 0.9, 5),  # 1 + 0.4 * 9 = 4.6
    ],
)
def test_a_training_goes_on(settings, progress, even):
    judged(settings, progress).check(ended(means(even=even, certainty=0.999)))


def test_a_batch_shows_no_more_classes_than_it_has_images():
    # Of 10 classes 3 images can show 3: at least 1 + 0.3 * 2 = 1.6.
    judged(num=3).check(ended(means(even=1.7, certainty=1.0)))
    with pytest.raises(TrialError, match=r"the least is 1\.6"):
        judged(num=3).check(ended(means(even=1.5, certainty=1.0)))


def test_one_image_shows_one_class():
    judged(num=1).check(ended(means(even=1.0, certainty=1.0)))


def at_end(accuracy, settings=None, **changes):
    healthy = means(even=9, certainty=0.95)
    judged(settings).check(ended(healthy, accuracy=accuracy, is_last=True, **changes))


def test_a_student_at_chance_ends_the_training_though_the_generator_is_healthy():
    # One standard error of 400 images at one in ten: sqrt(0.1 * 0.9 / 400) = 0.015.
    with pytest.raises(TrialError) as caught:
        at_end(accuracy=0.1275)
    assert caught.value.problems == (
        "epoch 7: the student is at chance: 12.8% of 400 validation images are right; the most "
        "frequent class alone is 10.0% of them, and above 13.0% (2 standard errors more) is what "
        "luck does not explain; more epochs or batches_per_epoch, another train.lr or temperature "
        "may help; if the losses of the generator look healthy, see whether data.mean, data.std "
        "and the order of the classes are those that the teacher was trained with; above_chance: "
        "null never objects",
    )


def test_a_student_above_chance_passes():
    at_end(accuracy=0.1325)
    at_end(accuracy=0.1275, settings={"above_chance": 1})
    at_end(accuracy=0.0, settings={"above_chance": None})
    at_end(accuracy=1.0, num_validated=4, chance=0.5)  # 0.5 + 2 * 0.25: all right might be luck


def test_as_many_standard_errors_as_asked_for():
    with pytest.raises(TrialError, match=r"above 14\.5% \(3 standard errors more\)"):
        at_end(accuracy=0.1325, settings={"above_chance": 3})
    with pytest.raises(TrialError, match=r"above 10\.0% \(0 standard errors more\)"):
        at_end(accuracy=0.1, settings={"above_chance": 0})


def test_chance_is_the_share_of_the_most_frequent_class():
    # 0.8 + 2 * 0.02 = 0.84: so much is no feat where four in five are of one class.
    with pytest.raises(TrialError, match=r"above 84\.0%"):
        at_end(accuracy=0.83, chance=0.8)


def test_before_the_last_epoch_a_student_may_be_at_chance():
    judged().check(ended(means(even=9, certainty=0.95), accuracy=0.1))


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (
            {"disagreement": "l2"},
            "strategy.disagreement: 'l2' is not allowed (allowed: 'logits' or 'kl')",
        ),
        ({"above_chance": -1}, "strategy.above_chance: -1 is not allowed"),
        ({"student_steps": 0}, "strategy.student_steps: 0 is not allowed"),
        ({"least_variety": 1}, "strategy.least_variety: 1 is not allowed"),
        ({"generator": 3}, "strategy.generator: unknown key 'generator'"),
    ],
)
def test_settings_refused(settings, problem):
    with pytest.raises(SpecError) as caught:
        catalog.params("strategy", Component(name="data_free", **settings), at="strategy")
    assert caught.value.problems[0].startswith(problem)
