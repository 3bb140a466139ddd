"""The loop: what it reports, when it ends, that it repeats itself, and what it leaves behind."""

import gc
import math
from dataclasses import replace

import pytest
import torch
from tiny_trials import (
    CPU,
    OF_TEACHER,
    STUDENT,
    VIEWS,
    curve,
    go_on,
    num_hooks,
    same_state,
    spec,
    splits_of,
    state,
    teacher,
    trained,
)
from torch import Tensor, nn

from kdsweep import catalog
from kdsweep.errors import TrialError
from kdsweep.results.record import EpochMetrics
from kdsweep.spec import Component, TrialSpec
from kdsweep.strategies.base import Needs, Strategy, Weight
from kdsweep.train.loop import Verdict, train

HERE = __name__
KD_AND_HINTS = {"name": "kd", "extra": {"fitnet": {"weight": 0.3}}}
NOISY = {**STUDENT, "dropout": 0.5, "batch_norm": True}
"""A student with random draws and buffers of its own."""


class Own(nn.Module):
    """A user's student that is remembered here; ``fault`` says how its evaluation goes wrong."""

    made: "Own"

    def __init__(self, num_classes: int, fault: str = "") -> None:
        super().__init__()
        self.fault = fault
        self.body = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2))
        self.head = nn.Linear(32, num_classes)
        Own.made = self

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.body(images).flatten(1))
        # The probe before training shows it two images.
        if not self.training and len(images) > 2 and self.fault == "nan":
            return logits * math.nan
        return logits


class Learned(Strategy):
    """A user's strategy with a learned layer, that fails on the first batch where it is told to."""

    made: "Learned"
    fails = False
    needs = Needs(teacher=False)
    source = "a test"

    def __init__(self, params, probe):
        super().__init__(params, probe)
        self.adapter = nn.Linear(probe.num_classes, 1)
        self.drawn = state(self.adapter)
        Learned.made = self

    def weights(self):
        return {"hard": Weight(1.0), "hint": Weight(0.5, relative=True)}

    def terms(self, seen):
        if self.fails:
            raise ZeroDivisionError("as told")
        return {"hint": self.adapter(seen.student.logits)[:, 0].square()}


def test_every_epoch_is_reported_once_with_finite_numbers():
    seen: list[EpochMetrics] = []

    def report(epoch: EpochMetrics) -> Verdict:
        seen.append(epoch)
        return Verdict.CONTINUE

    done = trained(spec(KD_AND_HINTS, train={"epochs": 3}), report, teacher=teacher())
    assert tuple(seen) == done.epochs
    assert [epoch.epoch for epoch in seen] == [1, 2, 3]
    assert not done.stopped
    for epoch in seen:
        assert list(epoch.train) == ["total", "hard", "soft", "hint"]
        assert all(map(math.isfinite, (epoch.accuracy, epoch.loss, *epoch.train.values())))
        assert 0 <= epoch.accuracy <= 1
        assert epoch.seconds > 0


def test_training_learns():
    student = {**STUDENT, "width": 6, "hidden": 32}
    done = trained(spec(student=student, data={"limit": None}, train={"epochs": 6}))
    assert done.epochs[-1].loss < 0.5 * done.epochs[0].loss
    assert done.epochs[-1].accuracy > 0.8


def test_a_stop_verdict_ends_the_training_after_that_epoch():
    whole = trained(spec(train={"epochs": 5}))
    done = trained(
        spec(train={"epochs": 5}),
        lambda epoch: Verdict.STOP if epoch.epoch == 2 else Verdict.CONTINUE,
    )
    assert done.stopped
    assert curve(done.epochs) == curve(whole.epochs[:2])


@pytest.mark.parametrize("strategy", ["none", KD_AND_HINTS], ids=["none", "kd and fitnet"])
def test_a_trial_repeats_itself_whatever_ran_before(strategy):
    trial = spec(strategy, student=NOISY, data={"augment": VIEWS})
    first = trained(trial, teacher=teacher())
    trained(spec(seed=9), teacher=teacher())
    torch.manual_seed(77)
    torch.rand(5)
    again = trained(trial, teacher=teacher())
    assert curve(again.epochs) == curve(first.epochs)
    assert again.raw_weights == first.raw_weights
    assert same_state(state(again.student), state(first.student))


def test_another_seed_gives_other_numbers():
    one, other = (trained(spec(seed=seed)) for seed in (0, 1))
    assert one.epochs[-1].loss != other.epochs[-1].loss
    assert not same_state(state(one.student), state(other.student))


def test_the_random_state_of_the_caller_is_left_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    trained(spec(KD_AND_HINTS, student=NOISY), teacher=teacher())
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("student", [NOISY, OF_TEACHER], ids=["dropout and norm", "plain"])
def test_logged_raw_weights_repeat_the_training(student):
    first = trained(spec(KD_AND_HINTS, student=student), teacher=teacher())
    raw = {"name": "kd", "extra": {"fitnet": {"raw_weight": first.raw_weights["hint"]}}}
    again = trained(spec(raw, student=student), teacher=teacher())
    assert curve(again.epochs) == curve(first.epochs)
    assert same_state(state(again.student), state(first.student))


def test_the_student_ends_in_evaluation_mode():
    for epochs, verdict in ((1, Verdict.CONTINUE), (2, Verdict.STOP)):
        done = trained(spec(student=NOISY, train={"epochs": epochs}), lambda epoch, v=verdict: v)
        assert not any(module.training for module in done.student.modules())


def diverging() -> TrialSpec:
    sgd = {"optimizer": {"name": "sgd"}, "lr": 100.0, "epochs": 20, "schedule": "constant"}
    return spec({"name": "kd", "alpha": 0.5}, train=sgd)


def test_a_loss_that_is_no_number_names_epoch_and_term():
    heard: list[int] = []

    def report(epoch: EpochMetrics) -> Verdict:
        heard.append(epoch.epoch)
        return Verdict.CONTINUE

    with pytest.raises(TrialError) as caught:
        trained(diverging(), report, teacher=teacher())
    (said,) = caught.value.problems
    wanted = f"epoch {len(heard) + 1}: the training loss is not finite (term hard"
    assert said.startswith(wanted)
    assert said.endswith("a smaller learning rate or train.clip_norm may help")


def test_a_validation_loss_that_is_no_number_names_the_epoch():
    with pytest.raises(TrialError, match=r"^epoch 1: the validation loss is nan$"):
        trained(spec(student={"name": f"{HERE}:Own", "fault": "nan"}))


def test_a_failing_calibration_leaves_gradients_and_random_state_alone(monkeypatch):
    monkeypatch.setattr(Learned, "fails", True)
    before, held = torch.get_rng_state(), []
    try:
        trained(spec(f"{HERE}:Learned", student=NOISY))
    except ZeroDivisionError as error:
        held.append(error)
    assert held
    # While the error is held, and when everything that it held is gone.
    for _ in range(2):
        assert torch.is_grad_enabled()
        assert torch.equal(torch.get_rng_state(), before)
        held.clear()
        gc.collect()


def fail(epoch: EpochMetrics) -> Verdict:
    raise ConnectionError("nobody listens")


@pytest.mark.parametrize("end", ["well", "report fails", "nan", "calibration fails"])
def test_no_hook_stays_on_student_or_teacher(end, monkeypatch):
    master = teacher()
    own = {"name": f"{HERE}:Own", "fault": "nan" if end == "nan" else ""}
    strategy = {"name": "fitnet", "extra": {f"{HERE}:Learned": {}}}
    monkeypatch.setattr(Learned, "fails", end == "calibration fails")
    trial = spec(strategy, student=own)
    if end == "well":
        trained(trial, teacher=master)
    else:
        with pytest.raises((ConnectionError, TrialError, ZeroDivisionError)):
            trained(
                trial, fail if end == "report fails" else lambda e: Verdict.STOP, teacher=master
            )
    assert num_hooks(Own.made) == 0
    assert num_hooks(master.network) == 0


def test_the_teacher_is_bitwise_as_before_and_in_evaluation_mode():
    network = catalog.model(
        Component(**OF_TEACHER, batch_norm=True, dropout=0.5), shape=(1, 8, 8), num_classes=10
    )
    network(torch.randn(8, 1, 8, 8))
    master, before = teacher(network), state(network)
    trained(spec(KD_AND_HINTS), teacher=master)
    assert same_state(state(network), before)
    assert not any(module.training for module in network.modules())
    assert all(p.grad is None and not p.requires_grad for p in network.parameters())


def test_learned_layers_are_trained_and_are_no_part_of_the_student():
    done = trained(spec(f"{HERE}:Learned", train={"optimizer": "sgd"}))
    assert not same_state(state(Learned.made.adapter), Learned.made.drawn)
    fresh = catalog.model(Component(**STUDENT), shape=(1, 8, 8), num_classes=10)
    assert list(done.student.state_dict()) == list(fresh.state_dict())


def test_a_single_training_sample_is_refused_in_words():
    trial = spec()
    whole = splits_of(trial)
    one = type(whole.train)(whole.train.images[:1], whole.train.labels[:1], whole.train.treatment)
    with pytest.raises(TrialError, match="holds fewer than two samples"):
        train(trial, go_on, splits=replace(whole, train=one), device=CPU)
