"""What the training loop computes, against numbers worked by hand on the same student."""

import copy

import pytest
import torch
from tiny_trials import (
    OF_TEACHER,
    STILL,
    VIEWS,
    all_of,
    counting,
    curve,
    spec,
    splits_of,
    teacher,
    trained,
)
from torch import Tensor, nn
from torch.nn import functional as F

from kdsweep.batch import Batch
from kdsweep.spec import TrialSpec
from kdsweep.train.loop import Trained
from kdsweep.train.teacher import Teacher

ONE_STEP = {
    "epochs": 1,
    "batch_size": 1000,
    "lr": 0.5,
    "optimizer": {"name": "sgd", "momentum": 0.0, "weight_decay": 0.0},
    "schedule": "constant",
}


def drawn(trial: TrialSpec, **others: object) -> nn.Module:
    """The trial's student before its first step."""
    return trained(
        trial.model_copy(update={"train": spec(train=STILL).train}), **others
    ).student.train()


def flat_change(done: Trained, start: nn.Module) -> Tensor:
    pairs = zip(done.student.parameters(), start.parameters(), strict=True)
    return torch.cat([(now - then).detach().flatten() for now, then in pairs])


def flat_gradient(student: nn.Module, loss: Tensor) -> Tensor:
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, student.parameters())])


def test_terms_are_unweighted_means_over_all_samples_of_the_epoch():
    # Batches of 40, 40 and 16: a mean of the batches' means would be another number.
    trial, master = spec({"name": "kd", "temperature": 3.0, "alpha": 0.25}, train=STILL), teacher()
    done = trained(trial, teacher=master)
    images, labels = all_of(splits_of(trial).train)
    ours, theirs = done.student(images).detach(), master.network(images)
    hard = (ours.exp().sum(1).log() - ours[torch.arange(96), labels]).mean()
    p = (theirs / 3).exp() / (theirs / 3).exp().sum(1, keepdim=True)
    q = (ours / 3).exp() / (ours / 3).exp().sum(1, keepdim=True)
    soft = 9 * (p * (p / q).log()).sum(1).mean()
    for epoch in done.epochs:
        found = epoch.train
        assert found["hard"] == pytest.approx(hard.item(), rel=1e-5)
        assert found["soft"] == pytest.approx(soft.item(), rel=1e-4)
        assert found["total"] == pytest.approx(0.25 * found["hard"] + 0.75 * found["soft"])
    assert done.raw_weights == {"hard": 0.25, "soft": 0.75}


def test_validation_is_of_the_validation_split_with_plain_labels():
    trial = spec(train={**STILL, "label_smoothing": 0.4}, data={"augment": VIEWS})
    (first, _), student = (done := trained(trial)).epochs, done.student
    images, labels = all_of(splits_of(trial).validation)
    logits = student(images)
    assert first.loss == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-5)
    assert first.accuracy == (logits.argmax(1) == labels).double().mean().item()


def test_label_smoothing_is_trained_with():
    trial = spec(train={**ONE_STEP, "label_smoothing": 0.3})
    start, done = drawn(trial), trained(trial)
    images, labels = all_of(splits_of(trial).train)
    loss = F.cross_entropy(start(images), labels, label_smoothing=0.3)
    assert done.epochs[0].train["hard"] == pytest.approx(loss.item(), rel=1e-5)
    torch.testing.assert_close(
        flat_change(done, start), -0.5 * flat_gradient(start, loss), rtol=1e-3, atol=1e-6
    )


def test_a_batch_larger_than_the_data_is_one_step_on_their_mean():
    trial = spec({"name": "kd", "alpha": 0.2}, train=ONE_STEP)
    master, start = teacher(), drawn(trial, teacher=teacher())
    images, labels = all_of(splits_of(trial).train)
    ours, theirs = start(images), master.network(images)
    log_p, log_q = (logits.div(4).log_softmax(1) for logits in (theirs, ours))
    soft = 16 * (log_p.exp() * (log_p - log_q)).sum(1).mean()
    loss = 0.2 * F.cross_entropy(ours, labels) + 0.8 * soft
    change = flat_change(trained(trial, teacher=master), start)
    torch.testing.assert_close(change, -0.5 * flat_gradient(start, loss), rtol=1e-3, atol=1e-6)


def test_a_clipped_gradient_keeps_its_direction_and_has_the_norm_asked_for():
    start = drawn(spec())
    whole = flat_change(trained(spec(train=ONE_STEP)), start)
    cut = flat_change(trained(spec(train={**ONE_STEP, "clip_norm": 0.01})), start)
    assert whole.norm() > 2 * 0.5 * 0.01
    assert cut.norm().item() == pytest.approx(0.5 * 0.01, rel=1e-2)
    assert F.cosine_similarity(cut, whole, dim=0).item() == pytest.approx(1, abs=1e-3)
    generous = flat_change(trained(spec(train={**ONE_STEP, "clip_norm": 1e6})), start)
    torch.testing.assert_close(generous, whole)


def test_the_learning_rate_of_each_epoch_is_reported():
    rates = [e.lr for e in trained(spec(train={"epochs": 4, "schedule": "cosine"})).epochs]
    assert rates == pytest.approx([0.01, 0.01 * 0.853553, 0.005, 0.01 * 0.146447], rel=1e-5)


def test_a_batch_of_one_that_is_left_out_is_no_step_of_the_schedule():
    # 41 samples in batches of 40: one step in each epoch, so the second starts half way.
    done = trained(spec(data={"limit": 41}, train={"schedule": "cosine"}))
    assert [e.lr for e in done.epochs] == pytest.approx([0.01, 0.005])


def test_a_teacher_that_nobody_asks_changes_nothing():
    master = counting()
    with_one = trained(spec("none"), teacher=master)
    assert master.asked == []
    assert curve(with_one.epochs) == curve(trained(spec("none")).epochs)


def test_a_teacher_gives_the_maps_of_the_layers_asked_for():
    images, labels = all_of(splits_of(spec()).train)
    batch, network = Batch({"images": images}, labels, torch.arange(96)), teacher().network
    master = Teacher(copy.deepcopy(network), digest="d", accuracy=0.0)
    for layers in ((), ("stages.0",), ("stages.1", "stages.0"), ("stages.1", "stages.0")):
        found = master.outputs(batch, layers)
        assert tuple(found.features) == layers
        assert torch.equal(found.logits, network(images))
    assert found.features["stages.0"].shape == (96, OF_TEACHER["width"], 8, 8)
    assert torch.equal(found.features["stages.0"], network.stages[0](images))
    assert not found.logits.requires_grad
