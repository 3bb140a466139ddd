"""What workers keep in an object store: checkpoints, weights, teachers and their outputs."""

import hashlib
import logging
import threading

import pytest
import torch
from object_store import another_machine, files, put
from safetensors.torch import load
from test_output_store import LAYER, live, rows, small_blocks, whole  # noqa: F401
from test_train_going_on import stopping_at
from tiny_trials import (
    CPU,
    TAUGHT,
    Counting,
    counting,
    curve,
    get_teacher,
    go_on,
    never,
    same_state,
    spec,
    splits_of,
    state,
    taught,
    teacher,
    trained,
)

from kdsweep.storage.lease import Lease
from kdsweep.storage.shared import Shared
from kdsweep.train.checkpoint import Checkpoints
from kdsweep.train.output_store import OutputStore
from kdsweep.train.session import Session
from kdsweep.train.weights import save_weights

LONG = spec(train={"epochs": 4})


def checkpoints(address, heard=None):
    told = heard if heard is not None else []
    return Checkpoints(
        f"{address}/trials/00001/checkpoints",
        every_s=0.0,
        on_resume=lambda epochs: told.append(len(epochs)),
    )


def test_a_training_goes_on_from_there_to_the_same_numbers(store_at, tmp_path):
    whole_one = trained(LONG)
    trained(LONG, stopping_at(2), checkpoints=checkpoints(store_at))
    assert len(files(store_at)) == 2
    assert not list(tmp_path.rglob("*.safetensors"))
    heard = []
    rest = trained(LONG, checkpoints=checkpoints(store_at, heard))
    assert heard == [2]
    assert curve(rest.epochs) == curve(whole_one.epochs)
    assert same_state(state(rest.student), state(whole_one.student))
    checkpoints(store_at).clear()
    assert files(store_at) == {}


def test_of_a_damaged_checkpoint_the_one_before_is_used(store_at, caplog):
    trained(LONG, stopping_at(3), checkpoints=checkpoints(store_at))
    newest = max(files(store_at))
    content = files(store_at)[newest]
    put(f"{store_at}/{newest}", content[:-1] + bytes([content[-1] ^ 1]))
    heard = []
    with caplog.at_level(logging.WARNING):
        trained(LONG, checkpoints=checkpoints(store_at, heard))
    assert heard == [2]
    assert f"checkpoint {store_at}/{newest} is damaged" in caplog.text


def test_a_store_that_takes_no_checkpoint_costs_the_checkpoint_alone(store_at, s3_server, caplog):
    kept = checkpoints(store_at)
    kept._folder.names()
    s3_server.stop()
    try:
        with caplog.at_level(logging.WARNING), pytest.MonkeyPatch.context() as patch:
            patch.setattr("kdsweep.storage.objects.PATIENCE_S", 0.0)
            patch.setattr(kept, "latest", lambda identity: None)
            done = trained(spec(), checkpoints=kept)
    finally:
        s3_server.start()
    assert len(done.epochs) == 2
    assert "no checkpoint can be kept" in caplog.text


def test_weights_are_whole_there(store_at):
    network = teacher().network
    sha256 = save_weights(network, f"{store_at}/x/student.safetensors")
    (content,) = files(store_at).values()
    assert hashlib.sha256(content).hexdigest() == sha256
    assert same_state(load(content), state(network))


def test_a_session_keeps_a_student_there(store_at):
    session = Session(device=CPU, teachers=f"{store_at}/teachers")
    place = f"{store_at}/trials/00000/student.safetensors"
    outcome = session.run(TAUGHT, go_on, weights=place)
    assert outcome.error is None
    there = files(store_at)
    assert {name.rpartition("/")[2] for name in there} >= {
        "student.safetensors", "teacher.safetensors", "teacher.json", "000.f16", "000.json",
    }  # fmt: skip


def test_a_teacher_is_trained_once_for_all_nodes(store_at, monkeypatch, tmp_path):
    made, card = get_teacher(f"{store_at}/teachers")
    with another_machine(monkeypatch, tmp_path):
        found, again = get_teacher(f"{store_at}/teachers", report=never)
        assert again.reused
        assert again.weights_sha256 == card.weights_sha256
        assert same_state(state(found.network), state(made.network))


def test_two_nodes_that_want_it_at_once_train_it_once(store_at, monkeypatch, tmp_path):
    monkeypatch.setattr("kdsweep.storage.lease.LOOK_EVERY_S", 0.02)
    trainings, cards = [], []
    trial = taught(train={"epochs": 3, "batch_size": 40, "lr": 0.01})

    def node(name):
        shared = Shared(f"{store_at}/teachers", tmp_path / name)
        monkeypatch.setattr("kdsweep.train.teacher_store.Shared", lambda place: shared)

        def report(epoch, teacher=""):
            trainings.append((name, epoch.epoch))
            return go_on(epoch)

        return threading.Thread(
            target=lambda: cards.append(get_teacher(f"{store_at}/teachers", trial, report)[1])
        )

    threads = []
    for name in ("a", "b"):
        threads.append(node(name))
        threads[-1].start()
        while not trainings and name == "a":
            threading.Event().wait(0.001)
    for thread in threads:
        thread.join(60)
    assert len({name for name, _ in trainings}) == 1
    assert sorted(card.reused for card in cards) == [False, True]
    assert not [name for name in files(store_at) if "turn-" in name]


def test_who_waits_finds_it_when_the_other_is_done(store_at, monkeypatch, tmp_path):
    take, first = Lease.take, []

    def slow(self, seen):
        # Another node makes it, and gives its right up, between a look and the next step.
        if not first:
            first.append(self)
            with another_machine(monkeypatch, tmp_path):
                get_teacher(f"{store_at}/teachers")
        return take(self, seen)

    monkeypatch.setattr(Lease, "take", slow)
    _, card = get_teacher(f"{store_at}/teachers", report=never)
    assert card.reused
    assert not [name for name in files(store_at) if "turn-" in name]


def test_a_damaged_teacher_is_made_again_and_replaced(store_at, monkeypatch, tmp_path):
    _, card = get_teacher(f"{store_at}/teachers")
    name = f"teachers/{card.digest}/teacher.safetensors"
    whole_one = files(store_at)[name]
    put(f"{store_at}/{name}", whole_one[:-4] + b"\0\1\2\3")
    with another_machine(monkeypatch, tmp_path):
        _, again = get_teacher(f"{store_at}/teachers")
    assert not again.reused
    assert files(store_at)[name] == whole_one


def test_a_teachers_training_goes_on_on_another_machine(store_at, monkeypatch, tmp_path):
    trial = taught(train={"epochs": 4, "batch_size": 40, "lr": 0.01})

    def get(report):
        from kdsweep.train.ranks import ALONE
        from kdsweep.train.teacher_store import TeacherStore

        store = TeacherStore(f"{store_at}/teachers", checkpoint_every_s=0.0)
        return store.get(
            trial, trial.teacher, splits=splits_of(trial), device=CPU, report=report, ranks=ALONE
        )

    with pytest.raises(InterruptedError):
        get(stopping_at(2))
    heard = []

    def report(epoch, teacher=""):
        heard.append(epoch.epoch)
        return go_on(epoch)

    with another_machine(monkeypatch, tmp_path):
        get(report)
    assert heard == [3, 4]
    assert not [name for name in files(store_at) if "checkpoints" in name]


def outputs_on(node, address, master, tmp_path):
    place = Shared(f"{address}/teachers/t/outputs", tmp_path / node)
    return OutputStore(place, "weights", master, splits_of(whole()).train)


def test_outputs_are_made_once_for_all_nodes(store_at, tmp_path, small_blocks):  # noqa: F811
    first, second = counting(), counting()
    mine = rows(outputs_on("a", store_at, first, tmp_path), 1, (LAYER,))
    theirs = rows(outputs_on("b", store_at, second, tmp_path), 1, (LAYER,))
    assert sum(first.asked) == splits_of(whole()).train.num_samples
    assert second.asked == []
    for one, other in zip(mine, theirs, strict=True):
        assert torch.equal(one, other)
    for one, expected in zip(mine, live(teacher(), 1, (LAYER,)), strict=True):
        assert torch.equal(one, expected.half().float())


def test_what_overflows_is_known_on_other_nodes(store_at, tmp_path):
    with torch.no_grad():
        large = teacher().network
        for parameter in large.parameters():
            parameter.mul_(1e6)
    first, second = Counting(large), Counting(large)
    assert outputs_on("a", store_at, first, tmp_path).view(0, (), device=CPU) is None
    assert outputs_on("b", store_at, second, tmp_path).view(0, (), device=CPU) is None
    assert first.asked
    assert second.asked == []


def test_a_block_that_is_damaged_there_is_made_again(store_at, tmp_path):
    mine = rows(outputs_on("a", store_at, teacher(), tmp_path), 0)
    (name,) = [name for name in files(store_at) if name.endswith(".f16")]
    content = files(store_at)[name]
    put(f"{store_at}/{name}", bytes(len(content)))
    other = counting()
    assert torch.equal(rows(outputs_on("b", store_at, other, tmp_path), 0)[0], mine[0])
    assert other.asked
    assert files(store_at)[name] == content


def test_without_an_answer_outputs_are_made_here(store_at, s3_server, tmp_path, caplog):
    store = outputs_on("a", store_at, teacher(), tmp_path)
    s3_server.stop()
    try:
        with caplog.at_level(logging.WARNING):
            found = rows(store, 0)
    finally:
        s3_server.start()
    assert torch.equal(found[0], live(teacher(), 0)[0].half().float())
    assert "outputs of the teacher are made here" in caplog.text
    assert files(store_at) == {}


def test_a_block_that_another_node_is_at_is_left_to_it(store_at, tmp_path, monkeypatch):
    monkeypatch.setattr("kdsweep.storage.lease.LOOK_EVERY_S", 0.02)
    slow, fast = counting(), counting()
    a, b = (outputs_on(n, store_at, m, tmp_path) for n, m in (("a", slow), ("b", fast)))
    asked, go = threading.Event(), threading.Event()
    outputs = slow.outputs

    def waiting(*given, **named):
        asked.set()
        assert go.wait(30)
        return outputs(*given, **named)

    monkeypatch.setattr(slow, "outputs", waiting)
    threads = [threading.Thread(target=a.view, args=(0, ()), kwargs={"device": CPU})]
    threads[0].start()
    assert asked.wait(30)
    threads.append(threading.Thread(target=b.view, args=(0, ()), kwargs={"device": CPU}))
    threads[1].start()
    threads[1].join(1.0)
    assert threads[1].is_alive()
    go.set()
    for thread in threads:
        thread.join(30)
    assert sum(slow.asked) == splits_of(whole()).train.num_samples
    assert fast.asked == []
