"""Sweeps as a person runs them: files, commands in processes of their own, and their records."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from listening import listening

from kdsweep.results.store import RunStore
from kdsweep.sweep_file.plan import this_machine

TWO_LANES = f"cluster: {{concurrent_trials: {min(2, this_machine().cpus)}}}\n"
"""Also where there are more processors: what is seen here is the same everywhere."""

# 2 controls and 6 trials, two of them drawn. Of three sizes the largest breaks the constraint.
DIGITS = """
name: digits
trial:
  data: {name: digits}
  teacher: {model: {name: cnn, width: 8, stages: 2}, train: {epochs: 4, lr: 3.0e-3}}
  student: {name: cnn, width: 4, stages: 2, hidden: 12}
  strategy: {name: kd, temperature: 2.0, alpha: 0.5}
  train: {epochs: 3, batch_size: 64, lr: 3.0e-3}
space:
  student.width: {choice: [2, 4, 8]}
  train.lr: {loguniform: [1.0e-3, 3.0e-2]}
  strategy:
    choice:
      - {name: none}
      - {name: kd, temperature: {loguniform: [1, 20]}, alpha: {uniform: [0, 1]}}
      - {name: fitnet, weight: {loguniform: [0.01, 10]}}
objectives: {accuracy: max, params: min}
constraints: {params: {max: 1200}}
search: {sampler: tpe, trials: 6, seed: 6, batch: 2}
"""


def environment(**more):
    """The environment of a person: no settings of this test run, and what is given here."""
    ours = ("RAY_", "TUNE_", "PYTEST_", "KDSWEEP_")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    return {**kept, "COLUMNS": "100", "TERM": "dumb", **{k: str(v) for k, v in more.items()}}


def command(*arguments):
    return [sys.executable, "-m", "kdsweep", *map(str, arguments)]


def kdsweep(*arguments, cwd, **more):
    """Run a command to its end; a sweep that hangs is a failure after ten minutes."""
    return subprocess.run(
        command(*arguments),
        cwd=cwd,
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def begun(*arguments, cwd, **more):
    """A command that runs on in the background, in a session of its own.

    It hears of Ctrl-C, also where a shell has started the tests in the background.
    """
    return subprocess.Popen(
        command(*arguments),
        cwd=cwd,
        env=environment(**more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def heard(*arguments, cwd, every=0.1, seconds=240.0, **more):
    """Run a command to its end: the finished process, and all that ``listening`` saw meanwhile."""
    found, end = {}, time.monotonic() + seconds
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen(
            command(*arguments), cwd=cwd, env=environment(**more), stdout=out, stderr=err
        )
        try:
            while process.poll() is None:
                assert time.monotonic() < end, "the command did not end"
                found |= listening(process.pid)
                time.sleep(every)
        finally:
            process.kill()
            process.wait()
        said = [file.seek(0) or file.read() for file in (out, err)]
    return subprocess.CompletedProcess(process.args, process.returncode, *said), found


def finished(done):
    """A command that must have gone well; shows what it said if it did not."""
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def records(directory):
    """The run's meta data, its trials by number, its teachers."""
    store = RunStore.open(Path(directory))
    results = store.read()
    assert store.problems == ()
    trials = [result for result in results if result.role != "teacher"]
    return store.meta, trials, [result for result in results if result.role == "teacher"]


def as_json(done):
    return json.loads(finished(done).stdout)


def marked(mark):
    """The processes that were started, however indirectly, with ``mark`` in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def processes(mark, words):
    """Of the sweep's processes those with ``words`` in their command line."""
    found = []
    for pid in marked(mark):
        try:
            said = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if words in said:
            found.append(pid)
    return found


def until(is_so, *, seconds=120.0, every=0.05):
    """Wait for another process; what ``is_so`` gave when it was true."""
    end = time.monotonic() + seconds
    while not (found := is_so()):
        assert time.monotonic() < end, "it never came to that"
        time.sleep(every)
    return found
