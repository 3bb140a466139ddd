"""Students and their teacher timed where nothing else runs, by made-up times."""

import pytest
import torch
from run_records import run_meta, trial_result
from test_export_student import TRIAL, kept

from kdsweep import catalog
from kdsweep.errors import ResultError
from kdsweep.export import quiet
from kdsweep.export.quiet import cores_at_work, share_at_work, time_students, why_not_quiet
from kdsweep.models.size import count_params
from kdsweep.results.latency import BatchLatency
from kdsweep.results.meta import TeacherMeta
from kdsweep.results.store import RunStore
from kdsweep.spec import Component, TeacherSpec, TrainSpec, TrialSpec
from kdsweep.storage.copies import teachers_in
from kdsweep.train.session import Session

CPU = torch.device("cpu")


@pytest.fixture
def asked(monkeypatch):
    """Of how many parameters the networks were that were timed; a microsecond for each."""
    found = []

    def measure(network, shape, device, *, batches, patience):
        found.append(count_params(network))
        ms = count_params(network) / 1e3
        return tuple(
            BatchLatency(batch=b, p50_ms=ms, p95_ms=ms, spread=0.0, stable=True, blocks=5, runs=9)
            for b in batches
        )

    monkeypatch.setattr(quiet, "measure_latency", measure)
    return found


def test_students_of_the_same_settings_are_timed_once(tmp_path, asked):
    store, result, network = kept(tmp_path)
    store.weights_of("t0001").parent.mkdir(parents=True)
    store.weights_of("t0001").write_bytes(store.weights_of("t0000").read_bytes())
    other = trial_result(1, trial=result.trial, weights=RunStore.weights_name("t0001"))
    told = []
    timed = time_students(store, [result, other], device=CPU, batches=(1, 8), tell=told.append)
    assert asked == [count_params(network)]
    assert told == ["kd w0 (t0000)"]
    assert [(each.result.trial_id, each.params) for each in timed] == [
        ("t0000", asked[0]), ("t0001", asked[0])
    ]  # fmt: skip
    assert [each.batch for each in timed[1].latency.batches] == [1, 8]


def test_who_cannot_be_loaded_is_left_out_and_told_of(tmp_path, asked):
    store, result, _ = kept(tmp_path)
    gone = trial_result(1, trial=result.trial)
    warned = []
    timed = time_students(store, [gone, result], device=CPU, batches=(1,), warn=warned.append)
    assert [each.result.trial_id for each in timed] == ["t0000"]
    assert len(warned) == 1
    assert warned[0].startswith("trial 1 (kd w1): no weights are kept")
    with pytest.raises(ResultError, match="trains it again"):
        time_students(store, [gone], device=CPU, batches=(1,))


def test_the_teacher_of_the_run_is_timed_last_by_the_same_way(tmp_path, asked):
    store, result, network = kept(tmp_path / "runs")
    given = TrialSpec(
        data=Component(**TRIAL["data"]), student=Component(**TRIAL["student"]),
        teacher=TeacherSpec(
            model=Component(name="cnn", width=4, stages=2), train=TrainSpec(epochs=1)
        ),
    )  # fmt: skip
    session = Session(device=CPU, teachers=teachers_in(tmp_path / "runs"))
    card = session.prepare(given, lambda epoch, name: None).teachers[0]
    store.update_meta(teacher=TeacherMeta(hash=card["digest"], name="cnn"))
    *_, teacher = time_students(store, [result], device=CPU, batches=(1,))
    assert (teacher.name, teacher.params, teacher.result) == ("teacher", card["params"], None)
    assert asked == [count_params(network), card["params"]]
    assert not teacher.latency.busy


def test_a_teacher_that_is_gone_is_told_of(tmp_path, asked):
    store, result, _ = kept(tmp_path)
    store.update_meta(teacher=TeacherMeta(hash="0" * 24, name="cnn"))
    warned = []
    timed = time_students(store, [result], device=CPU, batches=(1,), warn=warned.append)
    assert [each.name for each in timed] == ["kd w0"]
    assert warned == [f"the teacher is not timed: teachers/{'0' * 24} is not there any more"]


# Ticks of: user, nice, system, idle, waiting for disks, interrupts twice, stolen, two of guests.
BEFORE = "cpu  100 0 100 1000 0 0 0 0 50 0\ncpu0 1 2 3\n"
AFTER = "cpu  160 0 110 1090 30 0 0 10 99 0\ncpu0 1 2 3\n"


def test_the_share_at_work_is_what_was_neither_idle_nor_waiting():
    # 60 + 10 + 90 + 30 + 10 = 200 ticks have passed, 120 of them idle.
    assert share_at_work(BEFORE, AFTER) == pytest.approx(0.4)
    assert share_at_work(BEFORE, BEFORE) == 0
    with pytest.raises(ValueError, match="no line of all processors"):
        share_at_work("intr 1 2 3 4 5", AFTER)


def test_the_system_is_asked_twice_and_counted_in_cores(tmp_path, monkeypatch):
    stat = tmp_path / "stat"
    stat.write_text(BEFORE)
    monkeypatch.setattr(quiet, "_STAT", stat)
    monkeypatch.setattr(quiet.os, "cpu_count", lambda: 8)
    paused = []
    assert cores_at_work(lambda s: (paused.append(s), stat.write_text(AFTER))) == pytest.approx(3.2)
    assert paused == [quiet.LOOK_S]
    stat.unlink()
    monkeypatch.setattr(quiet.os, "getloadavg", lambda: (1.25, 0.0, 0.0))
    assert cores_at_work(paused.append) == 1.25


@pytest.mark.parametrize(
    ("cores", "at_work", "quiet_enough"),
    [(2, 0.5, True), (2, 0.6, False), (64, 6.4, True), (64, 6.5, False)],
)
def test_a_tenth_of_the_cores_and_half_a_core_may_be_at_work(
    tmp_path, monkeypatch, cores, at_work, quiet_enough
):
    monkeypatch.setattr(quiet.os, "cpu_count", lambda: cores)
    said = why_not_quiet(tmp_path / "run", lambda: at_work)
    expected = (
        [] if quiet_enough else [f"{at_work:.1f} of this machine's {cores} cores are at work"]
    )
    assert said == expected


def test_a_sweep_that_is_driven_beside_it_disturbs(tmp_path):
    store = RunStore.create(tmp_path / "busy", meta=run_meta("busy"), sweep_text="")
    with store.hold():
        said = why_not_quiet(tmp_path / "other", lambda: 0.0)
    assert said == [f"the sweep {store.directory} is driven on this machine"]
    assert why_not_quiet(tmp_path / "other", lambda: 0.0) == []


def test_the_network_of_a_student_is_that_of_its_record(tmp_path, asked):
    store, result, network = kept(tmp_path)
    (timed,) = time_students(store, [result], device=CPU, batches=(1,), busy=True)
    whole = catalog.model_for(Component(**TRIAL["student"]), catalog.dataset(
        Component(**TRIAL["data"])).describe())  # fmt: skip
    assert timed.params == count_params(whole) == count_params(network)
    assert timed.latency.busy
