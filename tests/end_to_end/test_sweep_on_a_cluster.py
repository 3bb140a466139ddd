"""A sweep on a Ray cluster that is there already and has a token, as one on other machines must."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from finished_sweeps import DIGITS, environment, finished, kdsweep, records, until
from listening import HAS_PROC, processes_below

pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(not HAS_PROC, reason="reads Linux's /proc"),
]

RAY = (sys.executable, "-m", "ray.scripts.scripts")


@pytest.fixture(scope="module")
def head():
    """A cluster with a token, in a home of its own: address, home, token."""
    # Ray's sockets have paths of at most 107 characters.
    place = Path(tempfile.mkdtemp(prefix="kd-ray-"))
    own = environment(HOME=place, RAY_USAGE_STATS_ENABLED=0, PYTHONUNBUFFERED=1)
    made = [*RAY, "get-auth-token", "--generate"]
    token = subprocess.run(made, env=own, check=True, capture_output=True, text=True).stdout
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = (place / "head.log").open("wb")
    process = subprocess.Popen(
        [
            *RAY, "start", "--head", "--block", f"--port={port}", f"--temp-dir={place}/ray",
            "--num-cpus=1", "--include-dashboard=false", "--min-worker-port=0",
            "--max-worker-port=0",
        ],
        env=own, stdout=log, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        until(lambda: b"Ray runtime started" in (place / "head.log").read_bytes())
        yield f"127.0.0.1:{port}", place, token
    finally:
        of_the_cluster = processes_below(process.pid)
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(30)
        for pid in of_the_cluster:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
        log.close()
        shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
def directory(tmp_path):
    text = DIGITS.replace("trials: 6, seed: 6, batch: 2", "trials: 1, seed: 6")
    (tmp_path / "digits.yaml").write_text(text + "tracking: {enabled: false}\n")
    (tmp_path / "home").mkdir()
    return tmp_path


def test_with_its_token_it_is_joined(head, directory):
    """From the file where Ray keeps it, though an address is given."""
    address, home, token = head
    done = finished(kdsweep("run", "digits.yaml", "--address", address, cwd=directory, HOME=home))
    _, trials, _ = records(directory / "runs" / "digits")
    assert [trial.status for trial in trials] == ["complete"] * 3
    assert token not in done.stdout + done.stderr
    for path in (directory / "runs").rglob("*"):
        assert path.is_dir() or token.encode() not in path.read_bytes(), path


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({}, "none is given here"),
        ({"RAY_AUTH_MODE": "disabled"}, "none is given here"),
        ({"RAY_AUTH_TOKEN": "0123456789abcdef"}, "refuses the one that is given here"),
    ],
)
def test_without_its_token_it_is_not(head, directory, given, why):
    address, _, token = head
    done = kdsweep(
        "run", "digits.yaml", "--address", address, cwd=directory, HOME=directory / "home", **given
    )
    assert done.returncode == 2
    errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert errors == [
        f"error: cluster.address: the Ray cluster at {address!r} wants its token and {why}; give "
        "the one that `ray get-auth-token` prints on its head (RAY_AUTH_TOKEN, "
        "RAY_AUTH_TOKEN_PATH or ~/.ray/auth_token; RAY_AUTH_MODE must be token or not set)"
    ]
    said = done.stdout + done.stderr
    assert "Traceback" not in said
    assert token not in said
    assert given.get("RAY_AUTH_TOKEN", token) not in said
    assert not (directory / "runs").exists()
