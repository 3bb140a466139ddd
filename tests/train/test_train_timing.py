"""How a trial's student is timed: with which patience, in whose turn, and what its record says."""

import pytest
import torch
from filelock import FileLock, Timeout
from torch import nn

from kdsweep.models.latency import IN_PASSING, ONCE, SEARCHED
from kdsweep.results.latency import BatchLatency
from kdsweep.train import timing as timing_module
from kdsweep.train.device import model_of
from kdsweep.train.timing import Timing, turn_to_measure

CPU, SHAPE = torch.device("cpu"), (1, 8, 8)


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """With what latency was measured, and whether another could have measured meanwhile."""
    monkeypatch.setenv("KDSWEEP_CACHE", str(tmp_path))
    monkeypatch.setattr(timing_module.platform, "node", lambda: "a node/1")
    found = []

    def measure(network, shape, device, *, batches, patience):
        try:
            with FileLock(tmp_path / "latency-a-node-1.lock", timeout=0):
                alone = False
        except Timeout:
            alone = True
        found.append((batches, patience, alone))
        if batches == (32,) and isinstance(network, nn.Flatten):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return tuple(
            BatchLatency(batch=b, p50_ms=b, p95_ms=b, spread=0.0, blocks=1, runs=5) for b in batches
        )

    monkeypatch.setattr(timing_module, "measure_latency", measure)
    return found


def test_a_trial_is_timed_in_passing(asked):
    latency = Timing(lanes=3).of(nn.Identity(), SHAPE, CPU)
    assert asked == [((1,), IN_PASSING, False), ((32,), IN_PASSING, False)]
    assert [each.batch for each in latency.batches] == [1, 32]
    assert (latency.busy, latency.lanes, latency.kind) == (True, 3, "cpu")
    assert latency.threads == torch.get_num_threads()
    assert latency.device == model_of(CPU) != ""


def test_where_latency_is_searched_one_lane_of_a_node_measures_at_a_time(asked):
    Timing(lanes=2, is_searched=True).of(nn.Identity(), SHAPE, CPU)
    assert asked == [((1,), SEARCHED, True), ((32,), SEARCHED, True)]
    with turn_to_measure():
        pass  # it was given up


def test_who_was_cut_short_is_timed_for_a_moment(asked):
    latency = Timing(lanes=2, is_searched=True).of(nn.Identity(), SHAPE, CPU, is_cut_short=True)
    assert asked == [((1,), ONCE, False)]
    assert latency.of(32) is None


def test_a_teacher_is_timed_as_students_are(asked):
    latency = Timing(lanes=3).of_teacher(nn.Identity(), SHAPE, CPU)
    assert (latency.busy, latency.lanes, latency.of(1).p50_ms) == (True, 3, 1)
    Timing(lanes=3, is_searched=True).of_teacher(nn.Identity(), SHAPE, CPU)
    assert asked == [((1,), IN_PASSING, False), ((1,), SEARCHED, True), ((32,), SEARCHED, True)]


def test_a_batch_that_finds_no_memory_is_left_out(asked):
    latency = Timing().of(nn.Flatten(), SHAPE, CPU)
    assert [each.batch for each in latency.batches] == [1]


@pytest.mark.parametrize(("load", "busy"), [(0.5, False), (4.0, True)])
def test_a_trial_alone_is_on_a_busy_machine_if_all_its_cores_work(asked, monkeypatch, load, busy):
    monkeypatch.setattr(timing_module.os, "cpu_count", lambda: 4)
    monkeypatch.setattr(timing_module.os, "getloadavg", lambda: (load, 0.0, 0.0))
    assert Timing().of(nn.Identity(), SHAPE, CPU).busy is busy
