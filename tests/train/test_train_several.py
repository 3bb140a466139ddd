"""Several teachers, learners beside the student, scarce labels: in real trainings."""

import pytest
import torch
from tiny_trials import (
    CPU,
    OF_TEACHER,
    STILL,
    TRAIN,
    counting,
    go_on,
    never,
    numbers,
    same_state,
    spec,
    splits_of,
    state,
    store_in,
    teacher,
    trained,
)
from torch import nn

from kdsweep import catalog
from kdsweep.errors import SpecError, TrialError
from kdsweep.spec import TrainSpec, TrialSpec
from kdsweep.strategies.base import EpochEnd, Learner, Needs, Strategy, Weight
from kdsweep.train.labels import labelled
from kdsweep.train.loop import Verdict
from kdsweep.train.needs import teachers_of
from kdsweep.train.optimize import Optimizers
from kdsweep.train.session import Session
from kdsweep.train.teacher import Source

HERE = __name__
OTHER = {"name": "cnn", "width": 3, "stages": 2, "hidden": 8}


class Recorder(Strategy):
    """Keeps what it is shown, and learns a layer by an optimizer of its own."""

    needs = Needs(teacher=False)
    source = "a test"
    made: "Recorder"

    def __init__(self, params, probe):
        super().__init__(params, probe)
        self.apart = nn.Linear(probe.num_classes, 1)
        self.seen, self.checked, self.probe, self.begun = [], [], probe, []
        Recorder.made = self

    def weights(self):
        return {"hard": Weight(1.0), "apart": Weight(2.0)}

    def factors(self, progress):
        return {"apart": progress}

    def learners(self):
        return (Learner(self.apart, lr=0.5),)

    def begin(self, student, teacher):
        self.begun.append((student, teacher))

    def terms(self, seen):
        if torch.is_grad_enabled():
            self.seen.append(seen)
        return {"apart": self.apart(seen.student.logits.detach())[:, 0].square()}

    def check(self, end):
        self.checked.append(end)


class Failing(Recorder):
    """Objects to the second epoch."""

    def check(self, end):
        if end.epoch == 2:
            raise TrialError(f"epoch {end.epoch}: not as it should be")


def recorded(strategy="Recorder", **changes):
    trial = spec(f"{HERE}:{strategy}", **changes)
    return trial, trained(trial), Recorder.made


def test_a_strategy_hears_of_each_step_how_far_training_is():
    _, _, made = recorded(train={"epochs": 3})
    # 96 training examples in batches of 40: three of them, the last of 16.
    assert [seen.progress for seen in made.seen] == pytest.approx([i / 9 for i in range(9)])
    assert [end.epoch for end in made.checked] == [1, 2, 3]


def test_a_strategy_hears_how_each_epoch_ended():
    trial, done, made = recorded(train={"epochs": 2})
    labels = splits_of(trial).validation.labels
    for end, epoch in zip(made.checked, done.epochs, strict=True):
        own = {name: epoch.train[name] for name in ("hard", "apart")}
        often = max(labels.tolist().count(label) for label in range(10))
        assert end == EpochEnd(
            epoch=epoch.epoch,
            is_last=epoch.epoch == 2,
            means=own,
            accuracy=epoch.accuracy,
            chance=often / len(labels),
            num_validated=len(labels),
        )


def test_factors_move_the_weight_of_a_term():
    _, done, made = recorded(train={"epochs": 2, "batch_size": 96, **STILL})
    first, second = (epoch.train for epoch in done.epochs)
    assert first["total"] == pytest.approx(first["hard"])
    assert second["total"] == pytest.approx(second["hard"] + 2 * 0.5 * second["apart"])
    assert made.begun == [(done.student, None)]


def test_a_learner_has_the_learning_rate_that_it_asks_for():
    train = TrainSpec(lr=1e-3, optimizer={"name": "sgd", "momentum": 0, "weight_decay": 0},
                      schedule="constant")  # fmt: skip
    step = nn.ModuleDict({"student": nn.Linear(1, 1), "apart": nn.Linear(1, 1)})
    before = {name: value.clone() for name, value in step.state_dict().items()}
    optimizers = Optimizers(train, step, [(step["apart"], 0.25)], num_steps=4)
    optimizers.step(sum(p.sum() for p in step.parameters()))
    moved = {name: (before[name] - value).item() for name, value in step.state_dict().items()}
    assert moved == pytest.approx(
        {"student.weight": 1e-3, "student.bias": 1e-3, "apart.weight": 0.25, "apart.bias": 0.25},
        rel=1e-4,
    )


def test_each_learner_is_clipped_by_itself():
    train = TrainSpec(lr=1.0, optimizer={"name": "sgd", "momentum": 0, "weight_decay": 0},
                      schedule="constant", clip_norm=1.0)  # fmt: skip
    step = nn.ModuleDict(
        {"student": nn.Linear(1, 1, bias=False), "apart": nn.Linear(1, 1, bias=False)}
    )
    before = {name: value.clone() for name, value in step.state_dict().items()}
    optimizers = Optimizers(train, step, [(step["apart"], None)], num_steps=4)
    optimizers.step(0.5 * step["student"].weight.sum() + 100 * step["apart"].weight.sum())
    moved = [(before[name] - value).item() for name, value in step.state_dict().items()]
    # Together their gradient would have been cut to (0.005, 1).
    assert moved == pytest.approx([0.5, 1.0], rel=1e-4)


def test_a_strategy_can_end_a_training_that_has_failed():
    with pytest.raises(TrialError, match=r"^epoch 2: not as it should be$"):
        recorded("Failing", train={"epochs": 3})


def test_networks_that_a_strategy_asks_for_are_new_each_time():
    _, done, made = recorded(teacher={"model": OF_TEACHER})
    first, second = made.probe.new_student(), made.probe.new_student()
    assert state(first).keys() == state(done.student).keys()
    assert not same_state(state(first), state(second))
    assert sum(p.numel() for p in made.probe.new_teacher().parameters()) > sum(
        p.numel() for p in first.parameters()
    )


# Scarce labels


def scarce(share, seed=0, **changes):
    return spec(f"{HERE}:Recorder", seed=seed, train={"label_share": share}, **changes)


def test_a_share_of_the_labels_is_used_with_the_classes_in_proportion():
    trial = scarce(0.25)
    split = splits_of(trial).train
    known = labelled(trial, split, CPU)
    assert known.sum() == 24  # of 96
    counts = split.labels[known].bincount(minlength=10)
    assert counts.min() >= 1
    assert counts.max() <= 4
    assert labelled(spec(), split, CPU) is None
    assert not torch.equal(known, labelled(scarce(0.25, seed=1), split, CPU))


def test_the_others_are_unlabelled_in_every_batch_and_epoch():
    trial = scarce(0.25)
    trained(trial)
    known, labels = labelled(trial, splits_of(trial).train, CPU), splits_of(trial).train.labels
    for seen in Recorder.made.seen:
        expected = labels[seen.batch.ids].where(known[seen.batch.ids], -1)
        assert torch.equal(seen.batch.labels, expected)


def test_the_hard_loss_is_the_mean_over_the_labelled():
    still = {"batch_size": 96, **STILL, "epochs": 1}
    trial = spec(train={**still, "label_share": 0.25})
    found = trained(trial).epochs[0].train["hard"]
    split = splits_of(trial).train
    known = labelled(trial, split, CPU)
    torch.manual_seed(trial.seed)
    (batch,) = split.in_order(batch_size=96)
    student = catalog.model_for(trial.student, splits_of(trial).info)
    logits = student(batch.images)[known]
    expected = nn.functional.cross_entropy(logits, batch.labels[known])
    assert found == pytest.approx(expected.item(), rel=1e-5)


# Several teachers


def of_two(**changes) -> TrialSpec:
    return spec(
        {"name": "multi_teacher", "teachers": ["teacher", "other"]},
        teacher={"model": OF_TEACHER, "train": TRAIN},
        teachers={"other": {"model": OTHER, "train": TRAIN}, "idle": {"model": OF_TEACHER}},
        **changes,
    )


def test_only_the_teachers_that_a_trial_names_are_read():
    assert teachers_of(of_two()) == ("teacher", "other")
    assert teachers_of(spec("none", teacher={"model": OF_TEACHER})) == ()
    with pytest.raises(SpecError, match="wrong"):
        teachers_of(of_two().model_copy(
            update={"strategy": of_two().strategy.model_copy(update={"teachers": ["wrong"]})}
        ))  # fmt: skip


def test_a_teacher_cannot_have_the_name_of_the_trials_own():
    with pytest.raises(ValueError, match=r"teachers\.teacher: the trial's own teacher has that"):
        spec(teacher={"model": OF_TEACHER}, teachers={"teacher": {"model": OTHER}})
    with pytest.raises(ValueError, match=r"teachers are further ones"):
        spec(teachers={"other": {"model": OTHER}})


def test_a_session_makes_each_teacher_once_and_tells_of_each_once(tmp_path):
    session = Session(device=CPU, teachers=tmp_path)
    done = session.run(of_two(), go_on)
    assert done.status == "complete", done.error
    names = [card["model"]["width"] for card in done.teachers]
    assert names == [OF_TEACHER["width"], OTHER["width"]]
    again = session.run(of_two(seed=1), go_on, on_teacher=never)
    assert (again.status, again.teachers) == ("complete", ())
    assert len([each for each in tmp_path.iterdir() if each.is_dir()]) == 2


def test_a_preparation_makes_all_teachers_of_the_trial_and_names_them(tmp_path):
    heard = {}
    trial = of_two().model_copy(update={"teachers": {"other": of_two().teachers["other"]}})
    done = Session(device=CPU, teachers=tmp_path).prepare(
        trial, lambda epoch, name: heard.setdefault(name, Verdict.CONTINUE)
    )
    assert [(card["teacher"], card["model"]["width"]) for card in done.teachers] == [
        ("teacher", 5), ("other", 3),
    ]  # fmt: skip
    assert list(heard) == ["teacher", "other"]


def test_a_further_teacher_that_fails_is_named(tmp_path):
    whole = of_two().model_dump()
    whole["teachers"]["other"]["train"] = {**TRAIN, "optimizer": "sgd", "lr": 100.0, "epochs": 20}
    done = Session(device=CPU, teachers=tmp_path).prepare(TrialSpec.model_validate(whole), go_on)
    assert done.status == "failed"
    assert (done.error or "").startswith("teacher other: epoch ")
    assert done.traceback == ""


def test_stored_logits_serve_every_teacher(tmp_path):
    trial = of_two()
    first = trained(trial, teacher=teacher(), others={"other": Source(teacher())})
    kept = {name: counting() for name in ("teacher", "other")}
    stores = {name: store_in(tmp_path / name, each, trial) for name, each in kept.items()}
    again = trained(
        trial,
        teacher=kept["teacher"],
        stored=stores["teacher"],
        others={"other": Source(kept["other"], stores["other"])},
    )
    torch.testing.assert_close(numbers(first.epochs), numbers(again.epochs), rtol=1e-3, atol=1e-4)
    # The probe asks the further teacher for two.
    assert [each.asked for each in kept.values()] == [[96], [2, 96]]


def test_relative_weights_without_labels_are_relative_to_the_first_term():
    small = {"batches_per_epoch": 2, "width": 4, "noise": 8, "least_variety": 0}
    small["above_chance"] = None
    strategy = {"name": "data_free", **small, "extra": {"similarity": {"weight": 0.5}}}
    done = trained(spec(strategy, train={"epochs": 1}), teacher=teacher())
    weight = done.raw_weights["similarity"]
    assert 0 < weight < float("inf")
    assert done.raw_weights["soft"] == 1


def test_a_student_that_cannot_be_set_up_is_told_where():
    strategy = {"name": f"{HERE}:Refusing", "extra": {f"{HERE}:AlsoRefusing": {}}}
    with pytest.raises(SpecError, match=r"^strategy: no$"):
        trained(spec(strategy))


class Refusing(Recorder):
    """Cannot set up any student."""

    def begin(self, student, teacher):
        raise SpecError("no")


class AlsoRefusing(Refusing):
    """Another."""
