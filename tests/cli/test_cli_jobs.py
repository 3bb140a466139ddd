"""What ``submit``, ``status``, ``logs`` and ``stop`` refuse, without a cluster."""

import json
import os
import re
import subprocess
import sys

import pytest
from calling import run
from job_server import job_server

from kdsweep.results.holder import Holder
from kdsweep.results.meta import RunMeta
from kdsweep.results.names import HOLDER_FILE, META_FILE
from kdsweep.results.record import EpochMetrics, TrialResult
from kdsweep.results.store import RunStore
from kdsweep.search import ray_jobs

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
        (("small.yaml", "--address", NOBODY), "error: --address: no job server answers at http://"),
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
    with job_server() as server:
        assert run("submit", "small.yaml", "--address", server.address) == 2
    said = capsys.readouterr()
    assert said.out == "checking small.yaml\n"
    assert server.asked == ["GET /api/version"]
    assert "trial.student.stagse" in said.err
    assert "--address" not in said.err


def test_what_is_there_already_is_refused_before_anything_is_sent(store, capsys):
    assert run("submit", "small.yaml", "--address", NOBODY) == 2
    said = capsys.readouterr()
    assert said.err.startswith("error: runs/small: already holds a run; ")


def test_what_goes_along_is_what_is_not_left_out(here):
    (here / ".gitignore").write_text("data/\n")
    for name in ("runs", ".git", ".venv", "__pycache__", "data", "sub"):
        (here / name).mkdir()
        (here / name / "file").write_bytes(bytes(100))
    found = ray_jobs.luggage(here)
    sent = [here / "small.yaml", here / ".gitignore", here / "sub" / "file"]
    assert (found.num_files, found.size_bytes) == (3, sum(path.stat().st_size for path in sent))


def test_a_directory_that_is_too_large_is_refused(here, capsys):
    with (here / "weights.bin").open("wb") as file:
        os.truncate(file.fileno(), 600 * 2**20)
    with job_server() as server:
        assert run("submit", "small.yaml", "--address", server.address) == 2
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
        command = ray_jobs.entrypoint(["run", "a b.yaml"], python=python)
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
        written = store.directory / META_FILE
        os.utime(written, ns=(0, written.stat().st_mtime_ns - 30 * 10**9))
        assert run("status", "runs/small") == 0
        lines = capsys.readouterr().out.splitlines()
        assert run("status", "runs/small", "--json") == 0
        assert json.loads(capsys.readouterr().out)["as_of_s"] >= 30
    as_of = r"  as of     (\d+) s ago: what was spent, and the epochs of trials that run"
    assert int(re.fullmatch(as_of, lines.pop(6))[1]) >= 30
    assert lines[0] == "runs/small: running"
    assert lines[1].startswith(f"  driver    kdsweep on {Holder.this_process().host}, process ")
    assert lines[2:] == [
        "  trials    0 of 3 complete, 1 running",
        "  front     0 students",
        "  spent     0s, 2 epochs of students",  # of its records: run.json says 0 still
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
    assert not any(line.startswith("  as of") for line in lines)
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
        "epoch 1: accuracy 50.00%, loss 1.0000 (total 2.0000), 1.00 s",
        "epoch 2: accuracy 50.00%, loss 1.0000 (total 2.0000), 1.00 s",
        "failed: net.py, line 7: no",
        "Traceback",
        "  x",
    ]


def test_logs_of_a_trial_that_was_set_aside_name_where_it_is(store, capsys):
    for name in ("00001", "00001-2", "00011"):
        (store.directory / "damaged" / name).mkdir(parents=True)
    assert run("logs", "runs/small", "--trial", "1") == 2
    assert capsys.readouterr().err == (
        "error: runs/small: the record of trial '1' could not be read when the sweep went on, "
        "and another is trained in its place; what there was of it is in "
        "runs/small/damaged/00001 and runs/small/damaged/00001-2\n"
    )
    assert run("logs", "runs/small", "--trial", "2") == 2
    assert "has no trial '2'" in capsys.readouterr().err


def test_of_a_job_whose_cluster_is_gone_the_log_is_still_printed(store, capsys):
    (store.directory / "logs").mkdir()
    (store.directory / "logs" / "driver.log").write_text("one\ntwo\n")
    (store.directory / "job.json").write_text('{"job": "kdsweep-small-1"}')
    assert run("logs", "runs/small", "--address", NOBODY) == 0
    said = capsys.readouterr()
    assert said.out == "one\ntwo\n"
    assert said.err.startswith(
        "warning: the output of Ray job kdsweep-small-1 is left out: --address: no job server "
        f"answers at {NOBODY} ("
    )


def only_the_token(monkeypatch, tmp_path, token):
    """No token but this one, and no word of whether it is to be used."""
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "auth_token"))
    monkeypatch.setenv("HOME", str(tmp_path))
    if token:
        (tmp_path / "auth_token").write_text(token)


def in_a_process_of_its_own(*arguments):
    """Ray reads a token once, for good."""
    program = (
        f"import sys; sys.argv = {['kdsweep', *arguments]!r}; import kdsweep.cli as c; c.main()"
    )
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("command", ["status", "stop", "logs"])
def test_a_token_that_is_there_is_used_without_being_asked_for(monkeypatch, tmp_path, command):
    only_the_token(monkeypatch, tmp_path, "t0ken")
    with job_server("t0ken") as server:
        server.states = ["SUCCEEDED"]
        job = "kdsweep-small-1"
        done = in_a_process_of_its_own(command, job, "--address", server.address)
    if command == "stop":
        said = f"error: {job}: does not run, so there is nothing to stop: it is SUCCEEDED\n"
        assert (done.returncode, done.stderr) == (2, said)
    elif command == "status":
        assert (done.returncode, done.stdout) == (0, f"{job}: SUCCEEDED; So.\n")
    assert "token" not in done.stderr


@pytest.mark.parametrize(
    ("given", "why"), [("other", "refuses the one that is given here"), ("", "none is given here")]
)
def test_without_the_right_token_it_says_which_one(monkeypatch, tmp_path, given, why):
    only_the_token(monkeypatch, tmp_path, given)
    with job_server("t0ken") as server:
        done = in_a_process_of_its_own("status", "kdsweep-s-1", "--address", server.address)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"error: --address: the Ray cluster at {server.address} wants its token and {why}; give "
        "the one that `ray get-auth-token` prints on its head (RAY_AUTH_TOKEN, "
        "RAY_AUTH_TOKEN_PATH or ~/.ray/auth_token; RAY_AUTH_MODE must be token or not set)\n"
    )


@pytest.mark.parametrize(
    ("last", "said"),
    [
        ("STOPPED", "STOPPED; `kdsweep resume RUN` goes on, where its records are seen"),
        ("SUCCEEDED", "SUCCEEDED before it could be stopped; So."),
    ],
)
def test_stop_waits_for_a_job_and_says_how_it_ended(here, capsys, monkeypatch, last, said):
    monkeypatch.setattr(ray_jobs, "_LOOK_EVERY_S", 0.01)
    job = "kdsweep-small-1"
    with job_server() as server:
        server.states = ["RUNNING", "RUNNING", last]
        assert run("stop", job, "--address", server.address) == 0
        assert capsys.readouterr().out.splitlines() == [f"{job}: asked to stop", f"{job}: {said}"]
        server.states = ["RUNNING"]
        assert run("stop", job, "--address", server.address, "--no-wait") == 0
    assert capsys.readouterr().out == (
        f"{job}: asked to stop; `kdsweep status {job}` says when it has\n"
    )


def test_what_answers_and_is_no_job_server(here, capsys):
    with job_server() as server:
        server.answer = lambda *asked: (200, {"hello": "world"})
        assert run("status", "kdsweep-small-1", "--address", server.address) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: --address: no job server answers at {server.address} (what ")


def test_what_is_sent_is_said_without_words_of_rays(here, capfd):
    with job_server() as server:
        assert run("submit", "small.yaml", "--address", server.address) == 0
    said = capfd.readouterr()
    assert said.out.splitlines()[1].startswith("sent 1 file, 0.0 MB, of ")
    assert said.err == ""


@pytest.mark.parametrize("runs", ["/proc/x", "small.yaml/runs"])
def test_a_place_that_cannot_be_written_to_is_refused_before_the_file_is_checked(
    here, capsys, runs
):
    assert run("run", "small.yaml", "--runs-dir", runs) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "no run can be made here: " in said.err


def test_nothing_of_a_record_reaches_the_terminal_as_a_command(store, capsys):
    evil = "\x1b]0;pwn\x07\x9b31m"
    spelled = "\\x1b]0;pwn\\x07\\x9b31m"
    result = running(4).model_copy(
        update={"name": evil, "status": "complete", "metrics": {"accuracy": 0.5, "params": 9.0},
                "trial": {"student": {"name": evil}, "strategy": evil, "train": {"epochs": 2}},
                "changes": {"student.name": evil}, "params": {"student.name": evil},
                "weights": f"trials/{evil}"}
    )  # fmt: skip
    store.write(result)
    store.write(running(5).model_copy(update={"name": evil, "lane": evil}))
    store.update_meta(name=evil, created=evil, ended_by=evil)
    (store.directory / "logs").mkdir()
    (store.directory / "logs" / "driver.log").write_text(f"{evil}\r\n 50%\r100%\n")
    (store.directory / "trials" / evil).mkdir()
    (store.directory / "trials" / evil / "result.json").write_text("{")
    with store.hold():
        for command in (["logs"], ["logs", "--trial", "4"], ["status"], ["front"],
                        ["front", "--csv"], ["select"]):  # fmt: skip
            assert run(command[0], "runs/small", *command[1:]) == 0
            said = "".join(capsys.readouterr())
            assert not set(said) & {"\x1b", "\x07", "\x9b", "\r"}, command
            if command != ["select"]:
                assert spelled in said.replace("\n", ""), command
        assert run("list") == 0
        assert run("resume", "runs/small", "--address", evil) == 2
    assert not set("".join(capsys.readouterr())) & {"\x1b", "\x07", "\x9b"}
