"""What drivers leave in the temporary directory, and who removes it."""

import subprocess
import sys
import tempfile

import pytest

from kdsweep.results.processes import Holder
from kdsweep.search.scratch import scratch_place

KILLED = """
import os
from kdsweep.search.scratch import scratch_place
with scratch_place() as place:
    print(place, flush=True)
    (place / "file").write_text("of Ray")
    {end}
"""


def driver(tmp_path, end):
    return subprocess.Popen(
        [sys.executable, "-c", KILLED.format(end=end)],
        env={"TMPDIR": str(tmp_path)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_what_a_killed_driver_left_is_removed_and_nothing_else(temporary):
    killed = driver(temporary, "os.kill(os.getpid(), 9)")
    living = driver(temporary, "input()")
    living_place = living.stdout.readline().strip()
    killed.wait()
    killed_place = killed.stdout.readline().strip()
    try:
        for name in ("kdsweep-mine", "other"):
            (temporary / name).mkdir()
        elsewhere = temporary / "kdsweep-elsewhere"
        elsewhere.mkdir()
        gone = Holder(host="another", pid=killed.pid, pid_began="1", since=0.0, token="x")
        (elsewhere / "owner.json").write_text(gone.model_dump_json())
        with scratch_place() as place:
            found = {str(path) for path in temporary.iterdir()}
        assert killed_place not in found
        assert {living_place, str(place), str(elsewhere)} < found
        assert {str(temporary / "kdsweep-mine"), str(temporary / "other")} < found
        assert not place.exists()
    finally:
        living.communicate("\n")
    assert living.returncode == 0
    assert living_place not in {str(path) for path in temporary.iterdir()}
