"""Several teachers: which, how they are combined, that one is plain kd, and what is refused."""

import math

import pytest
import torch

from kdsweep import catalog
from kdsweep.batch import UNLABELLED, Batch, Outputs
from kdsweep.errors import SpecError, TrialError
from kdsweep.losses.logits import hard_labels, kl_divergence
from kdsweep.spec import Component
from kdsweep.strategies.base import Probe, Seen
from kdsweep.train.objective import Objective

COMBINE = ["mean", "entropy", "confidence"]
every_way = pytest.mark.parametrize("combine", COMBINE)


def logits(*shape, seed=0):
    return 3 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


LABELS = torch.tensor([0, 2, 1, 1])
BATCH = Batch({"images": torch.zeros(4, 1, 1, 1)}, LABELS, torch.arange(4))
STUDENT = logits(4, 3)
TEACHERS = {name: Outputs(logits(4, 3, seed=i)) for i, name in enumerate(("teacher", "a", "b"), 1)}


def probe(*names, classes=3):
    outputs = {name: Outputs(torch.zeros(2, classes)) for name in names}
    main = Outputs(torch.zeros(2, 3))
    return Probe(Outputs(torch.zeros(2, 3)), main, (), (), 3, teachers={"teacher": main, **outputs})


def seen(labels=LABELS, teachers=TEACHERS, progress=0.0):
    batch = Batch(BATCH.inputs, labels, BATCH.ids)
    return Seen(batch, Outputs(STUDENT), teachers["teacher"], teachers, progress)


def objective(name="multi_teacher", **settings):
    return Objective(Component(name=name, **settings), probe("a", "b"))


def softened(name, temperature):
    return (TEACHERS[name].logits / temperature).softmax(1)


def params(**settings):
    return catalog.params("strategy", Component(name="multi_teacher", **settings), at="strategy")


@every_way
@pytest.mark.parametrize("progress", [0.0, 0.6])
def test_one_teacher_is_exactly_kd(combine, progress):
    settings = {
        "temperature": 5, "temperature_end": 2, "temperature_schedule": "linear",
        "alpha": 0.3, "alpha_end": 0.5, "alpha_schedule": "cosine",
    }  # fmt: skip
    several = objective(teachers=["teacher"], combine=combine, **settings)
    plain = objective("kd", **settings)
    ours, theirs = (made(seen(progress=progress))[0] for made in (several, plain))
    assert torch.equal(ours, theirs)


def test_another_teacher_alone_takes_the_place_of_the_main_one():
    ours = objective(teachers=["b"])(seen())[0]
    theirs = objective("kd")(seen(teachers={"teacher": TEACHERS["b"]}))[0]
    assert torch.equal(ours, theirs)


def test_the_mean_is_of_softened_probabilities():
    got = objective(temperature=4, alpha=0.25)(seen())[0]
    mean = sum(softened(name, 4) for name in TEACHERS) / 3
    soft = 16 * kl_divergence(STUDENT / 4, mean.log())
    torch.testing.assert_close(got, 0.25 * hard_labels(STUDENT, LABELS) + 0.75 * soft)


def test_confident_teachers_by_the_formula():
    got = objective(temperature=4, combine="confidence")(seen())[1]["soft"]
    losses = torch.stack([hard_labels(each.logits, LABELS) for each in TEACHERS.values()])
    weights = (1 - losses.softmax(0)) / 2
    mean = sum(w.unsqueeze(1) * softened(n, 4) for w, n in zip(weights, TEACHERS, strict=True))
    torch.testing.assert_close(got, 16 * kl_divergence(STUDENT / 4, mean.log()))


def test_sure_teachers_by_the_formula():
    got = objective(temperature=4, combine="entropy")(seen())[1]["soft"]
    entropies = torch.stack(
        [
            torch.distributions.Categorical(logits=each.logits).entropy()
            for each in TEACHERS.values()
        ]
    )
    weights = (1 - entropies / entropies.sum(0)) / 2
    mean = sum(w.unsqueeze(1) * softened(n, 4) for w, n in zip(weights, TEACHERS, strict=True))
    torch.testing.assert_close(got, 16 * kl_divergence(STUDENT / 4, mean.log()))


def test_without_labels_confident_teachers_are_averaged():
    labels = torch.full_like(LABELS, UNLABELLED)
    got = objective(combine="confidence")(seen(labels))[1]["soft"]
    torch.testing.assert_close(got, objective(combine="mean")(seen())[1]["soft"])


def test_the_order_of_the_teachers_does_not_matter():
    there, back = (
        objective(teachers=names, combine="confidence")(seen())[0]
        for names in (["a", "teacher", "b"], ["b", "a", "teacher"])
    )
    torch.testing.assert_close(there, back)


@every_way
def test_certain_teachers_are_finite_in_half_precision(combine):
    half = {n: Outputs((100 * each.logits).bfloat16()) for n, each in TEACHERS.items()}
    total = objective(combine=combine, temperature=1)(seen(teachers=half))[0]
    assert total.dtype == torch.float32
    assert total.isfinite().all()


@pytest.mark.parametrize(
    ("given", "chosen"),
    [("all", ("a", "b")), (["teacher"], ()), (["b", "teacher"], ("b",)), (["a"], ("a",))],
)
def test_which_teachers_are_read_besides_the_main_one(given, chosen):
    cls = catalog.find("strategy", "multi_teacher")
    assert cls.chosen(params(teachers=given), ("a", "b")) == chosen


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "strategy.teachers: []: names no teacher: name at least one, or all"),
        (
            ["a", "b", "a"],
            "strategy.teachers: ['a', 'b', 'a']: names 'a' twice: a teacher is given once",
        ),
        (
            "a",
            "strategy.teachers: 'a': must be all, or a list of teachers' names, as "
            "[teacher, large]",
        ),
        (
            [3],
            "strategy.teachers: [3]: must be all, or a list of teachers' names, as "
            "[teacher, large]",
        ),
    ],
)
def test_teachers_that_are_no_choice_are_refused_in_one_sentence(given, message):
    with pytest.raises(SpecError) as caught:
        params(teachers=given)
    assert caught.value.problems == (message,)


def test_unknown_teachers_are_refused_before_and_after_the_networks_are_there():
    cls = catalog.find("strategy", "multi_teacher")
    given = {"teachers": ["large", "teacher", "smal"]}
    with pytest.raises(SpecError) as early:
        cls.chosen(params(**given), ("small", "big"))
    with pytest.raises(SpecError) as late:
        catalog.strategy(Component(name="multi_teacher", **given), probe("small", "big"))
    assert early.value.problems == late.value.problems == (
        "teachers.0: no teacher named 'large' (have: big, small, teacher)",
        "teachers.2: no teacher named 'smal'; did you mean 'small'? (have: big, small, teacher)",
    )  # fmt: skip


def test_a_teacher_of_other_classes_is_refused_by_name():
    with pytest.raises(SpecError, match="the student has 3 classes and the teacher 'a' 7: "):
        catalog.strategy(Component(name="multi_teacher"), probe("a", classes=7))


def test_a_batch_without_a_teacher_is_refused():
    made = catalog.strategy(Component(name="multi_teacher"), probe("a"))
    alone = seen(teachers={"teacher": TEACHERS["teacher"]})
    with pytest.raises(TrialError, match="needs the teacher 'a', and the batch came without"):
        made.terms(alone)


def test_defaults_are_those_of_kd():
    ours, theirs = params(), catalog.params("strategy", Component(name="kd"))
    assert (ours.temperature, ours.alpha) == (theirs.temperature, theirs.alpha) == (4, 0.1)
    assert math.isclose(ours.weights()["soft"].value, 0.9)
