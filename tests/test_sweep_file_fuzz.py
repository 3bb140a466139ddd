"""Whatever is in a file: it loads, or its problems are told; nothing else comes out."""

import tempfile
from copy import deepcopy
from pathlib import Path

from fuzzing import in_time, tried
from hypothesis import example, given
from hypothesis import strategies as st

from kdsweep.errors import SpecError
from kdsweep.sweep_file import load, load_trial, to_yaml

GOOD = {
    "name": "small",
    "trial": {
        "data": {"name": "digits"},
        "teacher": {"model": {"name": "cnn", "width": 2, "stages": 1}, "train": {"epochs": 2}},
        "student": {"name": "cnn", "width": 1, "stages": 1},
        "strategy": {"name": "kd", "extra": {"fitnet": {"weight": 1}}},
        "train": {"lr": 0.01, "optimizer": {"name": "sgd"}, "schedule": "cosine"},
        "seed": 1,
    },
    "space": {
        "train.lr": {"loguniform": [1e-3, 1e-1]},
        "strategy.alpha": {"choice": [0.5, {"uniform": [0, 1]}]},
    },
    "objectives": {"accuracy": "max"},
    "constraints": {"params": {"max": 5}},
    "search": {"sampler": "random"},
    "cluster": {"address": None},
    "tracking": {"uri": None},
}


def places(data, at=()):
    """The path of every value in nested plain data."""
    inner = data.items() if isinstance(data, dict) else enumerate(data)
    for key, value in inner:
        yield (*at, key)
        if isinstance(value, dict | list):
            yield from places(value, (*at, key))


def told(text):
    """Both readers give a result, or problems that are sentences."""
    with tempfile.TemporaryDirectory() as folder, in_time():
        path = Path(folder) / "sweep.yaml"
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        for read in (load, load_trial):
            problems = None
            try:
                read(path)
            except SpecError as error:
                problems = error.problems
            assert problems is None or (problems and all(problem.strip() for problem in problems))


@given(st.text(max_size=80) | st.text("{}[]:,-&*!?|>'\"#%@` \n\tab01.~<", max_size=40))
@tried(200)
@example("a: !!bool x")
@example("a: " + "9" * 5000)
@example("<<: 3")
@example("? {a: b}\n: 1")
@example("%YAML 3.0\n---\na: 1")
@example("trial: !!binary aGk=")
@example("trial: {data: {name: [1]}, student: {1: 2}}")
def test_any_text(text):
    told(text)


JUNK = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)
    | st.sampled_from(["none", "fitnet", "adam", "a:b", ":", "x.y", [], {}, [1], {"name": "x"},
                       {"choice": [1, 2]}, {"uniform": [1, 0]}, {"int": [0, 10**20]}])
)  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from(list(places(GOOD))), JUNK), min_size=1, max_size=3))
@tried(150)
def test_a_good_file_with_junk_in_it(replacements):
    data = deepcopy(GOOD)
    for (*parents, last), junk in replacements:
        place = data
        for key in parents:
            inside = isinstance(place, dict) and key in place
            place = place[key] if inside or (isinstance(place, list) and key in (0, 1)) else None
            if not isinstance(place, dict | list) or not place:
                break
        else:
            if isinstance(place, dict) or last in range(len(place)):
                place[last] = junk
    told(to_yaml(data))
