"""What a session keeps between trials, how much of it, and the device in words."""

from pathlib import Path

import pytest
import torch
from tiny_trials import CPU, OF_TEACHER, TAUGHT, TRAIN, go_on, never, spec, taught

from kdsweep.spec import Component
from kdsweep.train.device import describe
from kdsweep.train.session import KEPT_DATA_SETS, KEPT_TEACHERS, Session


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(device=CPU, teachers=tmp_path)


def main(session, trial, report=go_on):
    """The trial's own teacher, where it lives in the session, and its card."""
    return session.teachers(trial, report)["teacher"]


def test_data_sets_are_kept_and_the_one_used_longest_ago_goes(session):
    trials = [spec(data={"limit": 50 + i}) for i in range(KEPT_DATA_SETS + 1)]
    kept = [session.splits(trial) for trial in trials[:-1]]
    assert session.splits(trials[0]) is kept[0]
    session.splits(trials[-1])
    assert session.splits(trials[0]) is kept[0]
    assert session.splits(trials[1]) is not kept[1]


def test_teachers_are_kept_and_the_one_used_longest_ago_goes(session):
    trials = [taught(train=TRAIN, seed=seed) for seed in range(KEPT_TEACHERS + 1)]
    kept = [main(session, trial)[0] for trial in trials[:-1]]
    assert main(session, trials[0], never)[0] is kept[0]
    main(session, trials[-1])
    assert main(session, trials[0], never)[0] is kept[0]
    found, card = main(session, trials[1], never)
    assert found is not kept[1]
    assert card.reused


def test_trials_that_differ_in_the_student_share_data_teacher_and_logits(session):
    other = TAUGHT.model_copy(update={"student": Component(**OF_TEACHER), "seed": 3})
    assert session.splits(other) is session.splits(TAUGHT)
    pairs = zip(main(session, TAUGHT), main(session, other, never), strict=True)
    assert all(one is two for one, two in pairs)


@pytest.mark.parametrize(("threads", "words"), [(1, "cpu (1 thread)"), (4, "cpu (4 threads)")])
def test_the_device_in_words(threads, words, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert describe(CPU) == words
