"""A training that was cut short goes on to the numbers that it would have had."""

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_trials import (
    OF_TEACHER,
    STUDENT,
    VIEWS,
    curve,
    get_teacher,
    go_on,
    same_state,
    spec,
    state,
    taught,
    teacher,
    trained,
)

from kdsweep import catalog
from kdsweep.results.record import EpochMetrics
from kdsweep.spec import Component, TrialSpec
from kdsweep.train.checkpoint import Checkpoints, Saved
from kdsweep.train.loop import Trained, Verdict
from kdsweep.train.state_file import packed, unpacked
from kdsweep.train.teacher import Source, Teacher
from kdsweep.train.warned import warnings_heard

NOISY = {**STUDENT, "dropout": 0.5, "batch_norm": True}
VIT = {"name": "vit", "patch": 4, "width": 8, "depth": 2, "heads": 2}
SETTINGS = {
    "multi_teacher": {"teachers": ["teacher", "second"]},
    "crd": {"negatives": 16},
    "online": {"peers": 2},
    "data_free": {
        "batches_per_epoch": 3, "width": 4, "noise": 8, "grace": 1.0, "above_chance": None,
        "student_steps": 4,
    },
}  # fmt: skip


def always(folder: Path, heard: list[int] | None = None) -> Checkpoints:
    def hear(epochs: Sequence[EpochMetrics]) -> None:
        if heard is not None:
            heard.extend(epoch.epoch for epoch in epochs)

    return Checkpoints(folder, every_s=0.0, on_resume=hear)


def stopping_at(last: int):
    def report(epoch: EpochMetrics) -> Verdict:
        return Verdict.STOP if epoch.epoch == last else Verdict.CONTINUE

    return report


def trial_of(name: str) -> TrialSpec:
    student = VIT if name == "transformer" else NOISY
    train = {"epochs": 3, "optimizer": "adam", "schedule": {"name": "cosine"}, "clip_norm": 1.0}
    strategy = {"name": name, **SETTINGS.get(name, {})}
    return spec(strategy, student=student, data={"augment": VIEWS}, train=train)


def master_of(name: str) -> Teacher:
    model = {**VIT, "width": 12} if name == "transformer" else OF_TEACHER
    if name == "data_free":
        model = {**OF_TEACHER, "batch_norm": True}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = catalog.model(Component(**model), shape=(1, 8, 8), num_classes=10)
    return Teacher(network, digest="drawn", accuracy=0.1)


def run(name: str, report=go_on, checkpoints: Checkpoints | None = None) -> Trained:
    others = {"second": Source(teacher())} if name == "multi_teacher" else {}
    return trained(
        trial_of(name), report, teacher=master_of(name), others=others, checkpoints=checkpoints
    )


@pytest.mark.parametrize("name", catalog.names("strategy"))
def test_every_strategy_goes_on_to_the_numbers_of_an_uninterrupted_training(name, tmp_path):
    whole = run(name)
    cut = run(name, stopping_at(1), always(tmp_path))
    assert cut.stopped
    assert curve(cut.epochs) == curve(whole.epochs[:1])
    resumed, reported = [], []

    def report(epoch: EpochMetrics) -> Verdict:
        reported.append(epoch.epoch)
        return Verdict.CONTINUE

    done = run(name, report, always(tmp_path, resumed))
    assert (resumed, reported) == ([1], [2, 3])
    assert curve(done.epochs) == curve(whole.epochs)
    assert same_state(state(done.student), state(whole.student))
    assert done.raw_weights == whole.raw_weights


@pytest.mark.parametrize(
    "train",
    [
        {"optimizer": {"name": "sgd", "momentum": 0.9}, "schedule": {"name": "steps"}},
        {"optimizer": "adamw", "schedule": {"name": "per_rung"}, "memory_format": "channels_last"},
    ],
)
def test_optimizer_schedule_and_memory_format_are_taken_up(train, tmp_path):
    student = {"name": "resnet", "depth": 8, "width": 16}
    trial = spec("kd", student=student, train={"epochs": 4, **train})
    whole = trained(trial, teacher=teacher())
    trained(trial, stopping_at(2), teacher=teacher(), checkpoints=always(tmp_path))
    done = trained(trial, teacher=teacher(), checkpoints=always(tmp_path))
    assert curve(done.epochs) == curve(whole.epochs)
    assert same_state(state(done.student), state(whole.student))


def test_a_training_that_was_killed_goes_on_from_its_last_checkpoint(tmp_path):
    trial = trial_of("kd")

    def die(epoch: EpochMetrics) -> Verdict:
        if epoch.epoch == 3:
            raise SystemExit
        return Verdict.CONTINUE

    with pytest.raises(SystemExit):
        trained(trial, die, teacher=teacher(), checkpoints=always(tmp_path))
    heard: list[int] = []
    trained(trial, teacher=teacher(), checkpoints=always(tmp_path, heard))
    assert heard == [1, 2]


def test_two_checkpoints_are_kept_and_none_of_the_last_epoch(tmp_path):
    trained(spec(train={"epochs": 5}), checkpoints=always(tmp_path))
    assert sorted(path.name[:5] for path in tmp_path.iterdir()) == ["00003", "00004"]


def test_a_training_that_is_pruned_keeps_nothing_more(tmp_path):
    checkpoints = Checkpoints(tmp_path, every_s=1e9)
    trained(spec(train={"epochs": 3}), lambda epoch: Verdict.PRUNE, checkpoints=checkpoints)
    assert list(tmp_path.iterdir()) == []
    trained(spec(train={"epochs": 3}), lambda epoch: Verdict.STOP, checkpoints=checkpoints)
    assert [path.name[:5] for path in tmp_path.iterdir()] == ["00001"]


def test_checkpoints_of_other_settings_or_another_teacher_are_not_gone_on_with(tmp_path):
    trial = trial_of("kd")
    trained(trial, stopping_at(2), teacher=teacher(), checkpoints=always(tmp_path))
    heard: list[int] = []
    other = trial.model_copy(update={"seed": 5})
    trained(other, stopping_at(1), teacher=teacher(), checkpoints=always(tmp_path, heard))
    assert heard == []
    trained(trial, stopping_at(2), teacher=teacher(), checkpoints=always(tmp_path))
    another = Teacher(teacher().network, digest="another", accuracy=0.1)
    trained(trial, stopping_at(1), teacher=another, checkpoints=always(tmp_path, heard))
    assert heard == []


def damaged(path: Path, how: str) -> None:
    data = path.read_bytes()
    if how == "cut short":
        path.write_bytes(data[: len(data) // 2])
    elif how == "one bit":
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    else:
        path.write_bytes(b"")


@pytest.mark.parametrize("how", ["cut short", "one bit", "empty"])
def test_of_a_damaged_checkpoint_the_one_before_is_used_and_it_is_told(how, tmp_path):
    trial = trial_of("kd")
    whole = trained(trial, teacher=teacher())
    trained(trial, stopping_at(2), teacher=teacher(), checkpoints=always(tmp_path))
    _, second = sorted(tmp_path.iterdir())
    damaged(second, how)
    heard: list[int] = []
    with warnings_heard() as told:
        done = trained(trial, teacher=teacher(), checkpoints=always(tmp_path, heard))
    assert heard == [1]
    assert curve(done.epochs) == curve(whole.epochs)
    (sentence,) = told
    assert sentence.startswith(f"checkpoint {second} is damaged and not used (its checksum is")
    for left in tmp_path.iterdir():
        damaged(left, how)
    with warnings_heard() as told:
        again = trained(trial, teacher=teacher(), checkpoints=always(tmp_path, heard))
    assert heard == [1]
    assert len(told) == 2
    assert curve(again.epochs) == curve(whole.epochs)


def test_whoever_asks_hears_of_the_damage_when_it_is_found(tmp_path):
    trial = trial_of("kd")
    trained(trial, stopping_at(2), teacher=teacher(), checkpoints=always(tmp_path))
    _, second = sorted(tmp_path.iterdir())
    damaged(second, "empty")
    heard: list[object] = []
    checkpoints = Checkpoints(
        tmp_path, on_resume=lambda epochs: heard.append(len(epochs)), on_damage=heard.append
    )
    with warnings_heard() as told:
        trained(trial, teacher=teacher(), checkpoints=checkpoints)
    assert told == []
    sentence, epoch = heard
    assert str(sentence).startswith(f"checkpoint {second} is damaged and not used (")
    assert epoch == 1


def test_a_checkpoint_that_is_being_written_is_none_yet(tmp_path):
    trial = trial_of("kd")
    (tmp_path / ".00002-0123456789abcdef.safetensors.abc.new").write_bytes(b"half")
    heard: list[int] = []
    with warnings_heard() as told:
        trained(trial, teacher=teacher(), checkpoints=always(tmp_path, heard))
    assert (heard, told) == ([], [])


def test_a_full_disk_costs_the_checkpoint_and_not_the_training(tmp_path):
    (tmp_path / "file").write_text("where the directory would go")
    with warnings_heard() as told:
        done = trained(spec(train={"epochs": 3}), checkpoints=always(tmp_path / "file" / "c"))
    assert not done.stopped
    assert len(done.epochs) == 3
    (sentence,) = told
    assert sentence.startswith("no checkpoint can be kept in ")


def test_checkpoints_are_as_rare_as_they_are_dear(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    checkpoints = Checkpoints(tmp_path, every_s=30.0)
    seen = []
    for second in range(1, 100):
        now[0] = float(second)
        if checkpoints.is_due:
            seen.append(second)
            checkpoints.save("x", Saved((), {}))
    assert seen == [30, 60, 90]
    checkpoints = Checkpoints(tmp_path, every_s=1.0)
    checkpoints._cost_s = 2.0
    assert not checkpoints.is_due
    now[0] += 39.0
    assert not checkpoints.is_due
    now[0] += 1.0
    assert checkpoints.is_due


def test_a_teacher_that_was_cut_short_goes_on_and_leaves_no_checkpoint_behind(tmp_path):
    trial = taught(train={"epochs": 4, "batch_size": 40})
    _, whole = get_teacher(tmp_path / "a", trial)
    with pytest.raises(InterruptedError, match="was stopped"):
        get_teacher(tmp_path / "b", trial, stopping_at(2))
    reported = []

    def report(epoch: EpochMetrics) -> Verdict:
        reported.append(epoch.epoch)
        return Verdict.CONTINUE

    _, card = get_teacher(tmp_path / "b", trial, report)
    assert reported == [3, 4]
    assert card.weights_sha256 == whole.weights_sha256
    assert [each["epoch"] for each in card.epochs] == [1, 2, 3, 4]
    assert list((tmp_path / "b").rglob("checkpoints")) == []


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
nested = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.integers(), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(nested)
def test_what_is_packed_is_unpacked(value):
    assert unpacked(packed(value)) == value


def test_tensors_come_back_as_they_were():
    shared = torch.arange(6.0).reshape(2, 3)
    given_ = {"a": [shared, shared.t()], 3: {"b": torch.tensor(7), "c": shared.bfloat16()}}
    found = unpacked(packed({**given_, "random": torch.get_rng_state(), "nan": math.inf}))
    assert torch.equal(found["a"][1], shared.t())
    assert found[3]["b"].shape == ()
    assert found[3]["c"].dtype == torch.bfloat16
    assert torch.equal(found["random"], torch.get_rng_state())
    assert found["nan"] == math.inf


def test_what_would_need_a_pickle_is_refused():
    with pytest.raises(TypeError, match="a Saved cannot be saved without running code to read it"):
        packed({"a": [Saved((), None)]})
    with pytest.raises(TypeError, match="a key that is a tuple cannot be saved"):
        packed({(1, 2): 3})


@given(st.binary(max_size=64))
def test_what_is_no_saved_state_is_refused_in_one_way(data):
    with pytest.raises(ValueError, match="holds no saved state"):
        unpacked(data)


def test_epochs_are_kept_with_losses_that_diverged(tmp_path):
    epoch = EpochMetrics(epoch=1, accuracy=0.1, loss=math.inf, lr=0.1, seconds=1.0)
    checkpoints = always(tmp_path)
    checkpoints.save("x", Saved((epoch, replace_epoch(epoch, 2)), {"a": 1}))
    found = checkpoints.latest("x")
    assert found is not None
    assert [each.loss for each in found.epochs] == [math.inf, math.inf]
    assert checkpoints.at(2, "x") == replace(found)
    assert checkpoints.at(1, "x") is None


def replace_epoch(epoch: EpochMetrics, number: int) -> EpochMetrics:
    return epoch.model_copy(update={"epoch": number})
