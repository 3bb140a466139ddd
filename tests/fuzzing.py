"""How many inputs a fuzz test tries, and for how long one of them may keep it waiting."""

import os
import signal
from contextlib import contextmanager

from hypothesis import HealthCheck, settings

TIMES = int(os.environ.get("KDSWEEP_FUZZ", "1"))
"""``KDSWEEP_FUZZ=100 pytest -k fuzz`` tries a hundred times as many."""
SECONDS = 30


def tried(num):
    """Hypothesis with ``num`` inputs, or as many times more as the environment says."""
    return settings(
        max_examples=num * TIMES, deadline=None, suppress_health_check=list(HealthCheck)
    )


@contextmanager
def in_time():
    """A failure, not a test that never ends, if what is inside takes half a minute."""

    def too_long(number, frame):
        raise AssertionError(f"it took more than {SECONDS} seconds")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
