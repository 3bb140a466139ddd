"""A sweep whose nodes share an object store alone; its driver dies, another machine goes on."""

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from finished_sweeps import as_json, begun, finished, kdsweep, until
from object_store import files
from ray_nodes import ray_nodes
from safetensors.torch import load

from kdsweep.results.record import ENDED

pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads /proc"),
]

SWEEP = """
name: far
trial:
  data: {name: digits}
  teacher: {model: {name: cnn, width: 8, stages: 2}, train: {epochs: 4, lr: 3.0e-3}}
  student: {name: cnn, width: 4, stages: 2, hidden: 12}
  strategy: {name: kd, temperature: 2.0, alpha: 0.5}
  train: {epochs: 250, batch_size: 64, lr: 3.0e-3}
space:
  student.width: {choice: [2, 4, 8]}
  train.lr: {loguniform: [1.0e-3, 3.0e-2]}
search: {sampler: tpe, trials: 6, seed: 6}
storage: {path: "s3://bucket/sweeps", checkpoint_every_s: 0.2, max_bytes: 2_000}
"""
PLANNED = 8
RUN = "s3://bucket/sweeps/far"


class Seen:
    """What was seen of the run: by each command, and in the store when the driver was killed."""


@pytest.fixture(scope="module")
def seen(tmp_path_factory, s3_server):
    """A sweep that was begun on one machine, and finished from another."""
    import fsspec

    seen = Seen()
    store = s3_server.environment
    seen.homes = [tmp_path_factory.mktemp(name) for name in ("first", "second", "third")]
    (seen.homes[0] / "far.yaml").write_text(SWEEP)
    with pytest.MonkeyPatch.context() as patch, ray_nodes(1, 1, **store) as cluster:
        for name, value in store.items():
            patch.setenv(name, value)
        fsspec.filesystem("s3").makedirs("bucket", exist_ok=True)

        def at(number, *arguments):
            home = seen.homes[number]
            return kdsweep(*arguments, cwd=home, **{**cluster.driver, "HOME": home})

        first = {**cluster.driver, "HOME": seen.homes[0]}
        process = begun("run", "far.yaml", "--address", cluster.address, cwd=seen.homes[0], **first)
        try:
            until(lambda: _is_driven() or process.poll() is not None, seconds=240, every=0.3)
            # At once, and while the lanes start: the sweep must still run when they look.
            with ThreadPoolExecutor() as pool:
                status = pool.submit(at, 1, "status", RUN, "--json")
                second = pool.submit(at, 2, "resume", RUN, "--address", cluster.address)
                again = pool.submit(at, 0, "run", "far.yaml", "--address", cluster.address)
            seen.status, seen.second, seen.again = (
                each.result() for each in (status, second, again)
            )
            until(lambda: _trains_on() or process.poll() is not None, seconds=240, every=0.3)
            assert process.poll() is None, process.communicate()
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        seen.at_the_kill = files(RUN)
        seen.died = at(1, "status", RUN, "--json")
        seen.resumed = at(1, "resume", RUN, "--address", cluster.address)
        seen.nodes = [path for node in cluster.nodes for path in node.home.rglob("*.safetensors")]
        seen.left = {path.name for node in cluster.nodes for path in node.work.iterdir()}
        seen.front = at(2, "front", RUN, "--json")
        seen.chosen = at(2, "select", RUN, "--json")
        seen.files = files("s3://bucket/sweeps")
        yield seen


def _records(found):
    return {
        name.split("/")[1]: json.loads(content)
        for name, content in found.items()
        if name.startswith("trials/") and name.endswith("/result.json") and "teacher" not in name
    }


def _is_driven():
    return any(name.startswith("driver-") for name in files(RUN))


def _trains_on():
    """Whether a trial has ended, and another that has not has a checkpoint."""
    found = files(RUN)
    ended = {key for key, each in _records(found).items() if each["status"] in ENDED}
    going_on = {name.split("/")[1] for name in found if "/checkpoints/" in name}
    return bool(ended and going_on - ended)


def test_it_is_seen_and_refused_from_other_machines_while_it_runs(seen):
    row = as_json(seen.status)
    assert row["status"] == "running"
    assert seen.second.returncode == seen.again.returncode == 2
    sentence = f"error: {RUN}: is being worked on by kdsweep on {row['driver']['host']}, process "
    assert seen.second.stderr.startswith(f"{sentence}{row['driver']['pid']}, ")
    assert seen.again.stderr.startswith(sentence)


def test_another_machine_goes_on_where_it_died(seen):
    row = as_json(seen.died)
    assert row["status"] == "died"
    assert row["complete"] >= 1
    finished(seen.resumed)
    kept = {
        key: record
        for key, record in _records(seen.at_the_kill).items()
        if record["status"] in ENDED
    }
    found = _records(_run(seen))
    assert {record["status"] for record in found.values()} == {"complete"}
    assert sorted(record["number"] for record in found.values()) == list(range(PLANNED))
    for key, record in kept.items():
        assert {**found[key], "weights": record["weights"]} == record
    # Those that were in training went on from a checkpoint that the store held.
    assert any(record["interruptions"] for record in found.values())
    assert "goes on after epoch" in seen.resumed.stdout


def test_the_store_holds_all_of_the_run_and_the_nodes_nothing(seen):
    run = _run(seen)
    for key, record in _records(run).items():
        if record["weights"] is not None:
            weights = load(run[f"trials/{key}/student.safetensors"])
            assert sum(each.numel() for each in weights.values()) >= record["metrics"]["params"]
    assert not [name for name in run if "/checkpoints/" in name]
    assert {"run.json", "sweep.yaml", "front.csv", "front.png", "logs/driver.log"} <= set(run)
    meta = json.loads(run["run.json"])
    teacher = meta["teacher"]["weights"].removeprefix("../")
    assert sum(each.numel() for each in load(seen.files[teacher]).values()) > 0
    assert not [name for name in seen.files if "turn-" in name or ".now." in name]
    # Of the teacher a copy is kept by each node that has trained.
    assert {path.name for path in seen.nodes} == {"teacher.safetensors"}
    assert seen.left == set()


def test_weights_beyond_the_budget_of_bytes_are_those_of_the_front(seen):
    run, front = _run(seen), {row["trial_id"] for row in as_json(seen.front)["front"]}
    kept = {name.split("/")[1] for name in run if name.endswith("/student.safetensors")}
    with_weights = {key for key, each in _records(run).items() if each["weights"] is not None}
    assert kept == with_weights == front
    assert len(front) < PLANNED
    assert "storage.max_bytes allows 2.0 KiB" in seen.resumed.stdout


def test_the_front_is_read_where_nothing_of_it_ever_was(seen):
    row = as_json(seen.front)
    assert row["run"] == RUN
    assert row["complete"] == PLANNED
    assert row["front"]
    assert as_json(seen.chosen)["chosen"]["trial_id"] in _records(_run(seen))


def test_no_credential_is_in_what_it_wrote(seen):
    secret = b"what-nobody-may-read"
    assert not [name for name, content in seen.files.items() if secret in content]
    for home in seen.homes:
        for path in home.rglob("*"):
            assert not path.is_file() or secret not in path.read_bytes()


def _run(seen):
    prefix = "far/"
    return {
        name.removeprefix(prefix): content
        for name, content in seen.files.items()
        if name.startswith(prefix)
    }
