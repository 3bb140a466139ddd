import threading
from types import SimpleNamespace

import pytest
from run_records import run_meta, trial_result

from kdsweep.report import picture_files
from kdsweep.results.store import RunStore
from kdsweep.search import illustrator as module
from kdsweep.search.illustrator import Illustrator

SOON_S, PATIENCE_S = 0.005, 60.0


class Journal:
    """Of two complete trials, or more."""

    def __init__(self):
        self.results = [
            trial_result(0, metrics={"accuracy": 0.8, "params": 100.0}),
            trial_result(1, metrics={"accuracy": 0.9, "params": 200.0}),
        ]

    @property
    def front(self):
        return list(self.results)


class Tracker:
    def __init__(self):
        self.told = 0

    def pictures_written(self):
        self.told += 1


@pytest.fixture
def made(tmp_path, conditional):
    """An illustrator, its store and journal, and what it has told."""
    store = RunStore.create(tmp_path / "digits", meta=run_meta(), sweep_text="")
    journal, tracker, told = Journal(), Tracker(), []
    one = Illustrator(conditional, store, journal, tracker, tell=told.append, every_s=SOON_S)
    yield SimpleNamespace(one=one, store=store, journal=journal, tracker=tracker, told=told)
    one.leave()


def test_the_last_pictures_are_drawn_and_mlflow_hears_of_them(made):
    made.one.finish()
    names = {path.name for path in picture_files.picture_files(made.store)}
    assert {"front.csv", "front.png", "front.html", "hypervolume.png"} <= names
    assert (made.tracker.told, made.told) == (1, [])


def test_it_redraws_when_trials_have_ended_and_only_then(made, monkeypatch):
    drawn, again = [], threading.Event()

    def write(store, results, front, importance):
        drawn.append(len(results))
        again.set()

    monkeypatch.setattr(module, "write_pictures", write)
    made.one.start()
    assert again.wait(PATIENCE_S)
    again.clear()
    made.journal.results.append(trial_result(2))
    assert again.wait(PATIENCE_S)
    assert drawn == [2, 3]
    made.one.start()  # once


def test_it_takes_a_fiftieth_of_the_time_at_most(made, monkeypatch):
    pauses, clock = [], iter([0.0, 3.0, 3.0, 3.0])

    class Over:
        def wait(self, pause_s):
            pauses.append(pause_s)
            made.journal.results.append(trial_result(len(made.journal.results)))
            return len(pauses) == 3

        def set(self):
            pass

    monkeypatch.setattr(module, "write_pictures", lambda *given: None)
    monkeypatch.setattr(module.time, "thread_time", lambda: next(clock))
    made.one._over = Over()
    made.one._run()
    # Three seconds of drawing are followed by 150 without; none by the usual pause.
    assert pauses == [SOON_S, 150.0, SOON_S]


def test_a_picture_that_cannot_be_drawn_is_told_once_and_ends_nothing(made, monkeypatch):
    def broken(*given):
        raise ValueError("no such colour")

    monkeypatch.setattr(module, "write_pictures", broken)
    made.one.finish()
    made.one.finish()
    (said,) = made.told
    assert said.startswith(
        "warning: the pictures of the sweep cannot be drawn (ValueError: no such colour); its "
    )


def test_a_sweep_whose_records_have_room_does_not_fail_for_its_pictures(made, monkeypatch):
    def full(*given):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_pictures", full)
    made.one.finish()
    (said,) = made.told
    assert "cannot be drawn (No space left on device); its records are whole, and `kdsweep" in said


def test_pictures_in_an_object_store_come_less_often(tmp_path, conditional, monkeypatch):
    store = RunStore.create(tmp_path / "digits", meta=run_meta(), sweep_text="")
    assert Illustrator(conditional, store, Journal(), None, tell=print)._every_s == 60
    monkeypatch.setattr(module, "address_of", lambda directory: "s3://bucket/digits")
    assert Illustrator(conditional, store, Journal(), None, tell=print)._every_s == 600
