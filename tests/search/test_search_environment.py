"""What Ray reads from the environment, in a process that has not imported it."""

import os
import subprocess
import sys

CALLS_RAY = """
from kdsweep.search import environment
import ray
try:
    ray.get_actor("nobody")
finally:
    print(ray.is_initialized())
"""


def test_a_call_without_a_ray_starts_none():
    # As in a thread of a lane's controller that outlives its sweep.
    given = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    done = subprocess.run(
        [sys.executable, "-c", CALLS_RAY], env=given, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout == "False\n"
    assert "RaySystemError" in done.stderr
