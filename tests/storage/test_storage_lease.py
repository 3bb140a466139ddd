import threading

import pytest
from object_store import files, put

from kdsweep.storage import lease as lease_module
from kdsweep.storage.lease import Lease, Seen, alone
from kdsweep.storage.objects import StorageError, objects_at


def lease(address, who):
    return Lease(objects_at(address), "x/driver", {"who": who})


def test_the_first_has_it_and_the_second_sees_who(store_at):
    first, second = lease(store_at, "a"), lease(store_at, "b")
    assert first.seen() == Seen()
    assert first.take(first.seen())
    seen = second.seen()
    assert (seen.number, seen.holder, seen.over) == (1, {"who": "a"}, False)
    assert 0 <= second.silent_s(seen) < 30
    assert first.beat()


def test_what_was_given_up_is_taken_by_one_of_many(store_at):
    first = lease(store_at, "a")
    first.take(first.seen())
    first.give_up(leave=True)
    others = [lease(store_at, str(number)) for number in range(8)]
    seen = others[0].seen()
    assert seen.over
    won = []
    threads = [
        threading.Thread(target=lambda other=other: won.append(other.take(seen)))
        for other in others
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [False] * 7 + [True]
    assert others[0].seen().number == 2
    assert list(files(store_at)) == ["x/driver-00002.json"]


def test_who_was_taken_for_dead_learns_that_it_has_lost(store_at):
    first, second = lease(store_at, "a"), lease(store_at, "b")
    first.take(first.seen())
    assert second.take(second.seen())
    assert not first.beat()
    first.give_up(leave=True)
    seen = first.seen()
    assert (seen.holder, seen.over) == ({"who": "b"}, False)


def test_half_an_object_is_of_somebody(store_at):
    put(f"{store_at}/x/driver-00007.json", b'{"hol')
    seen = lease(store_at, "a").seen()
    assert (seen.number, seen.over) == (7, False)


def test_it_is_had_while_the_context_lasts(store_at):
    with alone(lease(store_at, "a")) as mine:
        assert mine
        with alone(lease(store_at, "b"), wait=False) as theirs:
            assert not theirs
    assert files(store_at) == {}
    with alone(lease(store_at, "b"), wait=False) as theirs:
        assert theirs


def test_it_is_given_up_where_the_context_fails(store_at):
    with pytest.raises(RuntimeError), alone(lease(store_at, "a")):
        raise RuntimeError
    assert files(store_at) == {}


def test_who_waits_goes_on_when_it_is_no_longer_needed(store_at, monkeypatch):
    monkeypatch.setattr(lease_module, "LOOK_EVERY_S", 0.01)
    looks = []

    def enough():
        looks.append(1)
        return len(looks) == 3

    with alone(lease(store_at, "a")), alone(lease(store_at, "b"), enough=enough) as mine:
        assert not mine
    assert len(looks) == 3


def test_what_another_has_made_is_not_made_again(store_at):
    with alone(lease(store_at, "b"), enough=lambda: True) as mine:
        assert not mine
    assert files(store_at) == {}


def test_the_right_is_free_again_where_it_cannot_be_known_whether_it_is_needed(store_at):
    def enough():
        raise StorageError("away")

    with pytest.raises(StorageError), alone(lease(store_at, "b"), enough=enough):
        raise AssertionError
    assert files(store_at) == {}


def test_who_looks_while_it_changes_hands_sees_the_next(store_at, monkeypatch):
    first, second = lease(store_at, "a"), lease(store_at, "b")
    first.take(first.seen())
    numbers = Lease._numbers

    def slow(self):
        found = numbers(self)
        if self is first and len(found) == 1 and found[0] == 1:
            assert second.take(second.seen())
        return found

    monkeypatch.setattr(Lease, "_numbers", slow)
    seen = first.seen()
    assert (seen.number, seen.holder, seen.over) == (2, {"who": "b"}, False)


def test_a_silent_holder_is_followed_by_who_waits(store_at, monkeypatch):
    monkeypatch.setattr(lease_module, "DEAD_AFTER_S", 0.0)
    dead = lease(store_at, "dead")
    dead.take(dead.seen())
    with alone(lease(store_at, "b"), wait=False) as mine:
        assert mine
        assert not dead.beat()


def test_it_stays_fresh(store_at, monkeypatch):
    monkeypatch.setattr(lease_module, "BEAT_EVERY_S", 0.05)
    beats = threading.Event()
    beat = Lease.beat

    def heard(self):
        beats.set()
        return beat(self)

    monkeypatch.setattr(Lease, "beat", heard)
    with alone(lease(store_at, "a")):
        assert beats.wait(10)
