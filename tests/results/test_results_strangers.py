"""A run directory that somebody else has made: nothing in it leads out, or keeps one waiting."""

import json
import os
import socket

import pytest
from calling import run
from run_records import run_meta, trial_result

from kdsweep.errors import ResultError
from kdsweep.results.places import read_own
from kdsweep.results.store import RunStore

LINK = "is a link, which could lead out of the run directory; put there what it links to"


SWEEP = """
trial:
  data: {name: digits}
  student: {name: cnn, width: 1, stages: 1}
  strategy: {name: none}
  train: {epochs: 1}
space: {train.lr: {loguniform: [1.0e-3, 1.0e-1]}}
"""


@pytest.fixture
def store(tmp_path):
    made = RunStore.create(tmp_path / "runs" / "a", meta=run_meta("a"), sweep_text="name: a\n")
    made.write(trial_result())
    return made


@pytest.fixture
def elsewhere(tmp_path):
    """A directory of somebody's, with a file that is not for us."""
    directory = tmp_path / "elsewhere"
    directory.mkdir()
    (directory / "result.json").write_text(trial_result(9, trial_id="t0009").model_dump_json())
    return directory


def changed(store, **fields):
    path = store.directory / "trials" / "t0000" / "result.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


@pytest.mark.parametrize(
    "weights", ["../../x", "/etc/passwd", "trials/../../x", "..", "trials/t0000/../../../x"]
)
def test_weights_outside_of_the_run_are_a_damaged_record(store, capsys, weights):
    changed(store, weights=weights)
    assert store.read() == []
    assert "is damaged: weights: Value error, leads out of the run directory" in store.problems[0]
    assert run("select", store.directory) == 1
    said = capsys.readouterr()
    assert f"weights     {store.directory}" not in said.out


def test_weights_inside_are_shown_with_their_place(store, capsys):
    changed(store, weights="trials/t0000/student.safetensors")
    place = store.directory / "trials" / "t0000" / "student.safetensors"
    place.write_bytes(b"")
    assert run("select", store.directory) == 0
    assert f"weights     {place}" in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("how", ["a link", "gone"])
def test_weights_that_are_a_link_or_gone_are_not_handed_out(store, capsys, elsewhere, how):
    changed(store, weights="trials/t0000/student.safetensors")
    place = store.directory / "trials" / "t0000" / "student.safetensors"
    if how == "a link":
        place.symlink_to(elsewhere / "result.json")
    assert run("select", store.directory) == 0
    out, err = capsys.readouterr()
    assert "weights     none are kept; the trial file trains it again" in out
    what = "is a link, which could lead anywhere" if how == "a link" else "is not there"
    assert err == f"warning: {place}: {what}\n"
    assert run("select", store.directory, "--json") == 0
    assert json.loads(capsys.readouterr().out)["chosen"]["weights"] is None


@pytest.mark.parametrize("name", ["trials/t0001", "trials"])
def test_records_behind_a_link_are_left_out_and_that_is_said(store, capsys, elsewhere, name):
    place = store.directory / name
    if place.exists():
        place.rename(place.with_name("moved"))
    place.symlink_to(elsewhere)
    sentence = f"{place}: is a link, which could lead out of the run directory, and is left out"
    assert [result.trial_id for result in store.read()] == (["t0000"] if "/" in name else [])
    assert store.problems == (sentence,)
    assert run("status", store.directory) == 0
    assert f"warning: {sentence}" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["damaged", "trials/t0000/checkpoints", "trials/t0000", "logs"])
def test_a_driver_goes_on_with_no_run_that_has_a_link_in_it(store, capsys, elsewhere, name):
    place = store.directory / name
    if place.exists():
        place.rename(place.with_name("moved"))
    place.symlink_to(elsewhere)
    before = [path.name for path in elsewhere.iterdir()]
    assert run("resume", store.directory) == 2
    (line,) = capsys.readouterr().err.splitlines()[-1:]
    assert line.startswith(f"error: {place}: is a link, which could lead out of the run directory")
    assert [path.name for path in elsewhere.iterdir()] == before


@pytest.mark.parametrize(
    "name", ["teachers", "Teachers", "mlflow.db", "mlflow.db-wal", "mlartifacts"]
)
def test_a_run_does_not_take_the_place_of_what_belongs_to_all(tmp_path, monkeypatch, capsys, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.yaml").write_text(f"name: good\n{SWEEP}")
    (tmp_path / "bad.yaml").write_text(f"name: {name}\n{SWEEP}")
    why = f"{name.lower()} lies beside the runs and belongs to all of them"
    assert run("run", "good.yaml", f"--name={name}") == 2
    assert capsys.readouterr().err == f"error: --name: {name!r} is not allowed: {why}\n"
    assert run("check", "bad.yaml") == 2
    assert why in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_a_run_may_be_called_nearly_so(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.yaml").write_text(f"name: teachers-2\n{SWEEP}")
    assert run("check", "good.yaml") == 0


@pytest.mark.parametrize("trial_id", ["../t0000", "..", "/tmp/x", "a/b", "t0000\n", "t\x000"])
def test_the_trial_id_of_a_record_is_no_path(store, trial_id):
    changed(store, trial_id=trial_id)
    assert store.read() == []
    assert "is damaged: trial_id: " in store.problems[0]


@pytest.mark.parametrize("name", ["../b", "/tmp/b", "..", ".b", "a/b", "b\n", "", "-b", "b" * 65])
def test_the_name_of_a_run_is_no_path(tmp_path, monkeypatch, capsys, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.yaml").write_text(f"name: good\n{SWEEP}")
    assert run("run", "good.yaml", f"--name={name}") == 2
    assert f"--name: {name!r} is not allowed" in capsys.readouterr().err
    (tmp_path / "bad.yaml").write_text(f"name: {json.dumps(name)}\n{SWEEP}")
    assert run("run", "bad.yaml") == 2
    assert "name: " in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.yaml", "good.yaml"]


def test_a_link_in_place_of_a_trial_is_not_written_through(store, elsewhere):
    (store.directory / "trials" / "t0001").symlink_to(elsewhere)
    before = (elsewhere / "result.json").read_bytes()
    with pytest.raises(ResultError) as refused:
        store.write(trial_result(1))
    assert str(refused.value) == f"{store.directory}/trials/t0001: {LINK}"
    with pytest.raises(ResultError, match="is a link"):
        store.weights_of("t0001")
    assert (elsewhere / "result.json").read_bytes() == before
    assert len(os.listdir(elsewhere)) == 1


def test_a_link_in_place_of_all_trials_is_neither_read_nor_written_through(store, elsewhere):
    (store.directory / "trials").rename(elsewhere / "trials")
    (store.directory / "trials").symlink_to(elsewhere / "trials")
    assert store.read() == []
    with pytest.raises(ResultError, match="is a link"):
        store.write(trial_result(1))
    assert os.listdir(elsewhere / "trials") == ["t0000"]


@pytest.mark.parametrize(
    "name", ["trials", "logs", "logs/driver.log", "sweep.yaml", "trials/t0001"]
)
def test_a_run_with_links_in_it_is_not_gone_on_with(store, elsewhere, capsys, name):
    path = store.directory / name
    path.parent.mkdir(exist_ok=True)
    if path.exists():
        path.rename(elsewhere / "moved")
    path.symlink_to(elsewhere)
    before = sorted(elsewhere.rglob("*"))
    assert run("resume", store.directory) == 2
    assert capsys.readouterr().err == f"error: {path}: {LINK}\n"
    assert sorted(elsewhere.rglob("*")) == before


@pytest.mark.parametrize("name", ["run.json", "sweep.yaml", "trials/t0000/result.json"])
def test_a_file_that_is_a_link_is_not_read(store, elsewhere, name):
    path = store.directory / name
    path.rename(elsewhere / "real")
    path.symlink_to(elsewhere / "real")
    if name == "run.json":
        with pytest.raises(ResultError, match="cannot be read: "):
            RunStore.open(store.directory)
    elif name == "sweep.yaml":
        with pytest.raises(ResultError, match="cannot be read: "):
            _ = store.sweep_text
    else:
        assert store.read() == []
        assert "cannot be read and is left out: " in store.problems[0]


@pytest.mark.parametrize("kind", ["pipe", "device", "directory", "socket"])
def test_what_is_no_file_is_not_waited_for(store, kind):
    path = store.directory / "trials" / "t0000" / "result.json"
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "directory":
        path.mkdir()
    else:
        with socket.socket(socket.AF_UNIX) as made:
            there = os.open(path.parent, os.O_RDONLY)
            made.bind(f"/proc/self/fd/{there}/result.json")
            os.close(there)
    assert store.read() == []
    assert "cannot be read and is left out: " in store.problems[0]


def test_a_record_of_any_size_is_not_read_into_memory(tmp_path):
    path = tmp_path / "result.json"
    with path.open("wb") as file:
        file.truncate(2**33)  # of which the disk has nothing
    with pytest.raises(OSError, match="is larger than 64 MiB"):
        read_own(path)


@pytest.mark.parametrize("empty", [True, False])
def test_a_link_in_place_of_a_new_run_is_left_alone(tmp_path, elsewhere, empty):
    target = tmp_path / "target"
    if empty:
        target.mkdir()
    (tmp_path / "b").symlink_to(target)
    with pytest.raises(ResultError):
        RunStore.create(tmp_path / "b", meta=run_meta("b"), sweep_text="name: b\n")
    assert (tmp_path / "b").is_symlink()
    assert not target.exists() or os.listdir(target) == []
    assert [path for path in tmp_path.iterdir() if path.name.endswith(".new")] == []


def test_a_linked_run_is_listed_and_read_where_it_lies(store, tmp_path, capsys):
    """Large disks are linked to: what a person names is followed, what a run holds is not."""
    (tmp_path / "linked").symlink_to(store.directory)
    assert run("front", tmp_path / "linked") == 0
    assert "on the front of 1 complete" in capsys.readouterr().out
