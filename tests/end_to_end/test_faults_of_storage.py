"""Files that a power cut or a bad disk has damaged, and a disk without room."""

import os
import shutil
import signal
import subprocess
import uuid
from contextlib import suppress
from pathlib import Path

import pytest
from finished_sweeps import (
    TWO_LANES,
    begun,
    finished,
    kdsweep,
    processes,
    records,
    until,
)

from kdsweep.results.store import RunStore

pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads /proc"),
]

SWEEP = """
name: long
trial:
  data: {name: digits, augment: {crop: 1, views: 4}}
  teacher: {model: {name: cnn, width: 8, stages: 2}, train: {epochs: 4, lr: 3.0e-3}}
  student: {name: cnn, width: 4, stages: 2, hidden: 12, dropout: 0.2}
  strategy: {name: kd, temperature: 2.0, alpha: 0.5}
  train: {epochs: 60, batch_size: 64}
space:
  student.width: {int: [2, 8]}
  train.lr: {loguniform: [1.0e-3, 3.0e-2]}
search: {sampler: random, trials: 5, seed: 1, rungs: null}
storage: {checkpoint_every_s: 0}
tracking: {enabled: false}
"""
PLANNED = 7


def started(home, *arguments, **more):
    return begun("run", "long.yaml", *arguments, cwd=home, **more)


def ended(run):
    return [r for r in RunStore.open(run).read() if r.status == "complete" and r.role != "teacher"]


def checkpoints(run):
    """Of each running trial that has two, the newest."""
    found = {}
    for path in sorted(run.glob("trials/*/checkpoints/*.safetensors")):
        found.setdefault(path.parent, []).append(path)
    return [paths[-1] for paths in found.values() if len(paths) == 2]


def flip_the_last_byte(path):
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


def said(sentence, done):
    """Whether a command has printed a sentence; lines end where the terminal does."""
    return "".join(sentence.split()) in "".join(done.stdout.split())


@pytest.fixture(scope="module")
def mended(tmp_path_factory):
    """A driver is killed, files are damaged, and another goes on; the files, and what it said."""
    home = tmp_path_factory.mktemp("damaged")
    (home / "long.yaml").write_text(SWEEP + TWO_LANES)
    mark = f"KDSWEEP_TEST_MARK={uuid.uuid4().hex}"
    process, run = started(home, KDSWEEP_TEST_MARK=mark), home / "runs" / "long"
    try:
        until(
            lambda: (
                process.poll() is not None
                or ((run / "run.json").exists() and ended(run) and checkpoints(run))
            )
        )
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    finally:
        process.kill()
    # Its lanes end a moment later, and would write on.
    until(lambda: not processes(mark, "RayTrainWorker"), seconds=60)
    newest = checkpoints(run)[0]
    record = run / "trials" / ended(run)[0].trial_id / "result.json"
    block = next((home / "runs" / "teachers").glob("*/outputs/*/view-*/logits/*.f16"))
    flip_the_last_byte(newest)
    flip_the_last_byte(block)
    record.write_bytes(record.read_bytes()[:200])
    done = finished(kdsweep("resume", "runs/long", cwd=home))
    return run, newest, block, record, done


def test_the_sweep_is_complete_with_as_many_trials_as_planned(mended):
    run = mended[0]
    meta, trials, _ = records(run)
    assert meta.status == "complete"
    assert [t.status for t in trials] == ["complete"] * PLANNED
    assert sorted(t.role for t in trials) == ["control"] * 2 + ["trial"] * 5
    assert all([e.epoch for e in t.epochs] == list(range(1, 61)) for t in trials)


def test_a_damaged_checkpoint_is_told_and_the_one_before_used(mended):
    _, newest, _, _, done = mended
    assert said(f"warning: checkpoint {newest} is damaged and not used (its checksum", done)
    trial, epoch = newest.parent.parent.name, int(newest.name[:5])
    assert f"trial {trial} goes on after epoch {epoch - 1}, on lane-" in done.stdout


def test_a_damaged_block_of_the_teachers_outputs_is_told_and_made_again(mended):
    _, _, block, _, done = mended
    assert said(f"stored outputs of the teacher are damaged and made again: {block}", done)


def test_a_half_written_record_is_set_aside_and_told(mended):
    run, _, _, record, done = mended
    name = record.parent.name
    assert (run / "damaged" / name / "result.json").stat().st_size == 200
    assert said(f"warning: the record of trial {name} is damaged: it is set aside in", done)
    assert f"{name}/result.json: is damaged: " in done.stderr


def is_filled_by(filler):
    """Whether there is no room left, because of ``filler``."""
    with suppress(OSError), filler.open("wb") as file:
        while True:
            file.write(b"x" * 65536)
            file.flush()
    return filler.exists() and filler.stat().st_size > 0


@pytest.fixture
def small_disk(tmp_path):
    """A file system of a few megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, check=False).returncode:
        pytest.skip("this machine does not let a test mount a file system")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.parametrize("already", ["trials/*/checkpoints/*.safetensors", "trials/*/student.*"])
def test_a_full_disk_ends_a_sweep_cleanly_and_it_goes_on_when_there_is_room(
    small_disk, tmp_path, already
):
    """Full while all lanes write their first checkpoints, or after the first trial's end."""
    (tmp_path / "long.yaml").write_text(SWEEP + TWO_LANES)
    runs = small_disk / "runs"
    process, run = started(tmp_path, "--runs-dir", runs), runs / "long"
    try:
        until(lambda: process.poll() is not None or any(run.glob(already)), every=0.01)
        filler = small_disk / "filler"
        until(lambda: is_filled_by(filler))
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 2, out + err
    assert "Traceback" not in out + err
    (line,) = err.splitlines()
    said = f"error: {run}: the sweep cannot write what it must: [Errno 28] No space left"
    assert line.startswith(said)
    assert line.endswith("make room, and `kdsweep resume` goes on")
    filler.unlink()
    finished(kdsweep("resume", run, cwd=tmp_path))
    meta, trials, _ = records(run)
    assert meta.status == "complete"
    assert [(t.number, t.status) for t in trials] == [(n, "complete") for n in range(PLANNED)]
