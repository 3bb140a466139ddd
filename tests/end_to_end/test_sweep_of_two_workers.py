"""Trials of two workers each: one lane, whose gradients are shared."""

import pytest
from finished_sweeps import DIGITS, finished, heard, records
from listening import HAS_PROC, beyond_this_machine

from kdsweep.sweep_file.plan import this_machine

pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(this_machine().cpus < 2, reason="needs two processors"),
]


@pytest.fixture(scope="module")
def shared_and_heard(home, swept):
    text = DIGITS.replace("trials: 6, seed: 6, batch: 2", "trials: 2, seed: 6")
    text = text.replace("name: digits\n", "name: digits-two-workers\n", 1)
    text += "cluster: {workers_per_trial: 2, concurrent_trials: 1}\ntracking: {enabled: false}\n"
    (home / "two.yaml").write_text(text)
    done, sockets = heard("run", "two.yaml", cwd=home)
    finished(done)
    return records(home / "runs" / "digits-two-workers")[1], sockets


@pytest.fixture(scope="module")
def shared(shared_and_heard):
    return shared_and_heard[0]


def test_all_trials_are_complete_on_one_lane(shared):
    assert [(t.status, t.error) for t in shared] == [("complete", None)] * 4
    assert {t.lane for t in shared} == {"lane-000"}
    assert [[e.epoch for e in t.epochs] for t in shared] == [[1, 2, 3]] * 4


def test_two_workers_train_the_student_that_one_trains_to_rounding(home, shared):
    """The controls and the first two trials are the same in both sweeps."""
    alone = records(home / "runs" / "digits")[1]
    for one, two in zip(alone[:4], shared, strict=True):
        assert one.trial == two.trial
        assert [e.loss for e in two.epochs] == pytest.approx([e.loss for e in one.epochs], rel=2e-3)
        # One of the 359 images of validation may fall to the other side.
        assert two.metrics["accuracy"] == pytest.approx(one.metrics["accuracy"], abs=1.5 / 359)
        for term, value in one.epochs[-1].train.items():
            assert two.epochs[-1].train[term] == pytest.approx(value, rel=2e-3)


@pytest.mark.skipif(not HAS_PROC, reason="reads Linux's /proc")
def test_the_workers_meet_on_this_machine_alone(shared_and_heard):
    _, sockets = shared_and_heard
    # Ray's, torch's store, and one of gloo for each of the two.
    assert len([place for place in sockets if place[0] == "127.0.0.1"]) >= 3
    assert beyond_this_machine(sockets) == {}
