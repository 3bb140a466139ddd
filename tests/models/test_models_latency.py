"""The latency harness: the rule on given blocks, and the harness by a clock that a test moves."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from kdsweep import catalog
from kdsweep.batch import Tokens
from kdsweep.models.latency import (
    Patience,
    agree,
    examples,
    measure_latency,
    spread,
    summary,
    timed,
)
from kdsweep.spec import Component

SHAPE = (1, 8, 8)
CPU = torch.device("cpu")
THREE = Patience(budget_s=1.0, block_s=0.0, agreeing=3, tolerance=0.1, least_runs=2)


class Clock:
    """Stands still but when it is moved."""

    def __init__(self):
        self.now_s = 0.0

    def __call__(self):
        return self.now_s


class Answers:
    """Takes the given milliseconds, one after the other, and the last again and again."""

    def __init__(self, clock, *taken_ms):
        self.clock, self.taken_ms, self.num = clock, list(taken_ms), 0

    def __call__(self):
        self.num += 1
        later = len(self.taken_ms) > 1
        self.clock.now_s += (self.taken_ms.pop(0) if later else self.taken_ms[0]) / 1e3


@pytest.mark.parametrize(
    ("medians", "expected"),
    [((), None), ((2.0,), None), ((2.0, 2.0), 0.0), ((1.0, 2.0, 4.0), 1.5), ((4.0, 5.0), 1 / 4.5)],
)
def test_the_spread_is_relative_to_the_median_in_the_middle(medians, expected):
    assert spread(medians) == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("medians", "enough"),
    [
        ((1.0, 1.0), False),  # two agree, three are asked for
        ((1.0, 1.0, 1.0), True),
        ((1.0, 1.05, 1.1), True),  # 0.1 / 1.05 < 0.1
        ((1.0, 1.05, 1.11), False),  # 0.11 / 1.05 > 0.1
        ((9.0, 1.0, 1.0, 1.0), True),  # what was before does not count
        ((1.0, 1.0, 1.0, 9.0), False),
    ],
)
def test_enough_is_measured_when_the_last_blocks_agree(medians, enough):
    assert agree(medians, THREE) is enough


def test_the_numbers_are_those_of_the_blocks_that_agree():
    blocks = [[0.9, 0.8], [0.010, 0.012], [0.011, 0.011], [0.011, 0.013]]
    found = summary(4, blocks, THREE)
    # Medians 11, 11 and 12 ms; of six sorted times the 95th percentile is the sixth.
    assert (found.p50_ms, found.p95_ms) == (pytest.approx(11), pytest.approx(13))
    assert found.spread == pytest.approx(1 / 11)
    # The slower of two runs is the 95th percentile of a block: 12, 11 and 13 ms.
    assert found.p95_spread == pytest.approx(2 / 12)
    assert (found.stable, found.blocks, found.runs) == (True, 3, 6)
    assert found.per_second == pytest.approx(4000 / 11)


def test_where_no_blocks_agree_all_of_them_count():
    found = summary(1, [[0.001, 0.001], [0.002, 0.002], [0.004, 0.004]], THREE)
    assert (found.stable, found.blocks, found.runs) == (False, 3, 6)
    assert found.spread == pytest.approx(1.5)
    assert found.p50_ms == pytest.approx(2)


def test_the_95th_percentile_is_a_time_that_was_taken():
    found = summary(1, [[n / 1e3 for n in range(1, 101)]], THREE)
    assert found.p95_ms == pytest.approx(95)
    assert found.p50_ms == pytest.approx(50.5)


@given(
    st.lists(st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=5), min_size=1, max_size=9),
    st.integers(2, 5),
)
def test_percentiles_lie_between_the_times(blocks, agreeing):
    patience = Patience(budget_s=1, block_s=1, agreeing=agreeing)
    found = summary(1, blocks, patience)
    times = [1e3 * taken for block in blocks for taken in block]
    assert min(times) <= found.p50_ms * (1 + 1e-12)
    assert found.p50_ms <= found.p95_ms * (1 + 1e-12)
    assert found.p95_ms <= max(times) * (1 + 1e-12)
    assert found.stable == agree([sorted(b)[len(b) // 2] if len(b) % 2 else
                                  (sorted(b)[len(b) // 2 - 1] + sorted(b)[len(b) // 2]) / 2
                                  for b in blocks], patience)  # fmt: skip


def test_it_warms_up_and_ends_with_the_first_blocks_that_agree():
    clock = Clock()
    # Three to warm up, a slow block of two, and then three that agree.
    run = Answers(clock, 900, 900, 10, 50, 50, 10, 10, 10, 10, 10, 10)
    found = timed(run, 1, THREE, clock)
    assert run.num == 3 + 2 * 4
    assert (found.p50_ms, found.stable, found.runs) == (pytest.approx(10), True, 6)
    assert found.spread == pytest.approx(0, abs=1e-9)


def test_it_ends_with_its_budget_where_nothing_agrees():
    clock = Clock()
    run = Answers(clock, *(10 * 1.5**n for n in range(40)))
    found = timed(run, 1, THREE, clock)
    assert not found.stable
    # Blocks of 84, 190, 427 and 961 ms: the fourth goes beyond a second.
    assert (found.blocks, run.num) == (4, 3 + 2 * 4)


def test_a_block_has_as_many_runs_as_its_time_wants():
    clock = Clock()
    run = Answers(clock, 10)
    found = timed(run, 1, Patience(budget_s=9, block_s=0.2, agreeing=2), clock)
    assert (found.blocks, found.runs) == (2, 40)


def test_without_a_budget_there_is_one_block():
    clock = Clock()
    found = timed(Answers(clock, 10), 1, Patience(budget_s=0, block_s=0), clock)
    assert (found.blocks, found.runs, found.spread, found.stable) == (1, 5, None, False)
    assert found.p95_spread is None


class Timed(nn.Module):
    """Takes a millisecond for each input, and notes how it was asked."""

    def __init__(self, clock):
        super().__init__()
        self.clock, self.seen = clock, []

    def forward(self, images):
        self.seen.append((tuple(images.shape), self.training, torch.is_inference_mode_enabled()))
        self.clock.now_s += len(images) / 1e3
        return images.flatten(1)


def test_a_network_is_asked_in_evaluation_and_inference_mode_with_whole_batches():
    clock = Clock()
    network = Timed(clock)
    one, many = measure_latency(network, SHAPE, CPU, batches=(1, 32), patience=THREE, clock=clock)
    assert (one.batch, one.p50_ms) == (1, pytest.approx(1))
    assert (many.batch, many.p50_ms, many.per_second) == (
        32, pytest.approx(32), pytest.approx(1000)
    )  # fmt: skip
    assert set(network.seen) == {((1, *SHAPE), False, True), ((32, *SHAPE), False, True)}
    assert network.training


def test_a_real_network_is_left_as_it_was():
    network = catalog.model(Component(name="resnet", depth=8), shape=SHAPE, num_classes=10)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    state = torch.random.get_rng_state()
    (found,) = measure_latency(
        network, SHAPE, CPU, batches=(2,), patience=Patience(budget_s=0, block_s=0)
    )
    assert found.p50_ms > 0.01
    assert math.isfinite(found.p95_ms)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert torch.equal(torch.random.get_rng_state(), state)


def test_inputs_are_as_those_that_a_network_gets():
    text = catalog.model(Component(name="text_cnn"), shape=Tokens(9, 30), num_classes=4)
    ids = examples(text, Tokens(9, 30), 5)
    assert (ids.shape, ids.dtype) == ((5, 9), torch.int64)
    assert 1 <= int(ids.min()) <= int(ids.max()) < 30
    half = nn.Linear(4, 4).to(torch.float64)
    images = examples(half, (3, 4, 4), 2)
    assert (images.shape, images.dtype) == ((2, 3, 4, 4), torch.float64)
    assert float(images.std()) == pytest.approx(1, abs=0.2)
