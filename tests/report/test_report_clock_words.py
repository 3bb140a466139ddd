"""Durations in words are rounded, not cut."""

import pytest

from kdsweep.report.labels import clock_words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "0s"),
        (6.6, "7s"),
        (59.6, "1m 00s"),
        (125.5, "2m 06s"),
        (3599.6, "1h 00m"),
        (3749.6, "1h 02m"),  # 62 minutes and 29.6 seconds
        (3750.0, "1h 03m"),
        (7199.0, "2h 00m"),
    ],
)
def test_a_duration_is_rounded_to_the_unit_said_last(seconds: float, words: str) -> None:
    assert clock_words(seconds) == words
