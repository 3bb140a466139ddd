"""The journal: the run directory first, then whoever else listens."""

import json
import math
import uuid

import pytest
from search_sweeps import epoch

from kdsweep.results.latency import BatchLatency, Latency
from kdsweep.results.meta import RunMeta
from kdsweep.results.store import RunStore
from kdsweep.search import journal as journal_module
from kdsweep.search.journal import Journal
from kdsweep.spec import TrialSpec

TRIAL = TrialSpec.model_validate(
    {
        "data": {"name": "digits"},
        "teacher": {"model": {"name": "cnn", "width": 8, "stages": 2}, "train": {"epochs": 3}},
        "student": {"name": "cnn", "width": 4, "stages": 2},
        "strategy": {"name": "kd", "temperature": 4.0, "alpha": 0.25},
        "train": {"epochs": 5},
    }
)
CARD = {
    "teacher": "teacher", "digest": "0123456789abcdef01234567", "model": {"name": "cnn"},
    "data": "fingerprint",
    "accuracy": 0.9, "loss": 0.3, "params": 1000, "macs": 5000, "size_bytes": 4000,
    "device": "a processor", "weights_sha256": "", "seconds": 2.5, "reused": False,
    "epochs": [epoch(1).model_dump()],
}  # fmt: skip


class Listener:
    """Stands for the display and for MLflow: what it heard, and what was on disk by then."""

    def __init__(self, store):
        self.store, self.heard = store, []

    def _note(self, what, key):
        on_disk = {result.trial_id: result.status for result in self.store.read()}
        self.heard.append((what, key, on_disk.get(key)))

    def trial_started(self, key, name):
        self._note("started", key)

    def trial_epoch(self, key, metrics, epochs):
        self._note(f"epoch {metrics.epoch}/{epochs}", key)

    def trial_ended(self, result, front):
        self._note("ended", result.trial_id)
        self.front = [each.trial_id for each in front]

    def stands(self, results, front):
        self.told_to_stand = [each.trial_id for each in front]

    def message(self, text):
        self.heard.append(("said", text, None))

    def log(self, result):
        self._note(f"logged {result.status}", result.trial_id)


@pytest.fixture
def store(tmp_path):
    meta = RunMeta(
        sweep_id=uuid.uuid4().hex,
        name="run",
        created="2026-11-21T10:00:00+00:00",
        objectives={"accuracy": "max", "params": "min"},
        constraints={"params": {"max": 500.0}},
    )
    return RunStore.create(tmp_path / "run", meta=meta, sweep_text="")


@pytest.fixture
def listener(store):
    return Listener(store)


@pytest.fixture
def journal(store, listener):
    return Journal(store, listener, listener)


def begin(journal, number=0, trial=TRIAL):
    return journal.begin(f"{number:05d}", number, "trial", trial, {"student.width": 4}, {"w": 4})


def complete(accuracy, params, **more):
    return {
        "status": "complete",
        "metrics": {"accuracy": accuracy, "params": params},
        "raw_weights": {"kd": 0.5},
        "device": "a processor",
        "seconds": 1.5,
        **more,
    }


def test_a_record_is_on_disk_before_anything_else_hears_of_it(journal, listener):
    begin(journal)
    journal.end("00000", complete(0.5, 100.0))
    begin(journal, 1)
    journal.end("00001", {"status": "failed", "error": "the loss is nan"})
    assert listener.heard == [
        ("started", "00000", "running"),
        ("ended", "00000", "complete"),
        ("logged complete", "00000", "complete"),
        ("started", "00001", "running"),
        ("ended", "00001", "failed"),
        ("logged failed", "00001", "failed"),
    ]


def test_the_record_is_all_that_is_known(journal, store):
    begin(journal)
    journal.epochs("00000", [epoch(1).model_dump(), epoch(2, 0.6).model_dump()], "lane-001")
    journal.end("00000", complete(0.6, 100.0))
    (result,) = store.read()
    assert result.epochs == (epoch(1), epoch(2, 0.6))
    assert (result.role, result.lane, result.device) == ("trial", "lane-001", "a processor")
    assert (result.changes, result.params) == ({"student.width": 4}, {"w": 4})
    assert result.metrics == {"accuracy": 0.6, "params": 100.0}
    assert result.weights_of_terms == {"kd": 0.5}
    assert result.weights == "trials/00000/student.safetensors"
    assert result.seconds == 1.5
    # Written out in full, so that other defaults of another version do not change it.
    assert result.trial["strategy"]["alpha"] == 0.25
    assert result.trial["train"]["optimizer"]["name"] == "adamw"
    assert result.error is None
    assert journal.results == [result.model_copy(update={"epochs": ()})]


def test_a_trial_that_failed_has_no_weights_and_says_why(journal, store):
    begin(journal)
    journal.end("00000", {"status": "failed", "error": "out of memory"})
    (result,) = store.read()
    assert (result.status, result.error, result.weights) == ("failed", "out of memory", None)
    assert result.metrics == {}
    assert journal.front == []


def test_a_loss_that_diverged_reads_back(journal, store):
    begin(journal)
    diverged = epoch(1).model_copy(update={"loss": math.nan}).model_dump()
    journal.epochs("00000", [diverged], "lane-000")
    journal.end("00000", {"status": "failed", "error": "nan"})
    assert math.isnan(store.read()[0].epochs[0].loss)


def test_epochs_that_are_told_twice_are_kept_once_and_in_order(journal, listener, store):
    begin(journal)
    journal.epochs("00000", [epoch(1).model_dump(), epoch(2).model_dump()], "lane-000")
    # Another worker starts the trial over.
    journal.epochs("00000", [epoch(1, 0.7).model_dump()], "lane-001")
    journal.epochs("00000", [epoch(2, 0.7).model_dump(), epoch(3, 0.8).model_dump()], "lane-001")
    journal.end("00000", complete(0.8, 100.0))
    (result,) = store.read()
    assert [e.epoch for e in result.epochs] == [1, 2, 3]
    assert [e.accuracy for e in result.epochs] == [0.7, 0.7, 0.8]
    assert result.lane == "lane-001"
    shown = [what for what, _, _ in listener.heard if what.startswith("epoch")]
    assert shown == ["epoch 2/5", "epoch 3/5"]


def test_mlflow_hears_of_a_running_trial_now_and_then(journal, listener, monkeypatch):
    monkeypatch.setattr(journal_module, "TRACK_RUNNING_EVERY_S", 0.0)
    begin(journal)
    journal.epochs("00000", [epoch(1).model_dump()], "lane-000")
    monkeypatch.setattr(journal_module, "TRACK_RUNNING_EVERY_S", 3600.0)
    journal.epochs("00000", [epoch(2).model_dump()], "lane-000")
    logged = [what for what, _, _ in listener.heard if what.startswith("logged")]
    assert logged == ["logged running"]


def test_the_front_is_kept_up_to_date_within_the_constraints(journal, listener):
    fronts = []
    for number, (accuracy, params) in enumerate(
        [(0.5, 200.0), (0.6, 100.0), (0.9, 600.0), (0.7, 300.0), (0.6, 100.0)]
    ):
        begin(journal, number)
        journal.end(f"{number:05d}", complete(accuracy, params))
        fronts.append([int(result.trial_id) for result in journal.front])
        assert [int(key) for key in listener.front] == fronts[-1]
        assert listener.told_to_stand == listener.front
    # 1 dominates 0; 2 is too large; 3 is larger and better than 1; 4 only repeats 1.
    assert fronts == [[0], [1], [1], [1, 3], [1, 3]]


def test_a_journal_that_goes_on_knows_what_was_done(store, listener):
    earlier = Journal(store, listener, None)
    for number, status in enumerate(["complete", "failed", "stopped"]):
        begin(earlier, number)
        earlier.end(f"{number:05d}", complete(0.5, 100.0) | {"status": status})
    begin(earlier, 3)
    journal = Journal(store, listener, None, done=store.read())
    # What was cut short will run again, and is no result until then.
    assert [result.status for result in journal.results] == ["complete", "failed"]
    assert [result.number for result in journal.front] == [0]


def test_what_still_runs_at_the_end_is_recorded_as_stopped_with_its_epochs(journal, store):
    begin(journal)
    begin(journal, 1)
    journal.end("00000", complete(0.5, 100.0))
    journal.epochs("00001", [epoch(1).model_dump()], "lane-000")
    journal.end_open("the sweep was stopped")
    journal.end_open("again")
    first, second = store.read()
    assert first.status == "complete"
    assert (second.status, second.error) == ("stopped", "the sweep was stopped")
    assert [e.epoch for e in second.epochs] == [1]
    assert second.weights is None


def test_a_teacher_is_recorded_once_as_a_record_of_its_own(journal, listener, store):
    journal.teacher(CARD, TRIAL)
    journal.teacher(CARD | {"reused": True}, TRIAL)
    begin(journal)
    journal.teacher_of("00000", CARD | {"reused": True})
    teachers = [result for result in store.read() if result.role == "teacher"]
    (teacher,) = teachers
    assert teacher.trial_id == "teacher-01234567"
    assert teacher.metrics == {
        "accuracy": 0.9, "loss": 0.3, "params": 1000.0, "macs": 5000.0, "size_bytes": 4000.0,
    }  # fmt: skip
    assert teacher.epochs == (epoch(1),)
    assert listener.heard.count(("logged complete", teacher.trial_id, "complete")) == 1
    meta = RunStore.open(store.directory).meta
    assert meta.teacher.hash == CARD["digest"]
    assert (meta.teacher.accuracy, meta.teacher.params) == (0.9, 1000)
    assert meta.teacher.reused is False
    assert journal.front == []


def test_the_latency_of_a_teacher_is_in_its_record_also_where_a_trial_told_of_it_first(
    journal, listener, store
):
    begin(journal)
    journal.teacher_of("00000", CARD)
    took = BatchLatency(batch=1, p50_ms=0.25, p95_ms=0.5, blocks=1, runs=5)
    latency = Latency(device="EPYC", busy=True, lanes=2, batches=(took,))
    journal.teacher(CARD | {"latency": latency.model_dump()}, TRIAL)
    (teacher,) = [result for result in store.read() if result.role == "teacher"]
    assert teacher.metrics["latency_ms"] == 0.25
    assert teacher.latency == latency
    assert listener.heard.count(("logged complete", teacher.trial_id, "complete")) == 2


def test_what_a_trial_says_of_its_teacher_does_not_hide_what_it_reaches_on_test_data(
    journal, store, listener
):
    begin(journal)
    journal.teacher_of("00000", CARD | {"reused": True})
    journal.teacher(CARD | {"test_accuracy": 0.75, "test_loss": 0.5}, TRIAL)
    journal.teacher_of("00000", CARD | {"reused": True})
    (teacher,) = [result for result in store.read() if result.role == "teacher"]
    assert teacher.metrics["test_accuracy"] == 0.75
    assert [r.metrics["test_accuracy"] for r in journal.results] == [0.75]
    assert listener.heard.count(("logged complete", teacher.trial_id, "complete")) == 2


def test_the_data_are_noted_once(journal, store):
    known = {"examples": {"train": 9}, "num_classes": 10, "inputs": {"images": (1, 8, 8)}}
    journal.data({"data": "fingerprint", **known})
    journal.data({"data": "another", **known, "num_classes": 3})
    meta = RunStore.open(store.directory).meta
    assert (meta.data_fingerprint, meta.examples) == ("fingerprint", {"train": 9})
    assert (meta.num_classes, meta.inputs) == (10, {"images": (1, 8, 8)})


def test_trials_are_called_by_what_the_sweep_varies(store, listener):
    names = [
        Journal(store, listener, None, varied=varied).begin("00000", 0, "trial", TRIAL, {}, {}).name
        for varied in (None, {"student.width", "train.lr"})
    ]
    assert names == ["kd w4 d1 s2 T4 a0.25", "kd w4 T4 a0.25"]


def test_running_trials_are_written_down_with_their_epochs_and_never_after_their_end(
    journal, store
):
    begin(journal)
    journal.epochs("00000", [epoch(1).model_dump()], "lane-000")
    assert store.read()[0].epochs == ()
    journal.keep_running({"00000": "lane-001"})
    (kept,) = store.read()
    assert (kept.status, kept.epochs) == ("running", (epoch(1),))
    path = store.trial_dir("00000") / "result.json"
    before = path.stat().st_ino
    journal.keep_running({"00000": "lane-001"})
    assert path.stat().st_ino == before
    journal.end("00000", {"status": "complete"})
    journal.keep_running({"00000": "lane-001"})
    assert store.read()[0].status == "complete"


def test_a_trial_whose_lane_is_no_more_waits_for_another(journal, store):
    begin(journal)
    journal.epochs("00000", [epoch(1).model_dump()], "lane-000")
    found = []
    for lane_of in ({"00000": "lane-000"}, {}, {"00000": "lane-001"}, {}):
        journal.keep_running(lane_of)
        found.append(store.read()[0].lane)
    assert found == ["lane-000", "waiting", "lane-001", "waiting"]
    journal.end("00000", {"status": "stopped"})
    assert store.read()[0].lane == ""


@pytest.mark.parametrize(("status", "left"), [("complete", False), ("stopped", True)])
def test_checkpoints_go_when_a_trial_has_ended_for_good(journal, store, status, left):
    begin(journal)
    place = store.checkpoints_of("00000")
    place.mkdir()
    (place / "00001-0123456789abcdef.safetensors").write_bytes(b"")
    journal.end("00000", {"status": status})
    assert place.exists() is left


def test_a_sweep_that_may_be_refused_writes_nothing_until_it_begins(store, listener):
    first = Journal(store, listener, None)
    begin(first)
    first.epochs("00000", [epoch(1).model_dump()], "lane-001")
    first.keep_running({"00000": "lane-001"})
    before = (store.trial_dir("00000") / "result.json").read_bytes()
    second = Journal(store, listener, listener, done=store.read(), may_be_refused=True)
    begin(second)
    begin(second, 1)
    begin(second, 2)
    second.keep_running({"00000": "lane-001"})
    second.end("00001", {"status": "failed", "error": "refused as it was made"})
    second.end("00000", {"status": "stopped"})
    assert (store.trial_dir("00000") / "result.json").read_bytes() == before
    assert [result.trial_id for result in store.read()] == ["00000"]
    assert not [what for what, _, _ in listener.heard if what.startswith(("ended", "logged"))]
    second.begin_for_sure()
    assert [result.status for result in store.read()] == ["stopped", "failed", "running"]
    # A trial of a moment may end before it is known that the sweep begins: it is told by then.
    assert [heard for heard in listener.heard if heard[0].startswith(("ended", "logged"))] == [
        ("ended", "00001", "failed"), ("logged failed", "00001", "failed"),
        ("ended", "00000", "stopped"), ("logged stopped", "00000", "stopped"),
    ]  # fmt: skip
    # Nobody has trained it since: what was known of it is still known.
    assert store.read()[0].epochs == (epoch(1),)


def test_epochs_of_an_earlier_process_stay_until_a_lane_tells_others(store, listener):
    first = Journal(store, listener, None)
    for number in range(3):
        begin(first, number)
        told = [epoch(n).model_dump() for n in (1, 2)]
        first.epochs(f"{number:05d}", told, "lane-001")
    first.keep_running({"00000": "lane-001"})
    second = Journal(store, listener, None, done=store.read())
    for number in range(3):
        begin(second, number)
    second.epochs("00000", [epoch(1, 0.9).model_dump()], "lane-000")
    second.epochs("00001", [epoch(n).model_dump() for n in (1, 2, 3)], "lane-000", 2)
    second.epochs("00002", [], "lane-000")
    assert [second.trained(f"{n:05d}") for n in range(3)] == [1, 1, 0]
    second.end_open("the sweep was stopped")
    assert [result.epochs for result in store.read()] == [
        (epoch(1, 0.9),), (epoch(1), epoch(2), epoch(3)), (epoch(1), epoch(2)),
    ]  # fmt: skip


def test_what_cut_a_trial_short_is_in_its_record(store, listener):
    first = Journal(store, listener, None)
    begin(first)
    first.epochs("00000", [epoch(1).model_dump(), epoch(2).model_dump()], "lane-001")
    first.interrupted("00000", ["lane-000, after epoch 1: its node is gone"])
    first.keep_running({"00000": "lane-001"})
    second = Journal(store, listener, None, done=store.read())
    assert second.epochs_before("00000") == (epoch(1), epoch(2))
    begin(second)
    second.interrupted("00000", ["lane-000, after epoch 2: its worker died"])
    second.end("00000", {"status": "complete"})
    assert store.read()[0].interruptions == (
        "lane-000, after epoch 1: its node is gone",
        "lane-001, after epoch 2: the sweep was cut short",
        "lane-000, after epoch 2: its worker died",
    )


def test_where_a_trial_was_cut_short_is_known_from_where_it_goes_on(store, listener):
    first = Journal(store, listener, None)
    for number in range(2):
        begin(first, number)
    first.epochs("00000", [epoch(1).model_dump(), epoch(2).model_dump()], "lane-001")
    first.keep_running({"00000": "lane-001"})
    # Twice cut short before anybody goes on with it: it waited, and was interrupted once.
    second = Journal(store, listener, None, done=store.read())
    for number in range(2):
        begin(second, number)
    third = Journal(store, listener, None, done=store.read())
    begin(third)
    begin(third, 1)
    third.epochs("00000", [epoch(n).model_dump() for n in (1, 2, 3)], "lane-000", 3)
    third.interrupted("00000", [])
    third.end_open("the sweep was stopped")
    assert [result.interruptions for result in store.read()] == [
        ("lane-001, after epoch 2: the sweep was cut short",), (),
    ]  # fmt: skip
    fourth = Journal(store, listener, None, done=store.read())
    begin(fourth)
    fourth.epochs("00000", [epoch(n).model_dump() for n in (1, 2, 3, 4)], "lane-000", 4)
    fourth.interrupted("00000", [])
    fourth.end("00000", {"status": "complete"})
    assert store.read()[0].interruptions == (
        "lane-001, after epoch 2: the sweep was cut short",
        "lane-000, after epoch 4: the sweep was cut short",
    )


def test_a_checkpoint_tells_of_a_trial_whose_lane_was_not_written_down_any_more(store, listener):
    first = Journal(store, listener, None)
    for number in range(2):
        begin(first, number)
    second = Journal(store, listener, None, done=store.read())
    for number in range(2):
        begin(second, number)
    second.epochs("00000", [epoch(n).model_dump() for n in (1, 2)], "lane-000", 2)
    second.epochs("00001", [epoch(1).model_dump()], "lane-001")
    second.interrupted("00000", [])
    second.interrupted("00001", ["lane-001, after epoch 1: its worker died"])
    second.end_open("the sweep was stopped")
    assert [result.interruptions for result in store.read()] == [
        ("a lane, after epoch 2: the sweep was cut short",),
        ("lane-001, after epoch 1: its worker died",),
    ]  # fmt: skip


def test_another_teacher_of_a_trial_does_not_take_the_place_of_the_sweeps(journal, store):
    journal.teacher(CARD, TRIAL)
    begin(journal)
    journal.teacher_of("00000", CARD | {"digest": "f" * 24, "accuracy": 0.8})
    ids = [result.trial_id for result in store.read() if result.role == "teacher"]
    assert sorted(ids) == ["teacher-01234567", "teacher-ffffffff"]
    assert store.meta.teacher.hash == CARD["digest"]


def test_the_trial_file_is_there_from_the_start(journal, store):
    begin(journal)
    folder = store.trial_dir("00000")
    assert "width: 4" in (folder / "trial.yaml").read_text()
    assert json.loads((folder / "result.json").read_text())["status"] == "running"


def test_replicates_come_to_the_front_together(journal, listener, store):
    fronts = []
    for number, accuracy in enumerate((0.5, 0.75, 0.9, 0.2)):
        journal.begin(
            f"{number:05d}", number, "trial", TRIAL, {}, {}, replicate=number % 2, replicates=2
        )
        journal.end(f"{number:05d}", complete(accuracy, 100.0))
        fronts.append([(r.point, r.metrics["accuracy"]) for r in journal.front])
    # Point 1 has the luckier seed and the lower mean.
    assert fronts == [[], [(0, 0.625)], [(0, 0.625)], [(0, 0.625)]]
    assert listener.front == ["00000"]
    assert [(r.point, r.replicate, r.replicates) for r in store.read()] == [
        (0, 0, 2), (0, 1, 2), (1, 0, 2), (1, 1, 2),
    ]  # fmt: skip


def test_a_journal_that_goes_on_knows_the_replicates_of_a_point_that_is_not_whole(store, listener):
    earlier = Journal(store, listener, None)
    given = {"replicates": 2}
    earlier.begin("00000", 0, "trial", TRIAL, {}, {}, replicate=0, **given)
    earlier.end("00000", complete(0.5, 100.0))
    earlier.begin("00001", 1, "trial", TRIAL, {}, {}, replicate=1, **given)
    earlier.end("00001", {"status": "stopped", "error": "why"})
    journal = Journal(store, listener, None, done=store.read())
    assert journal.front == []
    journal.begin("00001", 1, "trial", TRIAL, {}, {}, replicate=1, **given)
    journal.end("00001", complete(0.75, 100.0))
    assert [r.metrics["accuracy"] for r in journal.front] == [0.625]


def test_a_point_of_which_one_failed_is_on_no_front(journal):
    for number, outcome in enumerate((complete(0.5, 100.0), {"status": "failed", "error": "why"})):
        journal.begin(
            f"{number:05d}", number, "trial", TRIAL, {}, {}, replicate=number, replicates=2
        )
        journal.end(f"{number:05d}", outcome)
    assert journal.front == []


def test_where_a_traceback_is_is_said_once(store, listener):
    journal = Journal(store, listener, None)
    for number in range(3):
        journal.begin(f"0000{number}", number, "trial", TRIAL, {}, {})
        outcome = {"status": "failed", "error": "net.py, line 3, in forward: KeyError: 'x'"}
        # The first was foreseen: it has none.
        journal.end(f"0000{number}", outcome | ({"traceback": "Traceback: all"} if number else {}))
    said = [text for what, text, _ in listener.heard if what == "said"]
    record = store.directory / "trials" / "00001" / "result.json"
    assert said == [f"the whole traceback of a failed trial is in its record, {record}"]
    assert [result.traceback for result in store.read()] == ["", *["Traceback: all"] * 2]


def test_a_further_teacher_has_its_name_in_its_record(store, listener):
    journal = Journal(store, listener, None)
    journal.teacher(CARD, TRIAL)
    journal.teacher({**CARD, "teacher": "large", "digest": "f" * 24}, TRIAL)
    assert [result.name for result in store.read()] == ["teacher cnn", "teacher large cnn"]


def test_what_lanes_warn_of_is_shown_once_and_logged(store, listener, caplog):
    journal = Journal(store, listener, None)
    for number in range(3):
        journal.begin(f"0000{number}", number, "trial", TRIAL, {}, {})
        warnings = ["few pieces", *(["made again"] if number == 2 else [])]
        journal.end(f"0000{number}", {"status": "complete", "warnings": warnings})
    journal.warn(["few pieces"])
    said = [text for what, text, _ in listener.heard if what == "said"]
    assert said == ["warning: few pieces", "warning: made again"]
    assert [record.getMessage() for record in caplog.records] == ["few pieces", "made again"]
