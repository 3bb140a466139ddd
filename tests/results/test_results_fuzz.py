"""Whatever is in a record: it is shown, or what is wrong with it is said in sentences."""

import contextlib
import io
import json
import tempfile
from pathlib import Path

from calling import run
from fuzzing import in_time, tried
from hypothesis import example, given
from hypothesis import strategies as st
from run_records import run_meta, trial_result

from kdsweep.results.store import RunStore

RECORD = json.loads(
    trial_result(
        changes={"student.width": 8}, params={"train.lr": 0.1}, weights="trials/t0000/x",
        weights_of_terms={"kd": 1.0}, error="no", traceback="line", device="cpu", lane="lane-000",
    ).model_dump_json()
)  # fmt: skip
META = json.loads(
    run_meta(
        constraints={"params": {"max": 10.0}}, packages={"torch": "2"}, teacher={"hash": "a"},
        tracking_uri="http://h", trials=3, cost=1.5,
    ).model_dump_json()
)  # fmt: skip
JUNK = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6)
    | st.sampled_from([[], {}, [1], {"name": "x"}, 10**400, -1, 1e308, "[/x]", "[bold", "\x1b[2J",
                       "../../x", "NaN", "-inf", "\ud800", "a" * 10_000, [[[[[]]]]], {"": {"": 1}},
                       {"accuracy": "max"}, {"latency_ms": "min"}, {"params": {"min": 3, "max": 2}},
                       "complete", "failed", "teacher", "9999-99-99", "0001-01-01T00:00:00"])
)  # fmt: skip


def places(data, at=()):
    """The path of every value in nested plain data."""
    for key, value in data.items() if isinstance(data, dict) else enumerate(data):
        yield (*at, key)
        if isinstance(value, dict | list):
            yield from places(value, (*at, key))


def with_junk(good):
    """JSON of a good record in which a few values are something else, or are not there."""
    change = st.tuples(st.sampled_from(list(places(good))), JUNK, st.booleans())

    def changed(changes):
        data = json.loads(json.dumps(good))
        for (*parents, last), junk, leave_out in changes:
            place = data
            for key in parents:
                inside = isinstance(place, dict) and key in place
                inside = inside or (isinstance(place, list) and key in range(len(place)))
                place = place[key] if inside else None
            if isinstance(place, dict):
                place[last] = junk
                if leave_out:
                    del place[last]
            elif isinstance(place, list) and last in range(len(place)):
                place[last] = junk
        return json.dumps(data).encode()

    return st.lists(change, min_size=1, max_size=3).map(changed)


def cut_or_flipped(good):
    """The bytes of a good record, damaged somewhere."""
    whole = json.dumps(good).encode()
    place = st.integers(0, len(whole) - 1)
    flipped = st.tuples(place, st.binary(min_size=1, max_size=4)).map(
        lambda found: whole[: found[0]] + found[1] + whole[found[0] + 1 :]
    )
    return place.map(lambda at: whole[:at]) | flipped


DEEP = b"[" * 100_000, b'{"a":' * 100_000, b'{"trial": ' + b"[" * 5000 + b"]" * 5000 + b"}"


def shown(meta, record):
    """All commands that only read end well, or with sentences; none with anything else."""
    with tempfile.TemporaryDirectory() as folder, in_time():
        store = RunStore.create(Path(folder) / "a", meta=run_meta(), sweep_text="name: a\n")
        store.write(trial_result(1))
        store.write(trial_result(0))
        beside = Path(folder) / "b"
        RunStore.create(beside, meta=run_meta(), sweep_text="b: 1\n").write(trial_result(0))
        if record is not None:
            (store.trial_dir("t0000") / "result.json").write_bytes(record)
        if meta is not None:
            (store.directory / "run.json").write_bytes(meta)
        for arguments in (
            ["front", store.directory], ["front", store.directory, "--json"],
            ["front", store.directory, "--csv"], ["select", store.directory, "--max-params", 500],
            ["front", store.directory, "--plot"], ["select", store.directory, "--prefer", "knee"],
            ["select", store.directory, "--json"], ["select", store.directory, "--within", 0.5],
            ["compare", store.directory, beside], ["compare", beside, store.directory, "--json"],
            ["list", folder], ["list", folder, "--json"],
        ):  # fmt: skip
            # As a person's screen and files are: half a character cannot be written there.
            out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = run(*arguments)
            err.seek(0)
            said = err.read()
            assert code in (0, 1, 2)
            assert "Traceback" not in said
            assert code != 2 or "\nerror: " in f"\n{said}"


@tried(30)
@given(st.binary(max_size=60) | cut_or_flipped(RECORD) | with_junk(RECORD))
@example(DEEP[0])
@example(DEEP[1])
@example(DEEP[2])
def test_any_record(record):
    shown(None, record)


@tried(30)
@given(st.binary(max_size=60) | cut_or_flipped(META) | with_junk(META))
@example(DEEP[0])
@example(DEEP[1])
def test_any_meta(meta):
    shown(meta, None)
