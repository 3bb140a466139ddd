"""Runs whose records lie in an object store, over a real S3 server."""

import json
import os
import time

import pytest
from object_store import another_machine, files, put
from run_records import run_meta, trial_result

from kdsweep.errors import ResultError
from kdsweep.results import claim as claim_module
from kdsweep.results import holder as holder_module
from kdsweep.results.at_hand import run_at_hand, runs_at_hand, up_to_date
from kdsweep.results.holder import living_holder, numbers_are_old_s, refuse_if_held
from kdsweep.results.latencies import Latencies, OnDevice, read_latencies, write_latencies
from kdsweep.results.latency import BatchLatency, Latency
from kdsweep.results.mending import mend
from kdsweep.results.names import LATENCY_FILE, META_FILE, WARM_START_FILE
from kdsweep.results.processes import Holder
from kdsweep.results.runs import find_runs
from kdsweep.results.stopping import ask_to_stop, is_asked_to_stop
from kdsweep.results.store import RunStore
from kdsweep.storage.copies import root_at_hand
from kdsweep.storage.lease import Lease
from kdsweep.storage.objects import objects_at

RUNNING = {"status": "running", "metrics": {}, "weights": None}


def made(root, name="digits", **more):
    meta = run_meta(name, status="running", **more)
    return RunStore.create(root_at_hand(root) / name, meta=meta, sweep_text="name: digits\n")


def read(address):
    """The run as any machine reads it, after bringing its copy up to date."""
    store = RunStore.open(run_at_hand(address))
    return store, store.read()


def test_what_a_driver_writes_is_read_on_another_machine(store_at, monkeypatch, tmp_path):
    store = made(store_at)
    with store.hold():
        for number in range(3):
            store.write(trial_result(number, **RUNNING))
            store.write(trial_result(number, weights=store.weights_name(f"t{number:04d}")))
        store.update_meta(status="complete", wall_seconds=5.0)
    address = f"{store_at}/digits"
    with another_machine(monkeypatch, tmp_path):
        found, results = read(address)
        assert found.place == address
        assert found.meta == store.meta
        assert results == store.read()
        trial_file = store.trial_dir("t0001") / "trial.yaml"
        assert found.trial_file("t0001").read_bytes() == trial_file.read_bytes()
        assert found.sweep_text == "name: digits\n"
        assert found.weights_of("t0001") == f"{address}/trials/t0001/student.safetensors"
        stores, problems = find_runs(runs_at_hand(store_at))
        assert ([each.place for each in stores], problems) == ([address], [])


def test_the_age_of_its_numbers_is_that_in_the_store(store_at, monkeypatch, tmp_path):
    store = made(store_at)
    with store.hold():
        store.update_meta(wall_seconds=5.0)
    with another_machine(monkeypatch, tmp_path):
        found, _ = read(f"{store_at}/digits")
        # A copy has the time at which it was made, or any other: here 1970.
        os.utime(found.directory / META_FILE, (0, 0))
        assert 0 <= numbers_are_old_s(found.directory) < 86_400


def test_what_was_measured_and_learned_is_read_on_another_machine(store_at, monkeypatch, tmp_path):
    store = made(store_at)
    latency = Latency(device="EPYC", batches=(BatchLatency(batch=1, p50_ms=2.0, p95_ms=3.0,
                                                           blocks=5, runs=50),))  # fmt: skip
    latencies = Latencies(devices={"EPYC": OnDevice(measured="1", students={"t0001": latency})})
    with store.hold():
        (store.directory / WARM_START_FILE).write_text("{}")
        store.sent(WARM_START_FILE)
    # kdsweep latency drives no run: what it writes is there when it ends.
    write_latencies(store.directory, latencies)
    store.sent(LATENCY_FILE)
    with another_machine(monkeypatch, tmp_path):
        found, _ = read(f"{store_at}/digits")
        assert read_latencies(found.directory) == latencies
        assert (found.directory / WARM_START_FILE).read_text() == "{}"


def test_a_run_is_made_once(store_at, monkeypatch, tmp_path):
    made(store_at)
    with another_machine(monkeypatch, tmp_path):
        sentence = f"{store_at}/digits: already holds a run; `kdsweep resume {store_at}/digits`"
        with pytest.raises(ResultError, match=sentence):
            made(store_at)


def test_a_run_that_nobody_made_is_missed_with_those_that_are_there(store_at):
    made(store_at)
    with pytest.raises(ResultError, match="did you mean digits") as missed:
        run_at_hand(f"{store_at}/digit")
    assert str(missed.value).startswith(f"{store_at}/digit: ")


def test_it_has_one_driver_wherever_that_is(store_at, monkeypatch, tmp_path):
    store = made(store_at)
    with store.hold():
        with another_machine(monkeypatch, tmp_path):
            there = run_at_hand(f"{store_at}/digits")
            found = living_holder(there)
            assert found is not None
            assert found.is_here
            with pytest.raises(ResultError, match=f"process {found.pid}, since") as refused:
                refuse_if_held(there)
            assert str(refused.value).startswith(f"{store_at}/digits: is being worked on by ")
            with (
                pytest.raises(ResultError, match="is being worked on by"),
                RunStore.open(there).hold(),
            ):
                pass
        assert store.is_held()
    assert living_holder(store.directory) is None
    with (
        another_machine(monkeypatch, tmp_path),
        RunStore.open(run_at_hand(f"{store_at}/digits")).hold(),
    ):
        pass


def test_a_driver_on_another_machine_is_dead_when_it_is_silent(store_at, monkeypatch):
    store = made(store_at)
    gone = Holder.this_process().model_copy(update={"host": "far-away", "token": "t"})
    lease = Lease(objects_at(f"{store_at}/digits"), "driver", gone.model_dump())
    assert lease.take(lease.seen())
    assert living_holder(store.directory) == gone
    with pytest.raises(ResultError, match=r"kdsweep on far-away.* sign of life"), store.hold():
        pass
    monkeypatch.setattr(claim_module, "DEAD_AFTER_S", 0.0)
    assert living_holder(store.directory) is None
    with store.hold():
        assert not lease.beat()


def test_a_driver_that_slept_learns_who_took_over_and_writes_no_more(store_at, monkeypatch):
    monkeypatch.setattr(claim_module, "_LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(claim_module, "BEAT_EVERY_S", 0.05)
    store, address = made(store_at), f"{store_at}/digits"
    with store.hold():
        store.write(trial_result(0, **RUNNING))
        assert _soon(lambda: "trials/t0000/result.json" in files(address))
        other = Holder.this_process().model_copy(update={"host": "far-away", "token": "t"})
        lease = Lease(objects_at(address), "driver", other.model_dump())
        assert lease.take(lease.seen())
        assert "far-away" in _soon(store.why_stop)
        before = files(address)
        store.write(trial_result(0))
        store.drop_checkpoints("t0000")
        store.update_meta(status="stopped", wall_seconds=5.0)
    after = files(address)
    assert {name: after[name] for name in before} == before
    assert json.loads(after["driver-00002.json"])["holder"]["host"] == "far-away"


def test_a_request_to_stop_is_heard(store_at, monkeypatch, tmp_path):
    monkeypatch.setattr(claim_module, "_LOOK_EVERY_S", 0.05)
    store = made(store_at)
    with store.hold():
        assert store.why_stop() is None
        with another_machine(monkeypatch, tmp_path):
            there = run_at_hand(f"{store_at}/digits")
            ask_to_stop(there)
            assert is_asked_to_stop(there)
        assert _soon(store.why_stop) == "somebody asked for it"
    assert not is_asked_to_stop(store.directory)


def test_what_a_dead_driver_had_not_sent_is_kept_and_sent(store_at):
    store, address = made(store_at), f"{store_at}/digits"
    with store.hold():
        for number in range(3):
            store.write(trial_result(number, **RUNNING))
    # The driver dies here: what it writes from now on stays in the copy.
    store._mirror.objects = None
    store.write(trial_result(0))
    store.write(trial_result(1, status="running", interruptions=("late",)))
    store.write(trial_result(3))
    store.write(trial_result(4, **RUNNING))
    store.update_meta(wall_seconds=9.0)
    found = read(address)[1]
    assert {r.number: r.status for r in found} == {
        0: "complete", 1: "running", 2: "running", 3: "complete",
    }  # fmt: skip
    assert found[1].interruptions == ()
    there = files(address)
    assert json.loads(there["trials/t0003/result.json"])["status"] == "complete"
    assert "trials/t0003/trial.yaml" in there
    assert json.loads(there["run.json"])["wall_seconds"] == 9.0


def test_what_another_driver_wrote_since_is_kept_before_that(store_at, monkeypatch, tmp_path):
    store, address = made(store_at), f"{store_at}/digits"
    with store.hold():
        store.write(trial_result(0, **RUNNING))
        store.write(trial_result(1, **RUNNING))
    store._mirror.objects = None
    mine = {"metrics": {"accuracy": 0.1, "params": 1.0}}
    store.write(trial_result(0, **mine))
    store.write(trial_result(1, trial={"student": {"name": "cnn", "width": 99}}, **mine))
    with another_machine(monkeypatch, tmp_path):
        other = RunStore.open(run_at_hand(address))
        with other.hold():
            other.write(trial_result(0))
    found = {result.number: result for result in read(address)[1]}
    assert found[0].metrics == trial_result(0).metrics
    assert found[1].status == "running"


def test_a_trial_that_was_forgotten_is_forgotten_everywhere(store_at, monkeypatch, tmp_path):
    store, address = made(store_at), f"{store_at}/digits"
    with store.hold():
        store.write(trial_result(0))
        store.write(trial_result(1, **RUNNING))
    with another_machine(monkeypatch, tmp_path):
        assert len(read(address)[1]) == 2
        objects_at(address).remove_all("trials/t0001")
        assert [result.number for result in read(address)[1]] == [0]
    assert not [name for name in files(address) if "t0001" in name]


def test_checkpoints_go_when_a_trial_has_ended(store_at):
    store, address = made(store_at), f"{store_at}/digits"
    put(f"{store.checkpoints_of('t0000')}/00001-0123456789abcdef.safetensors", b"1")
    put(str(store.weights_of("t0000")), b"w")
    with store.hold():
        store.write(trial_result(0))
        store.drop_checkpoints("t0000")
    assert {name.rpartition("/")[2] for name in files(address) if "t0000" in name} == {
        "result.json", "trial.yaml", "student.safetensors",
    }  # fmt: skip


def test_a_copy_that_was_damaged_is_fetched_again(store_at):
    store = made(store_at)
    with store.hold():
        store.write(trial_result(0))
    read(f"{store_at}/digits")
    path = store.directory / "trials" / "t0000" / "result.json"
    path.write_bytes(path.read_bytes()[:20])
    found, results = read(f"{store_at}/digits")
    assert results == [trial_result(0)]
    assert found.problems == ()


def test_a_record_that_is_damaged_in_the_store_is_mended_from_a_copy(store_at):
    store, address = made(store_at), f"{store_at}/digits"
    with store.hold():
        store.write(trial_result(0))
    whole = files(address)["trials/t0000/result.json"]
    put(f"{address}/trials/t0000/result.json", whole[:50])
    assert read(address)[1] == [trial_result(0)]
    assert files(address)["trials/t0000/result.json"] == whole


def test_a_record_that_is_damaged_in_the_store_is_set_aside_there(store_at, monkeypatch, tmp_path):
    store, address = made(store_at), f"{store_at}/digits"
    with store.hold():
        store.write(trial_result(0))
        store.write(trial_result(1))
    whole = files(address)["trials/t0001/result.json"]
    put(f"{address}/trials/t0001/result.json", whole[:50])
    with another_machine(monkeypatch, tmp_path):
        store, results = read(address)
        assert [r.number for r in results] == [0]
        (problem,) = store.problems
        assert problem.startswith(f"{address}/trials/t0001/result.json: is damaged")
        with store.hold():
            (said,) = mend(store, results)
            assert said.startswith("the record of trial t0001 is damaged: it is set aside in s3://")
    there = files(address)
    assert there["damaged/t0001/result.json"] == whole[:50]
    assert not [name for name in there if name.startswith("trials/t0001/")]


def test_another_run_of_the_same_name_replaces_the_copy(store_at):
    store, address = made(store_at), f"{store_at}/digits"
    with store.hold():
        store.write(trial_result(0))
    objects_at(address).remove_all("")
    with pytest.raises(ResultError, match="does not exist"):
        run_at_hand(address)
    again = made(store_at)
    assert again.meta.sweep_id != store.meta.sweep_id
    assert read(address)[1] == []


def test_a_driver_of_this_machine_is_newer_than_the_store(store_at, monkeypatch):
    store = made(store_at)
    with store.hold():
        monkeypatch.setattr(store._mirror, "changed", lambda *names: None)
        store.write(trial_result(0))
        up_to_date(store.directory)
        assert RunStore.open(store.directory).read() == [trial_result(0)]


def test_a_store_that_is_away_at_the_end_is_told_and_sent_later(store_at, s3_server, monkeypatch):
    monkeypatch.setattr("kdsweep.results.mirror.LAST_PATIENCE_S", 0.5)
    store, address = made(store_at), f"{store_at}/digits"

    def drive():
        with store.hold():
            store.write(trial_result(0, **RUNNING))
            assert _soon(lambda: "trials/t0000/result.json" in files(address))
            s3_server.stop()
            store.write(trial_result(0))
            store.update_meta(status="complete", wall_seconds=7.0)

    try:
        with pytest.raises(ResultError, match=r"files of the run are in .* alone") as told:
            drive()
    finally:
        s3_server.start()
    assert str(told.value).startswith(f"{address}: does not answer: ")
    # Its lease could not be given up, but its process, which is this one, has ended.
    monkeypatch.setattr(Holder, "process_lives", property(lambda holder: False))
    found, results = read(address)
    assert results == [trial_result(0)]
    assert json.loads(files(address)["run.json"])["status"] == found.meta.status == "complete"


@pytest.mark.parametrize(
    "name", ["../../escaped", "trials/../../x/result.json", "trials/a/b/result.json", "other.json"]
)
def test_names_in_a_store_lead_nowhere_else(store_at, name):
    store = made(store_at)
    import fsspec

    fs, root = fsspec.core.url_to_fs(f"{store_at}/digits", use_listings_cache=False)
    fs.pipe_file(f"{root}/{name}", b"{}")
    before = {path for path in store.directory.parent.parent.rglob("*") if path.is_file()}
    read(f"{store_at}/digits")
    after = {path for path in store.directory.parent.parent.rglob("*") if path.is_file()}
    assert {path.name for path in after - before} <= {".storage.index.json", ".digits.storage.lock"}


def test_what_is_too_large_for_a_record_is_not_fetched(store_at, monkeypatch):
    store = made(store_at)
    monkeypatch.setattr("kdsweep.results.mirror._LARGEST_BYTES", 100)
    with pytest.raises(ResultError, match="larger than"):
        run_at_hand(f"{store_at}/digits")
    assert store.meta.name == "digits"


def _soon(ask):
    for _ in range(400):
        if found := ask():
            return found
        time.sleep(0.05)
    raise AssertionError("it never came to that")


def test_what_is_known_of_a_sweep_that_failed_is_sent(store_at):
    store = made(store_at)

    def fail():
        with store.hold():
            for number in range(20):
                store.write(trial_result(number))
            raise RuntimeError("all lanes are lost")

    with pytest.raises(RuntimeError):
        fail()
    records = [name for name in files(f"{store_at}/digits") if name.endswith("result.json")]
    assert len(records) == 20


def test_what_was_not_sent_does_not_disturb_who_goes_on(store_at, monkeypatch, tmp_path):
    store, address = made(store_at), f"{store_at}/digits"
    with store.hold():
        store.write(trial_result(0, **RUNNING))
    store._mirror.objects = None
    store.write(trial_result(0))
    store.update_meta(status="complete", wall_seconds=9.0)
    with another_machine(monkeypatch, tmp_path):
        other = RunStore.open(run_at_hand(address))
    with other.hold():
        # Both are this process: only the copy of the first is asked for.
        monkeypatch.setattr(holder_module, "drives_here", lambda directory: False)
        (found,) = read(address)[1]
        assert found.status == "running"
    there = files(address)
    assert json.loads(there["trials/t0000/result.json"])["status"] == "running"
    assert json.loads(there["run.json"])["status"] == "running"
