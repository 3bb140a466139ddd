"""What ``submit``, ``status``, ``logs`` and ``stop`` refuse, without a cluster."""

import os
import subprocess
import sys

import pytest
from calling import run

from kdsweep.results.holder import HOLDER_FILE, Holder
from kdsweep.results.meta import RunMeta
from kdsweep.results.record import EpochMetrics, TrialResult
from kdsweep.results.store import RunStore
from kdsweep.search import jobs

SWEEP = """
name: small
trial:
  data: {name: digits}
  student: {name: cnn, width: 4, stages: 2}
  strategy: {name: none}
space: {train.lr: {loguniform: [1.0e-3, 3.0e-2]}}
search: {sampler: random, trials: 2, budget: {epochs: 500}}
"""
NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A directory with a sweep file, where the commands are called."""
    directory = tmp_path / "here"
    directory.mkdir()
    (directory / "small.yaml").write_text(SWEEP)
    monkeypatch.chdir(directory)
    return directory


@pytest.fixture
def store(here):
    meta = RunMeta(
        sweep_id="0" * 32, name="small", created="2026-11-21T10:00:00+00:00",
        objectives={"accuracy": "max"}, trials=3,
    )  # fmt: skip
    return RunStore.create(here / "runs" / "small", meta=meta, sweep_text=SWEEP)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("small.yaml", "--address", NOBODY), "error: --address: the job server at http://127.0.0"),
        (("small.yaml", "--address", "auto"), "error: --address: 'auto' is not allowed: must be "),
        (("small.yaml", "--name", "../x"), "error: --name: '../x' is not allowed: must be 1 to 64"),
        (("none.yaml",), "error: none.yaml: "),
        (("../far.yaml",), "error: ../far.yaml: is not in the current directory, "),
    ],
)
def test_what_submit_refuses(here, capsys, arguments, sentence):
    (here.parent / "far.yaml").write_text(SWEEP)
    assert run("submit", *arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(sentence)


def test_a_file_with_mistakes_is_not_sent(here, capsys):
    (here / "small.yaml").write_text(SWEEP.replace("stages: 2", "stagse: 2"))
    assert run("submit", "small.yaml", "--address", NOBODY) == 2
    said = capsys.readouterr()
    assert "trial.student.stagse" in said.err
    assert "--address" not in said.err


def test_what_is_there_already_is_refused_before_anything_is_sent(store, capsys):
    assert run("submit", "small.yaml", "--address", NOBODY) == 2
    said = capsys.readouterr()
    assert said.err.startswith(f"error: {store.directory}: already holds a run; ")


def test_what_goes_along_is_what_is_not_left_out(here):
    (here / ".gitignore").write_text("data/\n")
    for name in ("runs", ".git", ".venv", "__pycache__", "data", "sub"):
        (here / name).mkdir()
        (here / name / "file").write_bytes(bytes(100))
    found = jobs.luggage(here)
    sent = [here / "small.yaml", here / ".gitignore", here / "sub" / "file"]
    assert (found.num_files, found.size_bytes) == (3, sum(path.stat().st_size for path in sent))


def test_a_directory_that_is_too_large_is_refused(here, capsys):
    with (here / "weights.bin").open("wb") as file:
        os.truncate(file.fileno(), 600 * 2**20)
    assert run("submit", "small.yaml", "--address", NOBODY) == 2
    said = capsys.readouterr()
    assert said.err.startswith(
        f"error: {here}: is too large to be sent as the job's working directory: more than 512 MiB "
        "without runs/, .git, "
    )


def test_without_rays_jobs_it_says_what_to_install(here):
    program = (
        "import sys; sys.modules['aiohttp'] = None; from kdsweep import cli; "
        "sys.argv = ['kdsweep', 'stop', 'kdsweep-small-1']; cli.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr == (
        "error: Ray's jobs are not installed here; `pip install 'kdsweep[cluster]'` does it\n"
    )


def test_the_job_runs_under_the_same_python_or_under_the_one_that_is_there():
    line = "import sys; print(sys.executable, sys.argv[1:])"
    for python, expected in ((sys.executable, sys.executable), ("/no/python", "python3")):
        command = jobs.entrypoint(["run", "a b.yaml"], python=python)
        assert command.endswith("\"$p\" -m kdsweep run 'a b.yaml'")
        started = command.replace("-m kdsweep", f"-c '{line}'")
        done = subprocess.run(["sh", "-c", started], capture_output=True, text=True, check=True)
        assert done.stdout.endswith(" ['run', 'a b.yaml']\n")
        assert expected in command


def running(number):
    return TrialResult(
        trial_id=f"{number:05}", number=number, status="running", name="none w4",
        trial={"train": {"epochs": 20}}, lane="lane-001",
        epochs=tuple(
            EpochMetrics(epoch=e, accuracy=0.5, loss=1.0, train={"total": 2.0}, lr=0.1, seconds=1)
            for e in (1, 2)
        ),
    )  # fmt: skip


def test_status_of_a_run_that_is_driven(store, capsys):
    store.write(running(1))
    with store.hold():
        assert run("status", "runs/small") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "runs/small: running"
    assert lines[1].startswith(f"  driver    kdsweep on {Holder.this_process().host}, process ")
    assert lines[2:] == [
        "  trials    0 of 3 complete, 1 running",
        "  front     0 students",
        "  spent     0s, 0 epochs of students",
        "  budget    epochs 500",
        "  running   00001 none w4, epoch 2 of 20, accuracy 50.00%, lane-001",
    ]


def test_status_of_a_trial_that_no_living_lane_has(store, capsys):
    store.write(running(1))
    store.write(running(2).model_copy(update={"lane": "waiting"}))
    with store.hold():
        assert run("status", "runs/small") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2] == "  trials    0 of 3 complete, 1 running, 1 waiting for a lane"
    assert lines[-1] == (
        "  running   00002 none w4, epoch 2 of 20, accuracy 50.00%, waiting for a lane"
    )


def test_status_of_a_run_that_has_died(store, capsys):
    store.write(running(1))
    gone = Holder.this_process().model_copy(update={"pid_began": "1"})
    (store.directory / HOLDER_FILE).write_text(gone.model_dump_json())
    assert run("status") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [
        "runs/small: died: its records say that it runs, but nobody drives it; "
        "`kdsweep resume runs/small` goes on",
        "  driver    nobody",
    ]
    assert run("stop", "runs/small") == 2
    assert capsys.readouterr().err == (
        "error: runs/small: nobody drives it, so there is nothing to stop: it has died; "
        "`kdsweep resume runs/small` goes on with it\n"
    )
    assert not (store.directory / "stop.json").exists()


def test_a_request_that_nobody_waits_for_is_there_until_the_run_ends(store, capsys):
    with store.hold():
        assert store.why_stop() is None
        assert run("stop", "runs/small", "--no-wait") == 0
        assert store.why_stop() == "somebody asked for it"
        capsys.readouterr()
        run("status", "runs/small")
        assert capsys.readouterr().out.startswith("runs/small: running, asked to stop\n")
    assert not (store.directory / "stop.json").exists()
    # One that came when nobody was there is not for the next driver.
    (store.directory / "stop.json").write_text("{}")
    with store.hold():
        assert store.why_stop() is None


def test_logs_of_a_trial_that_failed(store, capsys):
    result = running(1).model_copy(
        update={"status": "failed", "error": "net.py, line 7: no", "traceback": "Traceback\n  x"}
    )
    store.write(result)
    assert run("logs", "runs/small", "--trial", "1") == 0
    assert capsys.readouterr().out.splitlines() == [
        "00001 none w4 (lane-001)",
        "epoch 1: accuracy 0.5000, loss 1.0000 (total 2.0000), 1.00 s",
        "epoch 2: accuracy 0.5000, loss 1.0000 (total 2.0000), 1.00 s",
        "failed: net.py, line 7: no",
        "Traceback",
        "  x",
    ]


def test_of_a_job_whose_cluster_is_gone_the_log_is_still_printed(store, capsys):
    (store.directory / "logs").mkdir()
    (store.directory / "logs" / "driver.log").write_text("one\ntwo\n")
    (store.directory / "job.json").write_text('{"job": "kdsweep-small-1"}')
    assert run("logs", "runs/small", "--address", NOBODY) == 0
    said = capsys.readouterr()
    assert said.out == "one\ntwo\n"
    assert said.err.startswith(
        "warning: the output of Ray job kdsweep-small-1 is left out: --address: the job server at "
    )
