"""The record of a trial after the outcome that its lane has told."""

from run_records import trial_result

from kdsweep.results.latency import BatchLatency, Latency
from kdsweep.results.record import TrialResult
from kdsweep.search.trial_record import ended_with

LATENCY = Latency(
    device="EPYC", threads=1, busy=True, lanes=4,
    batches=(BatchLatency(batch=1, p50_ms=2.0, p95_ms=3.0, spread=0.1, blocks=3, runs=9),),
)  # fmt: skip


def test_how_a_student_was_timed_is_in_its_record_and_comes_back():
    running = trial_result(status="running", metrics={})
    outcome = {
        "status": "complete", "metrics": {"latency_ms": 2.0}, "latency": LATENCY.model_dump(),
    }  # fmt: skip
    ended = ended_with(running, outcome, weights="w")
    assert ended.latency == LATENCY
    assert TrialResult.model_validate_json(ended.model_dump_json()) == ended


def test_of_a_trial_that_failed_nothing_was_timed():
    running = trial_result(status="running", metrics={})
    assert ended_with(running, {"status": "failed", "error": "x"}, weights="w").latency is None
