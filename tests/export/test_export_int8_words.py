"""What an export says of int8: each number beside that of the float file."""

import pytest

from kdsweep.export.card import int8_notes
from kdsweep.export.checking import Quality
from kdsweep.export.files import INT8, ONNX, Written
from kdsweep.results.latency import BatchLatency


class Card:
    """The two files alone."""

    def __init__(self, *written):
        self.written = {each.name: each for each in written}

    def file(self, name):
        return self.written.get(name)


def written(name, accuracy, num_bytes, *p50_ms):
    latency = tuple(
        BatchLatency(batch=batch, p50_ms=ms, p95_ms=ms, blocks=3, runs=9)
        for batch, ms in zip((1, 32), p50_ms, strict=True)
    )
    quality = Quality(accuracy=accuracy, loss=0.1, samples=400)
    return Written(name, "", num_bytes, (), quality, agreement=None, latency=latency)


def test_what_int8_costs_and_gains_is_said_with_both_numbers():
    whole = written(ONNX, 0.98, 1000, 0.02, 0.08)
    small = written(INT8, 0.9775, 400, 0.03, 0.04)
    assert int8_notes(Card(whole, small)) == [
        "accuracy: int8 is 0.25 percentage points less accurate than float, 97.75% against 98.00% "
        "of 400 validation samples",
        "size: int8 is 60% smaller, 400 bytes against 1,000",
        "speed: with 1 input at once int8 is slower than float, it takes 1.50 times as long, "
        "0.03 ms against 0.02 ms (p50, this processor)",
        "speed: with 32 inputs at once int8 is 2.00 times as fast as float, 0.04 ms against "
        "0.08 ms (p50, this processor)",
    ]


@pytest.mark.parametrize(
    ("accuracy", "said"),
    [(0.98, "is as accurate as float"), (0.985, "is 0.50 percentage points more accurate than")],
)
def test_no_gain_is_said_as_such(accuracy, said):
    whole = written(ONNX, 0.98, 1000, 0.02, 0.08)
    first, size, *_, last = int8_notes(Card(whole, written(INT8, accuracy, 1100, 0.03, 0.09)))
    assert said in first
    assert "size: int8 is no smaller: " in size
    assert "1,100 bytes against 1,000" in size
    assert last.startswith("so int8 gains no time here: ")


def test_without_int8_nothing_is_said():
    assert int8_notes(Card(written(ONNX, 0.98, 1000, 0.02, 0.08))) == []
