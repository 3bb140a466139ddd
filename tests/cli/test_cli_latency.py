"""``kdsweep latency``: which students it times, what it refuses, what it prints and writes."""

import json

import pytest
import torch
from small_runs import files_in
from test_cli_results import run, trial

from kdsweep.errors import ResultError, SpecError
from kdsweep.export import quiet
from kdsweep.export.quiet import Timed
from kdsweep.results.latencies import read_latencies
from kdsweep.results.latency import BatchLatency, Latency
from kdsweep.results.meta import RunMeta
from kdsweep.results.store import RunStore


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("KDSWEEP_CACHE", str(tmp_path / "cache"))
    meta = RunMeta(
        sweep_id="0" * 32, name="digits", created="2026-11-21T10:00:00+00:00",
        objectives={"accuracy": "max", "params": "min"}, status="complete",
    )  # fmt: skip
    store = RunStore.create(tmp_path / "runs" / "digits", meta=meta, sweep_text="")
    for result in (
        trial(0, 0.99, 100_000, role="teacher"),
        trial(1, 0.80, 1_000),
        trial(2, 0.95, 20_000),
        trial(3, 0.79, 2_000),
        trial(5, 0.70, 30_000, role="control"),
    ):
        own = {**result.trial, "student": {"name": "cnn", "width": result.number}}
        store.write(result.model_copy(update={"trial": own}))
    return store


@pytest.fixture
def asked(monkeypatch):
    """What was timed, with how many threads; a student takes the milliseconds of its number."""
    found = []

    def time_students(store, results, *, device, batches, busy, tell, warn):
        found.append(([r.trial_id for r in results], device.type, torch.get_num_threads()))

        def took(ms, stable=True):
            return Latency(
                device="EPYC", kind=device.type, threads=torch.get_num_threads(), busy=busy,
                batches=[BatchLatency(batch=b, p50_ms=b * ms, p95_ms=2 * b * ms, spread=0.0234,
                                      p95_spread=0.3, stable=stable, blocks=5, runs=50)
                         for b in batches],
            )  # fmt: skip

        same = {"t6": "t2"}
        timed = [Timed(r.label, 100, took(2 if r.trial_id in same else r.number, r.number != 5), r,
                       same.get(r.trial_id)) for r in results]  # fmt: skip
        return [*timed, Timed("teacher", 9000, took(8.0))]

    monkeypatch.setattr(quiet, "time_students", time_students)
    monkeypatch.setattr(quiet, "why_not_quiet", lambda directory: [])
    return found


def test_the_front_the_controls_and_the_teacher_are_timed(store, asked):
    before = torch.get_num_threads()
    found = run("latency", store.directory, "--threads", before + 1, "--device", "cpu")
    assert found.exit_code == 0, found.output
    assert asked == [(["t1", "t2", "t5"], "cpu", before + 1)]
    assert torch.get_num_threads() == before
    lines = found.stdout.splitlines()
    assert lines[0] == f"digits: latency on EPYC, {before + 1} threads"
    assert max(map(len, lines[:-1])) <= 80
    (teacher,) = [line.split() for line in lines if line.strip().startswith("teacher")]
    assert teacher == ["teacher", "9,000", "1", "8", "2", "%", "16", "30", "%", "1", "125"]
    first = next(line.split() for line in lines if "t1" in line)
    assert first[-11:] == ["100", "1", "1", "2", "%", "2", "30", "%", "8", "1,000", "t1"]
    assert any("~2 %" in line for line in lines)
    assert "did not agree before the budget was spent" in found.output


def test_numbers_go_into_the_run_for_each_device(store, asked):
    run("latency", store.directory, "--threads", "1", "--device", "cpu", "--batch", "1")
    run("latency", store.directory, "3", "--threads", "2", "--device", "cpu")
    latencies = read_latencies(store.directory)
    one, two = latencies.devices["EPYC, 1 thread"], latencies.devices["EPYC, 2 threads"]
    assert (set(one.students), set(two.students)) == ({"t1", "t2", "t5"}, {"t3"})
    assert one.students["t2"].of(1).p50_ms == 2.0
    assert (one.teacher.of(1).p50_ms, one.teacher.of(32)) == (8.0, None)


def test_json_for_scripts(store, asked):
    found = run("latency", store.directory, "2", "t2", "--batch", "4", "--device", "cpu", "--json")
    told = json.loads(found.stdout)
    assert (told["device"], told["busy"]) == ("EPYC", False)
    student, teacher = told["networks"]
    assert (student["trial_id"], teacher["trial_id"]) == ("t2", None)
    (batch,) = student["batches"]
    assert batch == {
        "batch": 4, "p50_ms": 8.0, "p95_ms": 16.0, "spread": 0.0234, "p95_spread": 0.3,
        "stable": True, "blocks": 5, "runs": 50, "per_second": 500.0,
        "times_faster_than_teacher": 4.0,
    }  # fmt: skip


def test_a_busy_machine_is_refused_and_recorded_where_it_must_do(store, asked, monkeypatch):
    monkeypatch.setattr(quiet, "why_not_quiet", lambda directory: ["the sweep x is driven here"])
    before = files_in(store.directory)
    found = run("latency", store.directory)
    assert isinstance(found.exception, ResultError)
    assert str(found.exception) == (
        f"{store.directory}: the sweep x is driven here: what is measured now is not what a user "
        "meets; wait until it has ended, or --despite-load measures all the same and records it"
    )
    assert files_in(store.directory) == before
    found = run("latency", store.directory, "--despite-load", "--device", "cpu", "--threads", "1")
    assert "warning: the sweep x is driven here" in found.output
    (device,) = read_latencies(store.directory).devices.values()
    assert device.students["t1"].busy


@pytest.mark.parametrize(
    ("arguments", "kind", "said"),
    [
        (["9"], ResultError, "no trial '9' (there are 4; `kdsweep front "),
        (["t0"], ResultError, "no trial 't0'; did you mean 't"),
        (["--device", "tpu"], SpecError, "--device: 'tpu' is not allowed (allowed: cpu, cuda)"),
    ],
)
def test_what_is_not_there_is_refused(store, asked, arguments, kind, said):
    found = run("latency", store.directory, *arguments)
    assert isinstance(found.exception, kind)
    assert said in str(found.exception)
    assert asked == []


def test_a_run_without_a_complete_trial_has_nothing_to_time(tmp_path, asked):
    meta = RunMeta(sweep_id="0" * 32, name="new", created="x", objectives={"accuracy": "max"})
    store = RunStore.create(tmp_path / "runs" / "new", meta=meta, sweep_text="")
    found = run("latency", store.directory)
    assert str(found.exception) == f"{store.directory}: has no complete trial yet"


def test_select_takes_the_quiet_numbers_where_latency_decides(store, asked):
    run("latency", store.directory, "--device", "cpu", "--threads", "1")
    found = run("select", store.directory, "--max-latency-ms", "1.5", "--json")
    assert found.exit_code == 0, found.output
    told = json.loads(found.stdout)
    assert told["chosen"]["trial_id"] == "t1"
    assert told["chosen"]["latency_ms"] == 1.0
    reasons = {each["trial_id"]: each["reasons"] for each in told["rejected"]}
    assert reasons == {
        "t2": ["latency 2 ms > 1.5 ms (p50, batch 1)"], "t3": ["latency_ms was not measured"],
        "t5": ["latency 5 ms > 1.5 ms (p50, batch 1)"],
    }  # fmt: skip
    assert told["latency"] == {
        "note": "latency of one input (p50) as measured on EPYC, 1 thread; one complete trial was "
        "not measured there: `kdsweep latency RUN TRIAL` does",
        "shared": [],
    }  # fmt: skip
    assert "latency" not in run("select", store.directory, "--max-params", "5000").output


def test_trials_of_one_network_are_marked_as_one_measurement(store, asked):
    one = next(each for each in store.read() if each.trial_id == "t2")
    other = trial(6, 0.94, 20_000).model_copy(update={"trial": one.trial})
    store.write(other)
    found = run("latency", store.directory, "2", "6", "--threads", "1", "--device", "cpu")
    assert "t6: the same network as t2, timed once for all of them" in found.output
    assert sum("t6" in line for line in found.output.splitlines()) == 1
    kept = read_latencies(store.directory).devices["EPYC, 1 thread"]
    assert kept.shared_with == {"t6": "t2"}
    told = json.loads(
        run("latency", store.directory, "2", "6", "--device", "cpu", "--json").stdout
    )["networks"]
    assert [each["shared_with"] for each in told] == [None, "t2", None]
    lines = run("select", store.directory, "--max-latency-ms", "3").output
    assert "t2, t6: one network, timed once" in lines
    assert "the teacher takes 8 ms" in lines
    assert "latency 2 ms (p50, batch 1), asked at most 3 ms" in lines


def test_a_size_is_answered_in_kb_where_it_was_asked_in_kb(store):
    one = trial(1, 0.80, 1_000)
    store.write(one.model_copy(update={"metrics": {**one.metrics, "size_bytes": 9_256.0}}))
    found = run("select", store.directory, "--max-size-kb", "9.256")
    assert "size 9.256 kB, asked at most 9.256 kB" in found.output
    none = run("select", store.directory, "--max-size-kb", "5")
    assert none.exit_code == 1
    assert "max size 9.256 kB (by 4.256 kB) lets trial 1" in none.output


def test_without_them_it_says_whose_numbers_it_takes(store):
    busy = Latency(
        device="EPYC", busy=True, lanes=2,
        batches=(BatchLatency(batch=1, p50_ms=3.0, p95_ms=4.0, blocks=3, runs=9),),
    )  # fmt: skip
    one = trial(1, 0.80, 1_000)
    metrics = {**one.metrics, "latency_ms": 3.0}
    store.write(one.model_copy(update={"metrics": metrics, "latency": busy}))
    found = run("select", store.directory, "--prefer", "latency")
    assert found.exit_code == 0, found.output
    said = " ".join(found.stdout.split())
    assert (
        "latency of one input (p50) as trials measured it, while others trained; "
        f"`kdsweep latency {store.directory}` measures it alone"
    ) in said
    none = run("select", store.directory, "--max-latency-ms", "1")
    assert "as trials measured it, while others trained" in " ".join(none.stderr.split())


def test_a_front_by_latency_says_under_which_conditions_it_was_measured(store):
    store.update_meta(objectives={"accuracy": "max", "latency_ms": "min"})
    busy = Latency(
        device="EPYC", busy=True, lanes=2,
        batches=(BatchLatency(batch=1, p50_ms=3.0, p95_ms=4.0, blocks=3, runs=9),),
    )  # fmt: skip
    one = trial(1, 0.80, 1_000)
    metrics = {**one.metrics, "latency_ms": 3.0}
    store.write(one.model_copy(update={"metrics": metrics, "latency": busy}))
    for command in ("front", "select"):
        found = run(command, store.directory)
        assert found.exit_code == 0, found.output
        assert "p50 ms" in found.output
        assert "(p50) as trials measured it, while others trained" in " ".join(found.output.split())
