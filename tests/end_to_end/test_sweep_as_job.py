"""``submit`` on a real cluster with a job server; ``status``, ``logs`` and ``stop`` of the job."""

import json
from pathlib import Path

import pytest
from finished_sweeps import finished, kdsweep, records, until
from ray_nodes import ray_nodes, spare_port

pytest.importorskip("opencensus", reason="needs ray[default]")
pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads /proc"),
]

SWEEP = """
name: sent
trial:
  data: {name: digits}
  student: {name: "own_student:Small", width: 4}
  strategy: {name: none}
  train: {epochs: 40, batch_size: 64}
space:
  student.width: {int: [2, 8]}
  train.lr: {loguniform: [1.0e-3, 3.0e-2]}
search: {sampler: random, trials: 200, seed: 1}
tracking: {enabled: false}
"""
OWN = """
from torch import nn


class Small(nn.Module):
    def __init__(self, num_classes: int, width: int = 4) -> None:
        super().__init__()
        self.hidden = nn.Linear(64, width)
        self.head = nn.Linear(width, num_classes)

    def forward(self, images):
        return self.head(self.hidden(images.flatten(1)).relu())
"""


@pytest.fixture(scope="module")
def server():
    """A cluster with a job server: what a command needs in its environment, and its address."""
    port = spare_port()
    with ray_nodes() as cluster:
        cluster.add(
            2, "--include-dashboard=true", "--dashboard-host=127.0.0.1", f"--dashboard-port={port}"
        )
        yield cluster, f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def laptop(tmp_path_factory):
    """Where a person works, with what must not be sent beside what must."""
    here = tmp_path_factory.mktemp("laptop")
    (here / "sweeps").mkdir()
    (here / "sweeps" / "sent.yaml").write_text(SWEEP)
    (here / "own_student.py").write_text(OWN)
    for name in ("runs", ".git", ".venv", "__pycache__"):
        (here / name).mkdir()
        (here / name / "large").write_text("not to be sent")
    return here


@pytest.fixture(scope="module")
def sent(server, laptop, tmp_path_factory):
    """The job's name, its run, what the commands said while it ran, and after it."""
    cluster, address = server
    run = tmp_path_factory.mktemp("storage") / "runs" / "sent"

    def call(*arguments):
        return kdsweep(*arguments, cwd=laptop, RAY_API_SERVER_ADDRESS=address, **cluster.driver)

    said = {"submit": call("submit", "sweeps/sent.yaml", "--runs-dir", run.parent)}
    job = job_in(finished(said["submit"]).stdout)
    until(lambda: trains(run) or ended(call, job), seconds=180, every=3)
    said["again"] = call("submit", "sweeps/sent.yaml", "--runs-dir", run.parent)
    said["status"] = call("status", run, "--json")
    said["logs"] = call("logs", run)
    said["stop"] = call("stop", run)
    until(lambda: ended(call, job), seconds=60, every=1)
    said["status after"] = call("status", job)
    said["logs after"] = call("logs", job, "--follow")
    said["stop after"] = call("stop", job)
    said["unknown"] = call("status", "kdsweep-nothing-0")
    return job, run, said


def job_in(text):
    (job,) = {word for word in text.split() if word.startswith("kdsweep-sent-")}
    return job


def trains(run):
    """Whether a trial of it is complete."""
    if not (run / "run.json").exists():
        return False
    return "complete" in {trial.status for trial in records(run)[1]}


def ended(call, job):
    told = json.loads(finished(call("status", job, "--json")).stdout)["job"]
    return told["status"] not in ("PENDING", "RUNNING")


def test_the_command_says_what_it_sent_and_what_to_do_next(sent, laptop):
    job, run, said = sent
    first, *lines = finished(said["submit"]).stdout.splitlines()
    assert first == "checking sweeps/sent.yaml"
    assert lines[0] == (
        f"sent 2 files, 0.0 MB, of {laptop}; without runs/, .git, virtual environments, caches "
        "and what .gitignore names"
    )
    assert lines[1].startswith(f"submitted {job} to http://127.0.0.1:")
    assert lines[1].endswith(f"; its records will be in {run}")
    assert f"  kdsweep stop {run}   end it cleanly" in lines


def test_the_records_say_which_job_drives_the_run(sent):
    job, run, said = sent
    told = json.loads(finished(said["status"]).stdout)
    assert told["status"] == "running"
    assert told["driver"]["words"].endswith(f" (Ray job {job})")
    assert (told["job"]["id"], told["job"]["status"]) == (job, "RUNNING")
    assert said["again"].returncode == 2
    assert f"{run}: is being worked on by kdsweep on " in said["again"].stderr
    assert f"(Ray job {job})" in said["again"].stderr


def test_logs_are_those_of_the_run_and_of_the_job(sent):
    job, run, said = sent
    text = finished(said["logs"]).stdout
    assert text.index(f"==> {run}/logs/driver.log <==") < text.index(f"of Ray job {job} <==")
    assert "sampler random: " in text


def test_stop_ends_the_job_cleanly(sent):
    job, run, said = sent
    assert finished(said["stop"]).stdout.endswith(
        f"\n{run}: stopped; `kdsweep resume {run}` goes on\n"
    )
    meta, trials, _ = records(run)
    assert meta.status == "stopped"
    assert {trial.status for trial in trials} == {"complete", "stopped"}
    # To Ray it is one that ended with 130, as of Ctrl-C.
    assert finished(said["status after"]).stdout.startswith(f"{job}: FAILED; ")
    text = finished(said["logs after"]).stdout
    assert "stopping: somebody asked for it" in text
    assert f"stopped; `kdsweep resume {run}` goes on" in text


def test_of_a_job_that_has_ended_there_is_nothing_to_stop(sent):
    job, _, said = sent
    assert said["stop after"].returncode == 2
    assert said["stop after"].stderr == (
        f"error: {job}: does not run, so there is nothing to stop: it is FAILED\n"
    )
    assert said["unknown"].returncode == 2
    assert "knows no job 'kdsweep-nothing-0'" in said["unknown"].stderr


def test_a_job_is_stopped_by_its_name_where_its_records_are_not_seen(server, laptop, tmp_path):
    """As Ray stops it: with a signal, and with time enough to write what it has."""
    cluster, address = server
    run = tmp_path / "runs" / "sent"

    def call(*arguments):
        return kdsweep(*arguments, cwd=laptop, RAY_API_SERVER_ADDRESS=address, **cluster.driver)

    job = job_in(finished(call("submit", "sweeps/sent.yaml", "--runs-dir", run.parent)).stdout)
    until(lambda: trains(run) or ended(call, job), seconds=180, every=3)
    asked = finished(call("stop", job)).stdout
    assert asked.splitlines() == [
        f"{job}: asked to stop",
        f"{job}: STOPPED; `kdsweep resume RUN` goes on, where its records are seen",
    ]
    assert finished(call("status", job)).stdout.startswith(f"{job}: STOPPED; ")
    meta, trials, _ = records(run)
    assert meta.status == "stopped"
    assert {trial.status for trial in trials} == {"complete", "stopped"}
    assert (run / "front.csv").exists()
