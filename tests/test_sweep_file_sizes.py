"""What is known of a student that is not trained yet."""

import pytest

from kdsweep.search.sampler import Sampler
from kdsweep.search.starts import starts
from kdsweep.sweep_file import load

SWEEP = """
name: sizes
trial:
  data: {name: digits}
  student: {name: cnn, width: 4, stages: 2, hidden: 8}
  strategy: {name: none}
  train: {epochs: 1}
space:
  student.width: {choice: [2, 4, 8, 16]}
  train.lr: {loguniform: [1.0e-4, 1.0e-1]}
constraints: {params: {max: 500}}
search: {trials: 12}
"""
# Two stages of 3x3 convolutions, a hidden layer of 8 on 2x2 pixels, ten classes; with biases.
WIDTH_2 = (9 * 2 + 2) + (9 * 2 * 4 + 4) + (4 * 2 * 2 * 8 + 8) + (8 * 10 + 10)
WIDTH_4 = (9 * 4 + 4) + (9 * 4 * 8 + 8) + (8 * 2 * 2 * 8 + 8) + (8 * 10 + 10)


@pytest.fixture
def sweep(tmp_path):
    path = tmp_path / "sweep.yaml"
    path.write_text(SWEEP)
    return load(path)


def test_the_sizes_of_a_student_by_hand(sweep):
    assert sweep.sizes_of({})["params"] == WIDTH_4
    small = sweep.sizes_of({"student.width": 2, "train.lr": 0.01, "strategy": {"name": "kd"}})
    assert small["params"] == WIDTH_2
    assert small["size_bytes"] == 4 * WIDTH_2
    assert set(small) == {"params", "macs", "size_bytes"}


@pytest.mark.parametrize(
    "changes",
    [{"student.width": 0}, {"student": {"name": "cnm"}}, {"student.stages": 9}, {"data": 3}],
)
def test_of_one_that_cannot_be_built_nothing_is_known(sweep, changes):
    assert sweep.sizes_of(changes) is None


def test_a_network_is_built_once_for_all_trials(sweep, monkeypatch):
    from kdsweep.sweep_file import fit

    built, sizes = [], fit.sizes
    monkeypatch.setattr(fit, "sizes", lambda *a, **k: built.append(k["name"]) or sizes(*a, **k))
    for width in (2, 4, 8, 16, 12, 12, 12):
        sweep.sizes_of({"student.width": width, "train.lr": 1e-3})
    # The others are at the corners of the space: they were built as the file was checked.
    assert built == ["cnn"]


def test_only_students_that_meet_the_constraint_are_proposed(sweep):
    """322 parameters of width 2, and 698 of width 4."""
    sampler = Sampler(sweep, starts(sweep), sizes_of=sweep.sizes_of)
    found = []
    while (proposal := sampler.ask()) is not None:
        found.append(proposal)
    assert [p.role for p in found] == ["control"] + ["trial"] * 12
    assert {p.assignment.changes["student.width"] for p in found[1:]} == {2}
