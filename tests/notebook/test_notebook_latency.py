"""A choice by latency takes what was measured where nothing else ran, as the command does."""

import pytest
from noted_sweeps import run_of, student

import kdsweep
from kdsweep.results.latencies import Latencies, OnDevice, write_latencies
from kdsweep.results.latency import BatchLatency, Latency


def took(ms, **more):
    one = BatchLatency(batch=1, p50_ms=ms, p95_ms=ms, spread=0.0, stable=True, blocks=5, runs=9)
    return Latency(device="EPYC", kind="cpu", threads=1, batches=(one,), **more)


def timed(number, width, ms, **more):
    metrics = {"accuracy": 0.9, "params": 100.0 * width, "latency_ms": ms}
    return student(number, 0.9, 100.0, width=width, **{"metrics": metrics, **more})


@pytest.fixture
def store(tmp_path):
    return run_of([timed(0, 4, 9.0), timed(1, 8, 3.0)], home=tmp_path)


def test_the_fastest_is_that_of_the_quiet_measurement(store):
    quiet = OnDevice(
        measured="2026-11-27", teacher=None, students={"00000": took(1.0), "00001": took(2.0)}
    )
    write_latencies(store.directory, Latencies(devices={"EPYC": quiet}))
    sweep = kdsweep.load(store.directory)
    choice = sweep.select(prefer="latency")
    assert choice.trial.number == 0
    assert choice.why.endswith("latency of one input (p50) as measured on EPYC")
    assert sweep.select(max_latency_ms=1.5).trial.number == 0
    assert "latency" not in sweep.select().why


def test_students_of_one_network_are_said_to_share_a_measurement(tmp_path):
    store = run_of([timed(0, 4, 9.0), timed(1, 4, 3.0)], home=tmp_path)
    quiet = OnDevice(measured="2026-11-27", teacher=took(4.0), students={"00000": took(1.0)})
    write_latencies(store.directory, Latencies(devices={"EPYC": quiet}))
    choice = kdsweep.load(store.directory).select(prefer="latency")
    assert "the teacher takes 4 ms" in choice.why
    assert "one network, timed once" in choice.why


def test_without_it_that_of_the_trials_counts_and_it_is_said(tmp_path):
    records = [timed(0, 4, 9.0, latency=took(9.0, busy=True)), timed(1, 8, 3.0)]
    sweep = kdsweep.load(run_of(records, home=tmp_path).directory)
    choice = sweep.select(prefer="latency")
    assert choice.trial.number == 1
    assert "latency of one input (p50) as trials measured it, while others trained" in choice.why
