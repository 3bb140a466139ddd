"""``latency.json``: written, read, put together, and put in place of what trials measured."""

import pytest
from run_records import trial_result

from kdsweep.errors import ResultError
from kdsweep.results.latencies import (
    Latencies,
    Measured,
    OnDevice,
    device_name,
    in_quiet,
    read_latencies,
    with_quiet_latency,
    write_latencies,
)
from kdsweep.results.latency import BatchLatency, Latency
from kdsweep.results.record import TrialResult


def took(ms, *, kind="cpu", device="EPYC", threads=1, batch=1):
    one = BatchLatency(batch=batch, p50_ms=ms, p95_ms=ms, spread=0.0, stable=True, blocks=5, runs=9)
    return Latency(device=device, kind=kind, threads=threads, batches=(one,))


def on_device(when, teacher=None, **students):
    return OnDevice(measured=when, teacher=teacher, students=students)


def student(number, width):
    trial = {"student": {"name": "cnn", "width": width}, "data": {"name": "digits"}}
    metrics = {"accuracy": 0.9, "params": 100.0, "latency_ms": 77.0}
    return trial_result(number, trial=trial, metrics=metrics)


def test_what_is_written_is_read(tmp_path):
    assert read_latencies(tmp_path) == Latencies()
    latencies = Latencies(devices={"EPYC, 1 thread": on_device("2026-11-27", t0001=took(2.0))})
    write_latencies(tmp_path, latencies)
    assert read_latencies(tmp_path) == latencies


def test_a_damaged_file_says_what_to_do(tmp_path):
    (tmp_path / "latency.json").write_text('{"devices": 3}')
    with pytest.raises(ResultError) as refused:
        read_latencies(tmp_path)
    assert str(refused.value) == (
        f"{tmp_path / 'latency.json'}: is damaged: devices: Input should be an object; "
        f"remove it, and measure again with `kdsweep latency {tmp_path}`"
    )


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "elsewhere.json").write_text("{}")
    (tmp_path / "latency.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(ResultError, match="cannot be read"):
        read_latencies(tmp_path)


def test_devices_stand_side_by_side_and_new_numbers_of_one_replace_its_old_ones():
    latencies = Latencies().with_device("a", on_device("1", took(9.0), t0001=took(1.0)))
    latencies = latencies.with_device("b", on_device("2", t0001=took(5.0)))
    latencies = latencies.with_device("a", on_device("3", t0001=took(2.0), t0002=took(3.0)))
    assert set(latencies.devices) == {"a", "b"}
    assert latencies.devices["a"] == on_device("3", took(9.0), t0001=took(2.0), t0002=took(3.0))
    assert latencies.newest() == "a"
    assert Latencies().newest() is None


def test_batches_of_other_sizes_stay_where_the_conditions_are_the_same():
    before = on_device("1", took(9.0, batch=32), t0001=took(8.0, batch=32), t0002=took(1.0))
    latencies = Latencies(devices={"a": before})
    after = on_device("2", took(4.0), t0001=took(3.0))
    both = latencies.with_device("a", after).devices["a"]
    assert [each.p50_ms for each in both.students["t0001"].batches] == [3.0, 8.0]
    assert [each.batch for each in both.teacher.batches] == [1, 32]
    assert both.students["t0002"] == took(1.0)
    busy = took(3.0).model_copy(update={"busy": True})
    again = latencies.with_device("a", on_device("2", t0001=busy)).devices["a"]
    assert again.students["t0001"] == busy


@pytest.mark.parametrize(
    ("latency", "name"),
    [
        (took(1.0), "EPYC, 1 thread"),
        (took(1.0, threads=4), "EPYC, 4 threads"),
        (took(1.0, kind="cuda", device="NVIDIA H100", threads=4), "NVIDIA H100"),
    ],
)
def test_a_device_is_called_by_what_its_numbers_depend_on(latency, name):
    assert device_name(latency) == name


def test_quiet_numbers_take_the_place_of_those_of_the_trials():
    results = [student(1, 2), student(2, 4), student(3, 2)]
    latencies = Latencies(devices={"EPYC": on_device("1", took(8.0), t0001=took(2.0))})
    found = with_quiet_latency(results, latencies)
    # The third is the same network as the first; the second was measured beside others alone.
    assert [each.metrics.get("latency_ms") for each in found.results] == [2.0, None, 2.0]
    assert found.teacher_ms == 8.0
    assert found.sentence == (
        "latency of one input (p50) as measured on EPYC; one complete trial was not measured "
        "there: `kdsweep latency RUN TRIAL` does"
    )
    busy = took(2.0).model_copy(update={"busy": True})
    beside = with_quiet_latency(results, Latencies(devices={"EPYC": on_device("1", t0001=busy)}))
    said = "latency of one input (p50) as measured on EPYC, while other work ran"
    assert beside.sentence.startswith(f"{said};")
    one_busy = Latencies(devices={"EPYC": on_device("1", t0001=busy, t0002=took(2.0))})
    some = with_quiet_latency(results, one_busy)
    assert some.sentence == said.replace(", while", ", some of them while")
    assert [each.metrics["latency_ms"] for each in results] == [77.0] * 3


def test_a_teacher_has_its_own_quiet_number_and_not_that_of_the_student_in_its_trial():
    teacher = student(0, 2).model_copy(update={"role": "teacher", "trial_id": "teacher-1"})
    quiet = Latencies(devices={"EPYC": on_device("1", took(8.0), t0001=took(2.0))})
    found = with_quiet_latency([student(1, 2), teacher], quiet)
    assert [each.metrics["latency_ms"] for each in found.results] == [2.0, 8.0]
    other = teacher.model_copy(update={"trial_id": "teacher-2"})
    several = with_quiet_latency([student(1, 2), teacher, other], quiet)
    assert [each.metrics.get("latency_ms") for each in several.results] == [2.0, None, None]


def test_trials_of_one_network_share_one_measurement():
    results = [student(1, 2), student(2, 4), student(3, 2)]
    measured = with_quiet_latency(
        results, Latencies(devices={"EPYC": on_device("1", t0001=took(2.0), t0002=took(3.0))})
    )
    ids = tuple(each.trial_id for each in results)
    assert measured.shared(measured.results) == [(ids[0], ids[2])]
    assert measured.shared(measured.results[:2]) == []
    # In the sweep each of them was timed by its own lane.
    assert Measured(results, None, "", is_quiet=False).shared(results) == []


def test_who_shares_a_number_is_kept_until_it_is_timed_itself():
    first = OnDevice(
        measured="1", students={"t1": took(2.0), "t3": took(2.0)}, shared_with={"t3": "t1"}
    )
    latencies = Latencies().with_device("a", first)
    latencies = latencies.with_device("a", on_device("2", t2=took(5.0)))
    assert latencies.devices["a"].shared_with == {"t3": "t1"}
    latencies = latencies.with_device("a", on_device("3", t3=took(4.0)))
    assert latencies.devices["a"].shared_with == {}


def test_the_device_that_was_measured_on_last_counts_if_none_is_named():
    latencies = Latencies(
        devices={"a": on_device("2026-01-02", t0001=took(2.0)),
                 "b": on_device("2026-01-01", t0001=took(3.0))}
    )  # fmt: skip
    results = [student(1, 2)]
    assert with_quiet_latency(results, latencies).results[0].metrics["latency_ms"] == 2.0
    other = with_quiet_latency(results, latencies, device="b")
    assert other.results[0].metrics["latency_ms"] == 3.0
    with pytest.raises(ResultError, match="no device named 'c'"):
        with_quiet_latency(results, latencies, device="c")


def test_without_the_file_the_results_stay_as_they_are():
    assert with_quiet_latency([student(1, 2)], Latencies()) is None


def test_batches_of_other_sizes_are_no_latency_of_one_input():
    latencies = Latencies(devices={"a": on_device("1", t0001=took(2.0, batch=32))})
    assert "latency_ms" not in with_quiet_latency([student(1, 2)], latencies).results[0].metrics


def test_a_record_without_latency_is_read_as_before():
    text = trial_result().model_dump_json(exclude={"latency"})
    assert TrialResult.model_validate_json(text).latency is None


def test_what_trainings_of_one_network_measured_apart_is_nothing_to_choose_by(tmp_path):
    own = [
        each.model_copy(update={"metrics": {**each.metrics, "latency_ms": ms}})
        for each, ms in ((student(1, 2), 5.0), (student(2, 4), 4.0), (student(3, 2), 3.0))
    ]
    teacher = own[0].model_copy(update={"role": "teacher", "trial_id": "teacher-1"})
    found = in_quiet(tmp_path, [*own, teacher])
    assert [each.metrics["latency_ms"] for each in found.results] == [4.0, 4.0, 4.0, 5.0]
    assert found.sentence == (
        "latency of one input (p50) as trials measured it (of one network the median)"
    )
    assert in_quiet(tmp_path, own[:2]).sentence == ""
