"""What a session keeps between trials, how much of it, and the device in words."""

from pathlib import Path

import pytest
import torch
from tiny_trials import CPU, OF_TEACHER, TAUGHT, TRAIN, go_on, never, spec, taught

from kdsweep.spec import Component
from kdsweep.train import session as session_module
from kdsweep.train.device import describe
from kdsweep.train.kept import AT_LEAST, Kept
from kdsweep.train.session import Session


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(device=CPU, teachers=tmp_path)


def main(session, trial, report=go_on):
    """The trial's own teacher, where it lives in the session, and its card."""
    return session.teachers(trial, report)["teacher"]


@pytest.fixture
def no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is small enough to be kept for its size."""
    monkeypatch.setattr(session_module, "KEPT_DATA_BYTES", 0)
    monkeypatch.setattr(session_module, "KEPT_TEACHER_BYTES", 0)


def test_of_what_is_large_the_two_used_last_are_kept(no_room, session):
    trials = [spec(data={"limit": 50 + i}) for i in range(AT_LEAST + 1)]
    kept = [session.splits(trial) for trial in trials[:-1]]
    assert session.splits(trials[0]) is kept[0]
    session.splits(trials[-1])
    assert session.splits(trials[0]) is kept[0]
    assert session.splits(trials[1]) is not kept[1]


def test_of_large_teachers_the_two_used_last_are_kept(no_room, session):
    trials = [taught(train=TRAIN, seed=seed) for seed in range(AT_LEAST + 1)]
    kept = [main(session, trial)[0] for trial in trials[:-1]]
    assert main(session, trials[0], never)[0] is kept[0]
    main(session, trials[-1])
    assert main(session, trials[0], never)[0] is kept[0]
    found, card = main(session, trials[1], never)
    assert found is not kept[1]
    assert card.reused


def test_small_data_sets_and_teachers_are_all_kept(session):
    trials = [
        taught(train=TRAIN, seed=0).model_copy(update={"data": spec(data={"limit": 50 + i}).data})
        for i in range(AT_LEAST + 3)
    ]
    data = [session.splits(trial) for trial in trials]
    teachers = [main(session, trial)[0] for trial in trials]
    assert all(session.splits(t) is each for t, each in zip(trials, data, strict=True))
    assert all(main(session, t, never)[0] is each for t, each in zip(trials, teachers, strict=True))


def test_things_go_by_their_size_those_used_longest_ago_first():
    made: list[int] = []

    def get(kept: Kept[int], size: int) -> None:
        def make() -> int:
            made.append(size)
            return size

        assert kept.get(str(size), make) == size

    kept: Kept[int] = Kept(lambda size: size, most_bytes=100)
    for size in (10, 20, 30, 40):
        get(kept, size)
    get(kept, 10)
    get(kept, 41)
    assert made == [10, 20, 30, 40, 41]
    # 10, 30, 40 and 41 are more than there is room for; without 30 they are not.
    for size in (10, 40, 41):
        get(kept, size)
    assert made == [10, 20, 30, 40, 41]
    get(kept, 30)
    assert made == [10, 20, 30, 40, 41, 30]


def test_trials_that_differ_in_the_student_share_data_teacher_and_logits(session):
    other = TAUGHT.model_copy(update={"student": Component(**OF_TEACHER), "seed": 3})
    assert session.splits(other) is session.splits(TAUGHT)
    pairs = zip(main(session, TAUGHT), main(session, other, never), strict=True)
    assert all(one is two for one, two in pairs)


@pytest.mark.parametrize(("threads", "words"), [(1, "cpu (1 thread)"), (4, "cpu (4 threads)")])
def test_the_device_in_words(threads, words, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert describe(CPU) == words
