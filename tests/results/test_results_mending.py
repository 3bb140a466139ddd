"""What a power cut leaves behind, put right before a sweep goes on."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_results_store import files_under, run_meta, trial_result

from kdsweep.errors import ResultError
from kdsweep.results.mending import mend
from kdsweep.results.store import RunStore


@pytest.fixture
def store(tmp_path):
    made = RunStore.create(tmp_path / "digits", meta=run_meta(), sweep_text="name: digits\n")
    for number in range(3):
        made.write(trial_result(number))
    return made


def record_of(store, name):
    return store.trial_dir(name) / "result.json"


@pytest.mark.parametrize(
    "content", [b"", b'{"schema_version": 1, "tri', b"\0" * 300, b"[]", b"\xff"]
)
def test_a_half_written_record_is_set_aside_and_everything_else_is_read(store, content):
    record_of(store, "t0001").write_bytes(content)
    done = store.read()
    assert [result.trial_id for result in done] == ["t0000", "t0002"]
    assert len(store.problems) == 1
    (sentence,) = mend(store, done)
    aside = store.directory / "damaged" / "t0001"
    assert sentence.startswith(f"the record of trial t0001 is damaged: it is set aside in {aside}")
    assert (aside / "result.json").read_bytes() == content
    assert (aside / "trial.yaml").exists()
    assert [result.trial_id for result in store.read()] == ["t0000", "t0002"]
    assert store.problems == ()
    # The next trial of that number may come to the same end.
    store.write(trial_result(1))
    record_of(store, "t0001").write_bytes(b"")
    mend(store, store.read())
    assert (store.directory / "damaged" / "t0001-2").is_dir()


@settings(deadline=None, max_examples=50)
@given(length=st.integers(0, 10_000))
def test_a_record_that_ends_anywhere_is_damaged_or_whole(length, tmp_path_factory):
    store = RunStore.create(
        tmp_path_factory.mktemp("cut") / "digits", meta=run_meta(), sweep_text="name: digits\n"
    )
    store.write(trial_result(0))
    whole = record_of(store, "t0000").read_bytes()
    record_of(store, "t0000").write_bytes(whole[:length])
    done = store.read()
    said = mend(store, done)
    assert (len(done), len(said)) in ((1, 0), (0, 1))
    # The last byte is a line's end, which JSON does not need.
    assert (len(done) == 1) == (length >= len(whole) - 1)


def test_what_was_being_written_and_checkpoints_that_nobody_needs_are_collected(store):
    store.write(trial_result(3, status="stopped"))
    for name in ("t0002", "t0003"):
        place = store.checkpoints_of(name)
        place.mkdir()
        (place / "00001-0123456789abcdef.safetensors").write_bytes(b"x")
    before = files_under(store.directory)
    (store.trial_dir("t0000") / ".result.json.1234.new").write_bytes(b"half")
    (store.trial_dir("t0000") / ".student.safetensors.1234.new").write_bytes(b"half")
    (store.directory / ".run.json.1234.new").write_bytes(b"half")
    assert mend(store, store.read()) == []
    gone = {
        "trials/t0002/checkpoints",
        "trials/t0002/checkpoints/00001-0123456789abcdef.safetensors",
    }
    assert set(before) - set(files_under(store.directory)) == gone
    assert store.checkpoints_of("t0003").exists()


def test_what_a_trial_without_a_record_has_left_is_collected(store):
    place = store.trial_dir("t0009")
    (place / "checkpoints").mkdir(parents=True)
    for name in ("student.safetensors", "checkpoints/00001-0123456789abcdef.safetensors"):
        (place / name).write_bytes(b"x")
    (place / "notes.txt").write_text("somebody's")
    (store.trial_dir("t0000") / "student.safetensors").write_bytes(b"x")
    assert mend(store, store.read()) == []
    assert [path.name for path in place.iterdir()] == ["notes.txt"]
    assert (store.trial_dir("t0000") / "student.safetensors").exists()


def test_a_record_of_another_version_is_no_damage(store):
    said = json.loads(record_of(store, "t0001").read_bytes()) | {"schema_version": 2}
    record_of(store, "t0001").write_text(json.dumps(said))
    with pytest.raises(ResultError, match="was written by another version of kdsweep: go on with"):
        mend(store, store.read())
    assert record_of(store, "t0001").exists()


def test_a_trial_that_has_not_reported_yet_is_left_alone(store):
    (store.trials_dir / "t0007").mkdir()
    assert mend(store, store.read()) == []
    assert (store.trials_dir / "t0007").is_dir()


@pytest.mark.parametrize("content", [b"", b'{"schema_version": 1,', b"\0" * 10])
def test_of_a_half_written_run_the_version_before_is_read(store, content):
    store.update_meta(student_epochs=7)
    store.update_meta(student_epochs=9)
    (store.directory / "run.json").write_bytes(content)
    found = RunStore.open(store.directory)
    assert found.meta.student_epochs == 7
    assert len(found.read()) == 3
    (problem,) = found.problems
    assert problem.startswith(f"{store.directory / 'run.json'}: is damaged: ")
    assert problem.endswith("; the version before it is used")
    found.update_meta(student_epochs=11)
    again = RunStore.open(store.directory)
    assert (again.meta.student_epochs, again.read() and again.problems) == (11, ())


def test_a_run_of_another_version_is_not_read_from_the_version_before(store):
    store.update_meta(student_epochs=7)
    said = json.loads((store.directory / "run.json").read_bytes()) | {"schema_version": 2}
    (store.directory / "run.json").write_text(json.dumps(said))
    with pytest.raises(ResultError, match="another version of kdsweep"):
        RunStore.open(store.directory)
