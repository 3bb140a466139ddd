"""Whatever is in a weights file: its tensors are read, or a sentence says why not; nothing runs."""

import io
import json
import os
import pickle
import resource
import struct
import tempfile
import zipfile
from pathlib import Path

import torch
from fuzzing import in_time, tried
from hypothesis import example, given
from hypothesis import strategies as st
from safetensors.torch import save

from kdsweep.errors import SpecError
from kdsweep.sweep_file.weights import load_state, shapes_in

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.zeros(4, dtype=torch.int64)}
SAFE = save(STATE)
HEADER = json.loads(SAFE[8 : 8 + struct.unpack("<Q", SAFE[:8])[0]])
DATA = SAFE[8 + struct.unpack("<Q", SAFE[:8])[0] :]
MOST_BYTES = 200 * 2**20


def pt_file(state):
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()


PT = pt_file(STATE)


def told(content, suffix):
    """Both readers give tensors, or a sentence, with little time and memory; nothing runs."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tempfile.TemporaryDirectory() as folder, in_time():
        path = Path(folder) / f"w{suffix}"
        path.write_bytes(content)
        for read in (shapes_in, load_state):
            try:
                found, problems = read(path), None
            except SpecError as error:
                found, problems = {}, error.problems
            assert all(isinstance(name, str) for name in found)
            assert problems is None or all(problem.strip() for problem in problems)
        assert os.listdir(folder) == [path.name]
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown * 1024 < MOST_BYTES


def damaged(whole):
    place = st.integers(0, len(whole) - 1)
    flipped = st.lists(st.tuples(place, st.integers(0, 255)), min_size=1, max_size=6).map(
        lambda changes: bytes(dict(changes).get(at, byte) for at, byte in enumerate(whole))
    )
    return place.map(lambda at: whole[:at]) | flipped


NUMBERS = st.integers(-2, 50) | st.sampled_from([2**31, 2**32, 2**40, 2**63, 2**64, 10**30])
ENTRIES = st.fixed_dictionaries(
    {},
    optional={
        "dtype": st.sampled_from(["F32", "I64", "F16", "F8_E4M3", "BOOL", "F128", "", "f32"]),
        "shape": st.lists(NUMBERS, max_size=4) | st.text(max_size=3),
        "data_offsets": st.lists(NUMBERS, max_size=3) | st.none(),
        "more": st.none(),
    },
)
HEADERS = st.dictionaries(st.text(max_size=3) | st.just("__metadata__"), ENTRIES, max_size=4)


@tried(150)
@given(
    damaged(SAFE)
    | st.binary(max_size=80)
    | st.tuples(HEADERS, st.binary(max_size=40)).map(lambda found: packed(*found))
    | st.tuples(st.integers(0, 2**64 - 1), st.binary(max_size=40)).map(
        lambda found: struct.pack("<Q", found[0]) + found[1]
    )
)
@example(SAFE)
@example(b"")
def test_any_safetensors(content):
    told(content, ".safetensors")


def packed(header, data):
    text = json.dumps(header).encode() if isinstance(header, dict) else header
    return struct.pack("<Q", len(text)) + text + data


def test_headers_that_lie():
    entry = HEADER["a.weight"]
    for header, data in (
        ({"a": {**entry, "shape": [2**40]}}, DATA),
        ({"a": {**entry, "shape": [2**40], "data_offsets": [0, 2**42]}}, DATA),
        ({"a": entry, "b": entry}, DATA),
        ({"a": {**entry, "data_offsets": [8, 0]}}, DATA),
        ({"a": {**entry, "data_offsets": [0, 23]}}, DATA),
        ({"a": {**entry, "dtype": "I64"}}, DATA),
        (f'{{"a": {json.dumps(entry)}, "a": {json.dumps(entry)}}}'.encode(), DATA),
        (b"[" * 100_000, b""),
        (b'{"a":' * 50_000, b""),
    ):  # fmt: skip
        told(packed(header, data), ".safetensors")
    told(struct.pack("<Q", 2**63) + b"{}", ".safetensors")
    told(struct.pack("<Q", 100_000_000) + b"{}", ".safetensors")


@tried(150)
@given(damaged(PT) | st.binary(max_size=80), st.sampled_from([".pt", ".bin"]))
@example(PT, ".pt")
@example(b"", ".pt")
def test_any_pt(content, suffix):
    told(content, suffix)


class Calls:
    def __init__(self, call, *arguments):
        self.call, self.arguments = call, arguments

    def __reduce__(self):
        return self.call, self.arguments


def with_pickle(content):
    """A ``.pt`` whose tensors are as they were and whose pickle is another one."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(PT)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            new.writestr(name, content if name.endswith("data.pkl") else old.read(name))
    return out.getvalue()


ran = []
ARGUMENTS = st.sampled_from(["touch ran", "ran", 1, 2**62, (), (2**40,), b"x", None])
TARGETS = st.sampled_from(
    [os.system, exec, eval, open, getattr, __import__, print, ran.append, torch.zeros, torch.empty,
     bytearray, str, dict, torch.Size, torch._utils._rebuild_tensor_v2, torch.load, torch.ones,
     torch.nn.Linear, torch.Tensor, torch.UntypedStorage, complex, list, range, bytes]
)  # fmt: skip
CODES = [
    value for name, value in vars(pickle).items()
    if name.isupper() and isinstance(value, bytes) and len(value) == 1
]  # fmt: skip
OPCODES = st.lists(st.sampled_from(CODES) | st.binary(max_size=3), max_size=20).map(b"".join)


@tried(150)
@given(
    st.tuples(TARGETS, st.lists(ARGUMENTS, max_size=3)).map(
        lambda found: pickle.dumps({"a": Calls(found[0], *found[1])}, protocol=2)
    )
    | OPCODES.map(lambda codes: b"\x80\x02" + codes + b".")
)
def test_any_pickle_in_a_pt(content):
    told(with_pickle(content), ".pt")
    told(content, ".pt")
    assert ran == []
