"""What ends a sweep that cannot go on, and the sentence for the person."""

import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
import ray
from search_sweeps import CONDITIONAL

from kdsweep.search import watch as watch_module
from kdsweep.search.budget import Budget, Spent
from kdsweep.search.cluster import Fitted
from kdsweep.search.job import Loss
from kdsweep.search.watch import TEACHER_KEY, Watch
from kdsweep.spec import TrialSpec
from kdsweep.spec.sweep import BudgetSpec
from kdsweep.sweep_file.read import parse_yaml

FITTED = Fitted(
    lanes=2, lanes_per_run=2, workers_per_trial=1, cpus_per_worker=1.0, gpus_per_worker=0.0
)
TRIAL = TrialSpec.model_validate(parse_yaml(CONDITIONAL)[0]["trial"])
NO_TEACHER = TRIAL.model_copy(update={"teacher": None})
CARD = {"teacher": "teacher", "reused": False, "accuracy": 0.9, "params": 1234}


class Board:
    """The switchboard as the watch sees it: every method is ``.remote()``, answered here."""

    def __init__(self):
        self.up, self.calls, self.looks, self.said = {}, [], 0, []
        self.teacher = {"last_teacher_epoch": None, "outcome": None}

    def __getattr__(self, name):
        return SimpleNamespace(remote=lambda *given: self._answer(name, *given))

    def _answer(self, name, *given):
        if name == "lanes":
            self.looks += 1
            return self.up
        if name == "events":
            said, self.said = self.said, []
            return said
        if name == "look":
            assert given == (TEACHER_KEY,)
            return self.teacher
        self.calls.append((name, *given))
        return None


class Lanes:
    """Two lanes, of which some may be lost."""

    def __init__(self):
        self.num_left, self.lost, self.noted = 2, {}, []

    def note(self, up):
        self.noted.append(up)

    def take_lost(self):
        lost, self.lost = self.lost, {}
        self.num_left -= len(lost)
        return lost


class Heard:
    """Stands for the display and for the journal."""

    def __init__(self):
        self.phases, self.messages, self.teachers, self.num_kept = [], [], [], 0
        self.fingerprints, self.num_looks_for_room = [], 0
        self.progress = self
        self.log = Path("runs/x/logs/driver.log")

    def phase(self, text):
        self.phases.append(text)

    def message(self, text):
        self.messages.append(text)

    def make_room(self, room):
        self.num_looks_for_room += 1

    def keep_running(self, lane_of):
        self.lane_of = lane_of
        self.num_kept += 1

    def warn(self, sentences):
        self.messages += [f"warning: {sentence}" for sentence in sentences]

    def data(self, outcome):
        self.fingerprints.append(outcome["data"])

    def teacher(self, card, trial):
        self.teachers.append((card, trial))


UNLIMITED = Budget(None, cost_per_hour=None)


class Scene:
    """A watch among stand-ins; ``ends`` starts it and waits until the search is closed."""

    def __init__(self):
        self.board, self.lanes, self.heard = Board(), Lanes(), Heard()
        self.closed = threading.Event()
        self.ups = []

    def watch(self, trial=NO_TEACHER, budget=UNLIMITED, **more):
        return Watch(
            self.board, self.lanes, FITTED, self.heard, trial, budget=budget,
            prepares=trial.teacher is not None, room=None,
            close_search=self.closed.set, on_up=lambda: self.ups.append("up"), **more,
        )  # fmt: skip

    def ends(self, watch, *, then=lambda: None):
        with watch:
            then()
            assert self.closed.wait(20)
        return watch.failure


@pytest.fixture
def scene(monkeypatch):
    monkeypatch.setattr(watch_module.ray, "get", lambda answer: answer)
    monkeypatch.setattr(watch_module, "LOOK_EVERY_S", 0.001)
    return Scene()


def test_all_lanes_lost(scene):
    scene.board.up = {"lane-000": {}, "lane-001": {}}
    scene.lanes.lost = {"lane-000": "out of memory", "lane-001": "out of memory"}
    failure = scene.ends(scene.watch())
    assert failure == "all lanes are lost: out of memory"
    assert scene.board.calls == [
        ("lost", ["lane-000", "lane-001"], Loss("out of memory", quiet=True)),
        ("abort", "all lanes are lost: out of memory"),
    ]


def test_one_lane_lost_is_no_end(scene):
    scene.board.up = {"lane-000": {}, "lane-001": {}}
    scene.lanes.lost = {"lane-001": "out of memory"}
    watch = scene.watch()
    failure = scene.ends(watch, then=lambda: (until(lambda: scene.board.calls), watch.stop()))
    assert failure is None
    assert watch.stopped
    assert (
        "lane-001: given up (out of memory); the sweep goes on with 1 lane" in scene.heard.messages
    )
    assert scene.board.calls == [
        ("lost", ["lane-001"], Loss("out of memory", quiet=True)),
        ("abort", "the sweep was stopped"),
    ]  # fmt: skip


def test_what_happened_to_lanes_is_told_and_who_gets_something_done_is_noted(scene):
    scene.board.up = {"lane-000": {"ended": 3, "has": "00007"}, "lane-002": {"has": None}}
    scene.board.said = ["lane-001 was lost (its node is gone)"]
    watch = scene.watch()
    scene.ends(watch, then=lambda: (until(lambda: scene.board.looks > 3), watch.stop()))
    assert scene.heard.messages.count("lane-001 was lost (its node is gone)") == 1
    # At once: who reads the records should not see it on that lane.
    assert (scene.heard.num_kept, scene.heard.lane_of) == (1, {"00007": "lane-000"})
    assert scene.lanes.noted[0] == scene.board.up


def test_a_sweep_that_is_no_longer_what_it_was_ends_before_it_begins(scene):
    scene.board.teacher["outcome"] = {"status": "failed", "changed": ("the data have changed",)}
    watch = scene.watch(TRIAL)
    assert scene.ends(watch) is None
    assert watch.changed == ["the data have changed"]
    assert scene.board.calls == [("abort", "the sweep has changed")]


def test_a_request_from_elsewhere_is_as_a_ctrl_c(scene, monkeypatch):
    monkeypatch.setattr(watch_module, "LOOK_FOR_REQUESTS_EVERY_S", 0.01)
    asked = []
    watch = scene.watch(why_stop=lambda: asked[0] if asked else None)
    failure = scene.ends(
        watch, then=lambda: (until(lambda: scene.board.looks > 3), asked.append("by a test"))
    )
    assert failure is None
    assert watch.stopped
    assert scene.heard.messages == ["stopping: by a test"]
    assert scene.board.calls == [("abort", "the sweep was stopped")]


def until(is_so):
    """Wait for another thread, which has twenty seconds."""
    for _ in range(20_000):
        if is_so():
            return
        threading.Event().wait(0.001)
    raise AssertionError("it never came to that")


def test_no_lane_within_the_time(scene, monkeypatch):
    monkeypatch.setattr(watch_module, "NO_LANE_AFTER_S", 0.01)
    monkeypatch.setattr(watch_module, "waits_for_room", lambda: True)
    monkeypatch.setattr(watch_module, "arithmetic", lambda fitted: f"{fitted.lanes} lanes need it")
    failure = scene.ends(scene.watch())
    assert failure == (
        "no lane came up within 0 s: 2 lanes need it; "
        "lower cluster.concurrent_trials or cpus_per_worker, or wait until it is free"
    )
    assert scene.board.calls == [("abort", failure)]
    assert scene.ups == []


def test_lanes_that_have_their_room_may_take_longer(scene, monkeypatch):
    monkeypatch.setattr(watch_module, "NO_LANE_AFTER_S", 0.0)
    monkeypatch.setattr(watch_module, "waits_for_room", lambda: False)
    monkeypatch.setattr(watch_module, "arithmetic", lambda fitted: "the arithmetic")
    watch = scene.watch()
    scene.ends(watch, then=lambda: (until(lambda: scene.board.looks >= 3), watch.stop()))
    assert watch.failure is None
    scene.closed.clear()
    monkeypatch.setattr(watch_module, "LANES_STUCK_AFTER_S", 0.0)
    assert scene.ends(scene.watch()).startswith("no lane came up within 0 s: the arithmetic")


def test_a_lane_that_is_up_may_take_its_time(scene, monkeypatch):
    monkeypatch.setattr(watch_module, "NO_LANE_AFTER_S", 0.0)
    scene.board.up = {"lane-000": {}}
    watch = scene.watch()
    scene.ends(watch, then=lambda: (until(lambda: "training" in scene.heard.phases), watch.stop()))
    assert watch.failure is None
    assert scene.ups == ["up"]


def test_lanes_that_were_up_have_as_long_to_come_back(scene, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(watch_module.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(watch_module, "waits_for_room", lambda: True)
    monkeypatch.setattr(watch_module, "arithmetic", lambda fitted: "the arithmetic")
    scene.board.up = {"lane-000": {}}
    watch = scene.watch()

    def lose_it_late():
        until(lambda: "training" in scene.heard.phases)
        clock[0] = 10 * watch_module.LANES_STUCK_AFTER_S
        looks = scene.board.looks
        until(lambda: scene.board.looks >= looks + 3)
        scene.board.up = {}
        clock[0] += watch_module.NO_LANE_AFTER_S - 1
        looks = scene.board.looks
        until(lambda: scene.board.looks >= looks + 3)
        assert watch.failure is None
        clock[0] += 2

    failure = scene.ends(watch, then=lose_it_late)
    seconds = watch_module.NO_LANE_AFTER_S + 1
    assert failure.startswith(f"no lane came back within {seconds:.0f} s: the arithmetic")


def test_a_teacher_that_cannot_be_made_ends_the_sweep(scene):
    scene.board.up = {"lane-000": {}}
    scene.board.teacher["outcome"] = {"status": "failed", "error": "epoch 3: the loss is nan"}
    failure = scene.ends(scene.watch(TRIAL))
    assert failure == "the teacher could not be made: epoch 3: the loss is nan"


def test_the_traceback_of_a_teacher_goes_to_the_log(scene, caplog):
    scene.board.up = {"lane-000": {}}
    why = {"error": "net.py, line 3, in forward: KeyError: 'x'", "traceback": "Traceback: all"}
    scene.board.teacher["outcome"] = {"status": "failed", **why}
    failure = scene.ends(scene.watch(TRIAL))
    assert failure.startswith(f"the teacher could not be made: {why['error']} (the whole traceback")
    assert failure.endswith("driver.log)")
    assert "Traceback: all" in caplog.text
    assert scene.heard.teachers == []


@pytest.mark.parametrize(("reused", "how"), [(False, "ready"), (True, "found")])
def test_a_teacher_that_is_there_is_told_once(scene, reused, how):
    card = CARD | {"reused": reused}
    scene.board.up = {"lane-000": {}}
    scene.board.teacher["outcome"] = {
        "status": "complete",
        "data": "abc",
        "examples": {},
        "teachers": [card],
    }
    watch = scene.watch(TRIAL)
    scene.ends(watch, then=lambda: (until(lambda: scene.heard.messages), watch.stop()))
    assert scene.heard.teachers == [(card, TRIAL)]
    assert scene.heard.messages == [f"teacher {how}: accuracy 90.00%, 1,234 parameters"]
    assert scene.heard.phases[-1] == "training"


def test_what_another_thread_cannot_write_ends_the_sweep_too(scene):
    watch = scene.watch()
    failure = scene.ends(watch, then=lambda: watch.refuse("no room"))
    assert failure.startswith("the sweep cannot write what it must: no room; ")


def test_what_lanes_warn_of_goes_to_the_journal_which_says_it_once(scene):
    scene.board.up = {"lane-000": {}}
    scene.board.said = ["warning: stored outputs are damaged", "lane-001 was lost (it died)"]
    watch, heard = scene.watch(), scene.heard.messages
    scene.ends(watch, then=lambda: (until(lambda: len(heard) >= 2), watch.stop()))
    assert heard == ["warning: stored outputs are damaged", "lane-001 was lost (it died)"]


def test_what_cannot_be_written_is_known_where_the_sweep_ends_with_it(scene):
    watch = scene.watch()
    with watch:
        watch.refuse("no room")
    assert watch.failure.startswith("the sweep cannot write what it must: no room; ")


def test_a_full_disk_ends_the_sweep(scene):
    def full(card, trial):
        raise OSError(28, "No space left on device")

    scene.heard.teacher = full
    scene.board.up = {"lane-000": {}}
    scene.board.teacher["outcome"] = {
        "status": "complete",
        "data": "abc",
        "examples": {},
        "teachers": [CARD],
    }
    failure = scene.ends(scene.watch(TRIAL))
    assert failure == (
        "the sweep cannot write what it must: [Errno 28] No space left on device; make room, and "
        "`kdsweep resume` goes on"
    )


def test_the_epochs_of_the_teacher_are_shown(scene):
    scene.board.up = {"lane-000": {}}
    scene.board.teacher["last_teacher_epoch"] = {"teacher": "teacher", "epoch": 1, "accuracy": 0.25}
    watch = scene.watch(TRIAL)
    shown = "teacher: epoch 1/1, accuracy 25.0%"
    scene.ends(watch, then=lambda: (until(lambda: shown in scene.heard.phases), watch.stop()))
    assert "training" not in scene.heard.phases


def test_of_several_teachers_each_is_named(scene):
    large = {"model": {"name": "cnn"}, "train": {"epochs": 7}}
    two = TrialSpec.model_validate({**TRIAL.model_dump(), "teachers": {"large": large}})
    scene.board.up = {"lane-000": {}}
    scene.board.teacher["last_teacher_epoch"] = {"teacher": "large", "epoch": 2, "accuracy": 0.5}
    watch = scene.watch(two)

    def until_both_are_there():
        until(lambda: "teacher large: epoch 2/7, accuracy 50.0%" in scene.heard.phases)
        found = {**CARD, "teacher": "large", "reused": True}
        scene.board.teacher["outcome"] = {
            "status": "complete",
            "data": "abc",
            "examples": {},
            "teachers": [CARD, found],
            "warnings": ["few pieces"],
        }
        until(lambda: "training" in scene.heard.phases)
        watch.stop()

    scene.ends(watch, then=until_both_are_there)
    assert scene.heard.messages == [
        "warning: few pieces",
        "teacher ready: accuracy 90.00%, 1,234 parameters",
        "teacher large found: accuracy 90.00%, 1,234 parameters",
    ]


def test_a_stop_is_no_failure_though_the_teacher_is_cut_short(scene):
    scene.board.up = {"lane-000": {}}
    watch = scene.watch(TRIAL)
    watch.stop()
    assert scene.ends(watch) is None
    assert watch.stopped
    assert scene.board.calls == [("abort", "the sweep was stopped")]


LOST = "teacher: cut short after epoch 1 of 1; it goes on from its last checkpoint the next time"


def test_a_teacher_that_a_stop_cuts_short_is_told(scene):
    scene.board.up = {"lane-000": {}}
    scene.board.teacher["last_teacher_epoch"] = {"teacher": "teacher", "epoch": 1, "accuracy": 0.25}
    watch = scene.watch(TRIAL)
    watch.stop()
    assert scene.ends(watch) is None
    assert scene.heard.messages == [LOST]


def test_a_cluster_that_is_gone_ends_the_sweep(scene, monkeypatch):
    def gone(answer):
        raise ray.exceptions.RayActorError(error_msg="The actor died.\nMore of it.")

    monkeypatch.setattr(watch_module.ray, "get", gone)
    failure = scene.ends(scene.watch())
    assert failure == "the sweep lost its cluster: The actor died."
    stopped = Scene()
    watch = stopped.watch()
    watch.stop()
    assert stopped.ends(watch) is None
    assert watch.stopped


def test_a_teacher_of_which_no_epoch_has_ended_is_told_too(scene):
    scene.board.up = {"lane-000": {}}
    watch = scene.watch(TRIAL)
    said = "preparing the data and the teacher"
    scene.ends(watch, then=lambda: (until(lambda: said in scene.heard.phases), watch.stop()))
    assert scene.heard.messages == ["teacher: cut short before it was there"]


def test_what_is_spent_is_written_down_while_the_sweep_runs(scene, monkeypatch):
    monkeypatch.setattr(watch_module, "KEEP_SPENT_EVERY_S", 0.0)
    kept = []
    budget = Budget(None, cost_per_hour=36.0, spent=Spent(100.0, 7))
    watch = Watch(
        scene.board, scene.lanes, FITTED, scene.heard, NO_TEACHER,
        prepares=False, room=None, budget=budget, close_search=scene.closed.set,
        keep_spent=kept.append,
    )  # fmt: skip
    scene.ends(watch, then=lambda: (until(lambda: len(kept) >= 2), watch.stop()))
    assert kept[0].epochs == 7
    assert 100.0 < kept[0].seconds < kept[1].seconds
    assert kept[0].cost == pytest.approx(kept[0].seconds / 100)


def test_nothing_is_written_down_of_a_sweep_that_may_be_refused(scene, monkeypatch):
    monkeypatch.setattr(watch_module, "KEEP_SPENT_EVERY_S", 0.0)
    kept = []
    watch = scene.watch(TRIAL, may_be_refused=True, keep_spent=kept.append)

    def then():
        until(lambda: scene.board.looks > 5)
        assert (kept, scene.ups, scene.heard.num_kept) == ([], [], 0)
        scene.board.teacher["outcome"] = {
            "status": "complete",
            "data": "x",
            "examples": {},
            "teachers": [CARD],
        }
        until(lambda: kept)
        watch.stop()

    scene.ends(watch, then=then)
    assert scene.ups == ["up"]


SPENT = Budget(BudgetSpec(hours=1), cost_per_hour=None, spent=Spent(seconds=3600.0))


@pytest.mark.parametrize(("trial", "told"), [(NO_TEACHER, []), (TRIAL, [LOST])])
def test_a_budget_that_is_spent_ends_the_sweep_as_one_that_is_complete(scene, trial, told):
    scene.board.teacher["last_teacher_epoch"] = {"teacher": "teacher", "epoch": 1, "accuracy": 0.25}
    watch = scene.watch(trial, budget=SPENT)
    assert scene.ends(watch) is None
    assert watch.ended_by == "the budget of 1 h is spent"
    assert not watch.stopped
    assert scene.board.calls == [("abort", watch.ended_by)]
    assert scene.heard.messages == told
