import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_records import run_meta, trial_result

from kdsweep.results.compare import Compared, compare


def student(number, accuracy, params, **more):
    return trial_result(number, metrics={"accuracy": accuracy, "params": params, **more})


def run(*students, **meta):
    return Compared(run_meta(**meta), students)


# Powers of ten 2, 4 and 3: the fronts are 2 wide and 0.5 high, the reference is at 4.2 and 0.45.
FIRST = run(student(0, 0.5, 100), student(1, 1.0, 10_000), student(2, 0.4, 20_000))
SECOND = run(student(0, 0.9, 1_000))


def test_areas_by_hand():
    found = compare([FIRST, SECOND])
    assert found.reference == pytest.approx({"params": 10**4.2, "accuracy": 0.45})
    box = 2.2 * 0.55
    # (4.2 - 2) * (0.5 - 0.45) + (4.2 - 4) * (1 - 0.5); (4.2 - 3) * (0.9 - 0.45).
    assert found.hypervolumes == pytest.approx([0.21 / box, 0.54 / box])
    # 2.2 * 0.05 + 1.2 * 0.4 + 0.2 * 0.1
    assert found.joint_hypervolume == pytest.approx(0.61 / box)


def test_the_joint_front_says_whose_its_points_are():
    same = run(student(5, 0.5, 100), student(6, 0.89, 1_000))
    found = compare([FIRST, SECOND, same])
    assert [(s.result.number, s.result.metrics["params"], s.runs) for s in found.joint] == [
        (0, 100, (0, 2)), (0, 1_000, (1,)), (1, 10_000, (0,)),
    ]  # fmt: skip


def test_bands_by_hand():
    found = compare([run(student(0, 0.5, 1_023), student(1, 0.6, 1_024), student(2, 0.7, 2_047)),
                     run(student(0, 0.55, 512))])  # fmt: skip
    assert [
        (band.low, band.high, [b and b.metrics["accuracy"] for b in band.best])
        for band in found.bands
    ] == [(512, 1_024, [0.5, 0.55]), (1_024, 2_048, [0.7, None])]


def test_of_sizes_far_apart_the_bands_are_wider():
    found = compare([run(student(0, 0.5, 100), student(1, 0.6, 100_000)), SECOND])
    # 4 to the powers 3 (64), 4 (256) and 8 (65,536).
    assert [band.low for band in found.bands] == [64, 256, 65_536]
    latency = {"accuracy": "max", "latency_ms": "min"}
    fast = run(student(0, 0.5, 1, latency_ms=0.3), objectives=latency)
    (band,) = compare([fast, fast]).bands
    assert (band.low, band.high) == (0.25, 0.5)


def test_each_run_is_taken_within_its_own_constraints():
    bound = run(*FIRST.results, constraints={"params": {"max": 500}})
    assert [len(members) for members in compare([bound, FIRST]).fronts] == [1, 2]


def test_the_objectives_are_those_of_the_first_run():
    losses = {"loss": "min", "macs": "min"}
    one = run(student(0, 0.5, 1, macs=100.0, loss=0.5), objectives=losses)
    found = compare([one, FIRST])
    assert dict(found.objectives) == {"macs": "min", "loss": "min"}
    assert found.fronts[1] == ()  # nobody measured them there
    assert found.hypervolumes[1] == 0
    # Alone it is both ends: a tenth of a decade and of a nat away from the reference.
    assert found.reference == pytest.approx({"macs": 10**2.1, "loss": 0.6})
    assert found.hypervolumes[0] == pytest.approx(1)


def test_runs_without_complete_trials():
    found = compare([run(), run()])
    assert (found.joint, found.bands, found.reference, found.hypervolumes) == ((), (), {}, (0, 0))


students = st.lists(st.tuples(st.integers(0, 100), st.integers(1, 10**6)), min_size=1, max_size=8)


@given(st.lists(students, min_size=2, max_size=4))
def test_no_front_is_larger_than_the_joint_one_and_each_member_is_somebodys(found):
    runs = [run(*(student(i, share / 100, size) for i, (share, size) in enumerate(each)))
            for each in found]  # fmt: skip
    compared = compare(runs)
    assert max(compared.hypervolumes) <= compared.joint_hypervolume + 1e-12
    assert 0 < compared.joint_hypervolume <= 1 + 1e-12
    for shared in compared.joint:
        assert shared.runs
        for number in shared.runs:
            values = [member.metrics for member in compared.fronts[number]]
            assert shared.result.metrics in values
    counted = [each for band in compared.bands for each in band.best if each is not None]
    assert all(math.isfinite(each.metrics["params"]) for each in counted)
