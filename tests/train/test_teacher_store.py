"""Teachers on disk: paid for once, found by their hash, never believed without their checksum."""

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_trials import (
    CPU,
    OF_TEACHER,
    TAUGHT,
    TRAIN,
    all_of,
    curve,
    get_teacher,
    never,
    same_state,
    spec,
    splits_of,
    state,
    taught,
    trained,
)

from kdsweep.errors import TrialError
from kdsweep.results.record import EpochMetrics
from kdsweep.spec import TrialSpec
from kdsweep.storage.shared import Shared
from kdsweep.train import teacher_store
from kdsweep.train.loop import Verdict
from kdsweep.train.ranks import ALONE
from kdsweep.train.session import Session, TeacherReport
from kdsweep.train.teacher import Teacher
from kdsweep.train.teacher_store import TeacherCard, digest_of


def logits(master: Teacher) -> torch.Tensor:
    return master.network(all_of(splits_of(TAUGHT).validation)[0])


def test_trained_once_then_found(tmp_path):
    heard: list[EpochMetrics] = []

    def listen(epoch: EpochMetrics) -> Verdict:
        heard.append(epoch)
        return Verdict.CONTINUE

    first, made = get_teacher(tmp_path, report=listen)
    second, found = get_teacher(tmp_path, report=never)
    assert [epoch.epoch for epoch in heard] == [1, 2]
    assert (made.reused, found.reused) == (False, True)
    assert made.digest == found.digest == first.digest == second.digest
    assert torch.equal(logits(first), logits(second))
    assert not any(module.training for module in second.network.modules())
    assert not any(p.requires_grad for p in second.network.parameters())
    given = json.loads(json.dumps([vars(each) | {"reused": None} for each in (made, found)]))
    assert given[0] == given[1]


def test_it_is_what_the_trainer_makes_of_the_same_trial(tmp_path):
    master, card = get_teacher(tmp_path)
    alone = trained(spec("none", student=OF_TEACHER, seed=0))
    assert same_state(state(master.network), state(alone.student))
    epochs = tuple(EpochMetrics(**epoch) for epoch in card.epochs)
    assert curve(epochs) == curve(alone.epochs)
    assert (card.accuracy, card.loss) == (epochs[-1].accuracy, epochs[-1].loss)
    assert card.params == sum(p.numel() for p in master.network.parameters())
    assert card.seconds == pytest.approx(sum(epoch.seconds for epoch in epochs))


def test_it_sees_another_view_in_each_epoch_whatever_its_students_see(tmp_path):
    two, four = (
        taught(train={**TRAIN, "epochs": 4}, data={"augment": {"crop": 1, "views": n}})
        for n in (2, 4)
    )
    master, card = get_teacher(tmp_path, two)
    alone = trained(
        spec("none", student=OF_TEACHER, train={"epochs": 4}, data=four.data.settings, seed=0)
    )
    assert same_state(state(master.network), state(alone.student))
    _, found = get_teacher(tmp_path, four, report=never)
    assert (found.reused, found.data) == (True, card.data)


def digest(trial: TrialSpec) -> str:
    assert trial.teacher is not None
    return digest_of(trial.teacher, data=splits_of(trial).for_teachers)


@pytest.mark.parametrize(
    "other",
    [
        taught(train=TRAIN, data={"limit": 60}),
        taught(train=TRAIN, data={"split_seed": 1}),
        taught(train=TRAIN, data={"augment": {"crop": 1}}),
        taught(train=TRAIN, seed=1),
        taught(train=TRAIN, model={**OF_TEACHER, "width": 6}),
        taught(train={**TRAIN, "epochs": 3}),
        taught(train={**TRAIN, "optimizer": "sgd"}),
    ],
    ids=["data", "split", "views", "seed", "architecture", "epochs", "optimizer"],
)
def test_what_makes_another_teacher_gives_another_digest(other):
    assert digest(other) != digest(TAUGHT)


def test_what_makes_no_difference_gives_the_same_digest():
    views = [taught(train=TRAIN, data={"augment": {"crop": 1, "views": n}}) for n in (2, 5)]
    assert digest(views[0]) == digest(views[1]) != digest(TAUGHT)
    spelled = taught(train=TRAIN, model={**OF_TEACHER, "depth": 1, "dropout": 0.0})
    student = TAUGHT.model_copy(update={"seed": 9, "train": spec(train={"lr": 0.5}).train})
    assert digest(spelled) == digest(student) == digest(TAUGHT)


def test_what_a_killed_writer_left_is_collected_when_it_is_made_again(tmp_path):
    _, card = get_teacher(tmp_path)
    place = tmp_path / card.digest
    left = [place / f".{name}.0123456789ab.new" for name in ("teacher.safetensors", "teacher.json")]
    for each in left:
        each.write_bytes(b"half")
    (place / "teacher.json").unlink()
    get_teacher(tmp_path)
    assert not [each for each in left if each.exists()]


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-10])


DAMAGE = {
    "a bit": ("teacher.safetensors", flip),
    "cut short": ("teacher.safetensors", cut),
    "no weights": ("teacher.safetensors", os.unlink),
    "no card": ("teacher.json", os.unlink),
    "half a card": ("teacher.json", cut),
    "another card": ("teacher.json", lambda file: file.write_text('{"of": "another version"}')),
    "a list": ("teacher.json", lambda file: file.write_text("[1]")),
}


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_teacher_is_made_again(how, tmp_path):
    first, card = get_teacher(tmp_path)
    name, damage = DAMAGE[how]
    damage(tmp_path / card.digest / name)
    again, made = get_teacher(tmp_path)
    assert not made.reused
    assert torch.equal(logits(again), logits(first))
    assert get_teacher(tmp_path, report=never)[1].reused


def test_two_sessions_at_once_train_it_once(tmp_path):
    training, asked = threading.Event(), threading.Event()
    cards: dict[str, dict[str, Any]] = {}

    def first_epoch(epoch: EpochMetrics, teacher: str) -> Verdict:
        training.set()
        # Goes on when the other session is about to ask for the same teacher.
        assert asked.wait(60)
        return Verdict.CONTINUE

    def prepare(name: str, report: TeacherReport) -> None:
        outcome = Session(device=CPU, teachers=tmp_path).prepare(TAUGHT, report)
        cards[name] = outcome.teachers[0] if outcome.teachers else {"error": outcome.error}

    one = threading.Thread(target=prepare, args=("one", first_epoch))
    one.start()
    assert training.wait(60)
    other = threading.Thread(target=prepare, args=("other", never))
    asked.set()
    other.start()
    for thread in (one, other):
        thread.join(60)
    assert {name: card["reused"] for name, card in cards.items()} == {"one": False, "other": True}


def test_a_teacher_that_diverges_is_named_and_not_stored(tmp_path):
    wild = {**TRAIN, "optimizer": "sgd", "lr": 100.0, "epochs": 20, "schedule": "constant"}
    with pytest.raises(TrialError, match=r"^teacher: epoch \d+: the training loss is not finite"):
        get_teacher(tmp_path, taught(train=wild))
    assert not list(tmp_path.glob("*/teacher.*"))


def test_a_teacher_that_is_stopped_is_not_stored(tmp_path):
    with pytest.raises(InterruptedError, match="teacher's training was stopped"):
        get_teacher(tmp_path, report=lambda epoch: Verdict.STOP)
    assert not list(tmp_path.glob("*/teacher.*"))
    assert isinstance(get_teacher(tmp_path)[1], TeacherCard)


def test_a_teacher_that_is_gone_as_soon_as_it_is_written_is_told(tmp_path, monkeypatch):
    master, card = get_teacher(tmp_path)
    monkeypatch.setattr(teacher_store, "_agreed", lambda place, ranks, device: None)
    with pytest.raises(TrialError, match=r"^the teacher that was just written to .* cannot be"):
        teacher_store._as_first(master.network, card, Shared(tmp_path), ALONE, CPU)
