import json
import math
import os

import pytest
from ruamel.yaml import YAML
from run_records import run_meta, trial_result

from kdsweep.errors import ResultError, redacted
from kdsweep.results.meta import TeacherMeta
from kdsweep.results.processes import Holder
from kdsweep.results.record import EpochMetrics
from kdsweep.results.runs import find_runs
from kdsweep.results.store import RunStore
from kdsweep.storage import atomic


@pytest.fixture
def store(tmp_path):
    return RunStore.create(tmp_path / "digits", meta=run_meta(), sweep_text="name: digits\n")


def files_under(directory):
    return sorted(str(p.relative_to(directory)) for p in directory.rglob("*"))


def test_a_run_reads_back_as_written(store):
    results = [trial_result(n) for n in (2, 0, 1)]
    for result in results:
        store.write(result)
    again = RunStore.open(store.directory)
    assert again.meta == store.meta
    assert again.sweep_text == "name: digits\n"
    assert again.read() == [results[1], results[2], results[0]]
    assert again.problems == ()


def test_a_diverged_trial_keeps_its_nan_and_infinity(store):
    epoch = EpochMetrics(epoch=1, accuracy=0.1, loss=math.nan, lr=1, seconds=1)
    store.write(trial_result(metrics={"loss": math.nan, "accuracy": -math.inf}, epochs=[epoch]))
    (back,) = store.read()
    assert math.isnan(back.metrics["loss"])
    assert math.isnan(back.epochs[0].loss)
    assert back.metrics["accuracy"] == -math.inf
    json.loads(
        (store.trial_dir("t0000") / "result.json").read_text(),
        parse_constant=lambda name: pytest.fail(f"{name} is not JSON"),
    )


def test_the_trial_file_is_a_plain_mapping_written_once(store):
    store.write(trial_result(status="running"))
    path = store.trial_dir("t0000") / "trial.yaml"
    first = path.stat().st_mtime_ns
    store.write(trial_result())
    assert path.stat().st_mtime_ns == first
    assert path.read_text().startswith("# Trial 0: kd w0. `kdsweep trial FILE` runs it again.\n")
    loaded = YAML(typ="safe").load(path)
    assert loaded == {"trial": {"student": {"name": "cnn", "width": 8}, "train": {"lr": 1e-5}}}
    assert list(loaded["trial"]) == ["student", "train"]


@pytest.mark.parametrize(
    "trial",
    [
        {},
        {"data": {"name": "digits", "limit": None, "mean": [0.5, 1e-7]}, "seed": 3, "teachers": {}},
        {
            "student": {"name": "1e5"},
            "strategy": {"name": "no", "extra": {"a": [], "b": [{"c": 1}]}},
        },
        {"train": {"lr": math.inf, "words": "a: b #c\nd", "long": "word " * 60, "on": True}},
    ],
)
def test_the_trial_file_reads_back_whatever_a_trial_holds(store, trial):
    # Twice: the second of two trials finds the sections of the first.
    for number in range(2):
        store.write(trial_result(number, trial=trial))
        loaded = YAML(typ="safe").load(store.trial_dir(f"t000{number}") / "trial.yaml")
        assert loaded == {"trial": trial}


def test_both_files_of_a_new_trial_are_made_lasting_together(store, monkeypatch):
    synced, sync = [], atomic.sync_directory
    monkeypatch.setattr(atomic, "sync_directory", lambda path: synced.append(path) or sync(path))
    store.write(trial_result(status="running"))
    assert synced == [store.trial_dir("t0000")]
    assert files_under(synced[0]) == ["result.json", "trial.yaml"]
    store.write(trial_result())
    assert len(synced) == 2


def test_a_name_cannot_break_out_of_the_trial_files_comment(store):
    store.write(trial_result(name="x\nevil: 1"))
    assert list(YAML(typ="safe").load(store.trial_dir("t0000") / "trial.yaml")) == ["trial"]


def test_dying_before_the_rename_leaves_the_old_record(store, monkeypatch):
    store.write(trial_result(status="running"))
    before = files_under(store.directory)

    def die(source, target):
        assert json.loads(source.read_text())["status"] == "complete"  # whole before its name
        raise KeyboardInterrupt

    monkeypatch.setattr(atomic.os, "replace", die)
    with pytest.raises(KeyboardInterrupt):
        store.write(trial_result(status="complete"))
    assert [r.status for r in store.read()] == ["running"]
    assert files_under(store.directory) == before


def test_a_file_left_by_a_killed_process_is_no_record(store):
    store.write(trial_result())
    (store.trial_dir("t0000") / ".result.json.0123.new").write_text("{")
    assert len(store.read()) == 1
    assert store.problems == ()


def test_damaged_records_are_reported_and_the_others_read(store):
    for number in range(5):
        store.write(trial_result(number))
    trials = store.directory / "trials"
    (trials / "t0001" / "result.json").write_text('{"schema_version": 1, "tri')
    newer = json.loads((trials / "t0002" / "result.json").read_text()) | {"schema_version": 2}
    (trials / "t0002" / "result.json").write_text(json.dumps(newer))
    os.replace(trials / "t0003", trials / "renamed")
    (trials / "begun").mkdir()
    assert [r.number for r in store.read()] == [0, 4]
    wrong_name, broken, version = store.problems
    assert wrong_name == (
        f"{trials / 'renamed' / 'result.json'}: is the record of trial 't0003', "
        "not of 'renamed'; it is left out"
    )
    assert broken.startswith(f"{trials / 't0001' / 'result.json'}: is damaged: Invalid JSON")
    assert version.endswith(
        "was written by another version of kdsweep; read it with that one; it is left out"
    )


def test_a_run_that_never_began_is_taken_away_and_one_that_was_there_is_not(store, tmp_path):
    RunStore.open(store.directory).discard()
    assert store.read() == []
    assert (store.directory / "run.json").exists()
    other = RunStore.create(tmp_path / "new" / "runs" / "a", meta=run_meta("a"), sweep_text="")
    with other.hold():
        pass
    other.discard()
    assert not (tmp_path / "new").exists()
    beside = RunStore.create(store.directory.parent / "b", meta=run_meta("b"), sweep_text="")
    beside.discard()
    assert not beside.directory.exists()
    assert store.directory.exists()
    (tmp_path / "somebodys").mkdir()
    RunStore.create(tmp_path / "somebodys" / "a", meta=run_meta("a"), sweep_text="").discard()
    assert (tmp_path / "somebodys").exists()


def test_a_run_is_never_made_over_another(store):
    before = files_under(store.directory.parent)
    with pytest.raises(ResultError) as refusal:
        RunStore.create(store.directory, meta=run_meta(), sweep_text="")
    assert str(refusal.value) == (
        f"{store.directory}: already holds a run; `kdsweep resume {store.directory}` goes on with "
        "it, `--name NAME` starts another beside it (for example `--name digits-2`)"
    )
    assert files_under(store.directory.parent) == before


def test_a_run_is_never_made_over_somebodys_files(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").touch()
    with pytest.raises(ResultError, match="is not empty and holds no run"):
        RunStore.create(tmp_path / "photos", meta=run_meta(), sweep_text="")
    (tmp_path / "plain").touch()
    with pytest.raises(ResultError, match="is a file, where the run directory would go"):
        RunStore.create(tmp_path / "plain", meta=run_meta(), sweep_text="")
    assert files_under(tmp_path) == ["photos", "photos/cat.png", "plain"]


def test_an_empty_directory_will_do(tmp_path):
    (tmp_path / "digits").mkdir()
    RunStore.create(tmp_path / "digits", meta=run_meta(), sweep_text="")
    assert RunStore.open(tmp_path / "digits").read() == []


def test_a_run_made_meanwhile_is_not_overwritten(tmp_path, monkeypatch):
    target = tmp_path / "digits"
    rename = os.rename

    def other_process_first(source, destination):
        monkeypatch.setattr(os, "rename", rename)
        RunStore.create(target, meta=run_meta("first"), sweep_text="")
        rename(source, destination)

    monkeypatch.setattr(os, "rename", other_process_first)
    with pytest.raises(ResultError, match="already holds a run"):
        RunStore.create(target, meta=run_meta("second"), sweep_text="")
    assert RunStore.open(target).meta.name == "first"
    assert files_under(tmp_path) == [
        "digits", "digits/run.json", "digits/sweep.yaml", "digits/trials",
    ]  # fmt: skip


def test_opening_what_is_no_run_names_the_nearest(store, tmp_path):
    with pytest.raises(ResultError) as refusal:
        RunStore.open(tmp_path / "digit")
    assert str(refusal.value) == (
        f"{tmp_path / 'digit'}: does not exist; did you mean {tmp_path / 'digits'}? "
        f"(runs in {tmp_path}: digits)"
    )
    with pytest.raises(ResultError) as refusal:
        RunStore.open(tmp_path)
    assert str(refusal.value) == (
        f"{tmp_path}: has no run.json, so it is no run (runs in {tmp_path}: digits)"
    )
    with pytest.raises(ResultError, match=r"what `kdsweep run FILE` makes \(runs/NAME\)"):
        RunStore.open(tmp_path / "nowhere" / "at all")


def test_a_damaged_run_is_refused(store):
    (store.directory / "run.json").write_text('{"schema_version": 1}')
    with pytest.raises(ResultError, match=r"run\.json: is damaged: sweep_id: Field required"):
        RunStore.open(store.directory)


@pytest.mark.parametrize("trial_id", ["../other", "a/b", "", ".", "a\n", "-x", "a" * 65, "ü"])
def test_a_trial_stays_in_its_run_directory(store, trial_id):
    with pytest.raises(ResultError, match="is not a trial id"):
        store.weights_of(trial_id)


def test_links_are_not_followed_out_of_the_run(store, tmp_path):
    elsewhere = tmp_path / "elsewhere" / "t0009"
    elsewhere.mkdir(parents=True)
    (elsewhere / "result.json").write_text(trial_result(9).model_dump_json())
    (store.directory / "trials" / "t0009").symlink_to(elsewhere)
    assert store.read() == []


def test_meta_is_updated_on_disk_and_checked(store):
    teacher = TeacherMeta(hash="abc", accuracy=0.99, params=1000, seconds=2.5)
    store.update_meta(status="complete", teacher=teacher, wall_seconds=12.5)
    assert RunStore.open(store.directory).meta == store.meta
    assert store.meta.teacher == teacher
    with pytest.raises(ValueError, match="status"):
        store.update_meta(status="finished")
    with pytest.raises(ValueError, match="colour"):
        store.update_meta(colour="red")
    assert RunStore.open(store.directory).meta.status == "complete"


def test_no_password_reaches_the_record(store):
    store.update_meta(tracking_uri="postgresql://me:s3cret@db.example:5432/mlflow?token=abc&x=1")
    text = (store.directory / "run.json").read_text()
    assert "s3cret" not in text
    assert "abc" not in text
    assert store.meta.tracking_uri == "postgresql://db.example:5432/mlflow?token=***&x=1"
    assert redacted("sqlite:////home/me/runs/mlflow.db") == "sqlite:////home/me/runs/mlflow.db"


def test_one_driver_at_a_time(store):
    assert not store.is_held()
    other = RunStore.open(store.directory)
    with store.hold():
        assert other.is_held()
        with (
            pytest.raises(ResultError, match="is being worked on by kdsweep on"),
            other.hold(),
        ):
            pytest.fail("two drivers at once")
    assert not other.is_held()
    with other.hold():
        pass


def test_find_runs_newest_first_with_the_damaged_named(tmp_path):
    for name, day in (("old", 1), ("new", 3), ("middle", 2)):
        meta = run_meta(name, created=f"2026-11-0{day}T10:00:00+00:00")
        RunStore.create(tmp_path / name, meta=meta, sweep_text="")
    (tmp_path / "no run").mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "run.json").write_text("")
    stores, problems = find_runs(tmp_path)
    assert [store.meta.name for store in stores] == ["new", "middle", "old"]
    assert len(problems) == 1
    assert problems[0].startswith(f"{tmp_path / 'bad' / 'run.json'}: is damaged")
    assert [s.meta.name for s in find_runs(tmp_path / "old")[0]] == ["old"]
    with pytest.raises(ResultError, match="is not a directory"):
        find_runs(tmp_path / "runs")


def test_a_driver_that_lost_its_run_writes_no_more(store):
    store.write(trial_result(0, status="running"))
    written = store.directory / "run.json", store.trial_dir("t0000") / "result.json"
    before = [path.read_bytes() for path in written]
    with store.hold():
        store._heart.lost_to = Holder.this_process().model_copy(update={"host": "far-away"})
        store.write(trial_result(0))
        store.update_meta(status="stopped")
        assert "taken over by kdsweep on far-away" in store.why_stop()
    assert [path.read_bytes() for path in written] == before
