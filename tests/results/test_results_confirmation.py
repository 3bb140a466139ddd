"""A confirmation from its records, every number worked by hand."""

import json
import math

import pytest
from confirmed_runs import (
    POINTS,
    SWEEP_ID,
    all_records,
    confirmation_in,
    confirms,
    record,
    sweep_in,
    teacher_record,
)
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from kdsweep.errors import ResultError
from kdsweep.results.confirmation import OWN, confirmation
from kdsweep.results.confirmations import confirmations_of, openings
from kdsweep.results.confirms import fresh_seeds
from kdsweep.results.meta import RunMeta


def test_a_student_by_hand(tmp_path):
    found = confirmation(confirmation_in(tmp_path))
    small = found.students[0]
    assert small.test.values == (0.74, 0.78)
    assert small.test.mean == pytest.approx(0.76)
    assert small.test.deviation == pytest.approx(0.04 / math.sqrt(2))
    assert small.validation.mean == pytest.approx(0.77)
    # The sweep said 0.80; fresh seeds say 0.77 on the same data, and 0.76 on test data.
    assert small.optimism == pytest.approx(0.03)
    assert small.optimism_on_test == pytest.approx(0.04)
    # In pairs: 0.74 - 0.73 and 0.78 - 0.75. One degree of freedom: t = 12.7062.
    own = small.minus[OWN]
    assert own.values == pytest.approx((0.01, 0.03))
    half = 12.7062 * 0.01 * math.sqrt(2) / math.sqrt(2)
    assert own.interval == pytest.approx((0.02 - half, 0.02 + half), abs=1e-6)
    assert small.minus["none"].values == pytest.approx((0.04, 0.06))


def test_averages_over_students_by_hand(tmp_path):
    found = confirmation(confirmation_in(tmp_path))
    # 0.80 - 0.77 and 0.90 - 0.88; on test data 0.80 - 0.76 and 0.90 - 0.88.
    assert found.optimism.values == pytest.approx((0.03, 0.02))
    assert found.optimism.mean == pytest.approx(0.025)
    assert found.optimism_on_test.mean == pytest.approx(0.03)
    # 0.70 on validation data and 0.71 on test data, both of fresh seeds.
    assert found.of_controls_on_test.values == pytest.approx((-0.01,))
    chosen_lower = [
        point.model_copy(update={"metrics": {"accuracy": 0.5}})
        if point.kind == "control"
        else point
        for point in POINTS
    ]
    other = confirmation_in(tmp_path / "1", confirms=confirms(points=chosen_lower))
    again = confirmation(other).of_controls_on_test
    assert again.values == pytest.approx((-0.01,)), "what the sweep measured is of other trainings"


def test_who_is_on_the_front_and_who_never(tmp_path):
    found = confirmation(confirmation_in(tmp_path))
    # The own control is behind its student with each seed; the sweep's is so too.
    assert [each.on_front for each in found.points] == [1.0, 1.0, 0.0, 0.0]


def test_the_teacher_and_when_test_data_were_opened(tmp_path):
    found = confirmation(confirmation_in(tmp_path))
    assert found.teacher == {"accuracy": 0.95, "test_accuracy": 0.94}
    assert found.opened.startswith("2023-11-14T")
    assert found.num_ended == found.confirms.num_trials == 8


def test_a_control_is_held_against_none_alone(tmp_path):
    kd = POINTS[2].model_copy(update={"name": "kd w8", "changes": {}})
    points = (*POINTS, kd)
    of_kd = (
        record(2, n).model_copy(update={"trial_id": f"0000{8 + n}", "number": 8 + n, "point": 4})
        for n in range(2)
    )
    records = [*all_records(), *of_kd]
    more = confirms(points=points, controls={"none": 2, "kd": 4})
    found = confirmation(confirmation_in(tmp_path, records, confirms=more))
    against = [set(each.minus) for each in found.points]
    assert against == [{OWN, "none", "kd"}, {"none", "kd"}, set(), set(), {"none"}]


def test_a_seed_that_failed_counts_nowhere_and_takes_the_front(tmp_path):
    records = all_records()
    records[0] = record(0, 0, status="failed", metrics={}, error="no memory")
    found = confirmation(confirmation_in(tmp_path, records))
    small, large = found.students
    assert (small.num_failed, small.on_front, small.test.values) == (1, None, (0.78,))
    assert small.minus[OWN].values == pytest.approx((0.03,))
    assert large.on_front == 1.0


def test_constraints_are_kept_on_test_data(tmp_path):
    store = confirmation_in(tmp_path, constraints={"params": {"max": 150}})
    assert [each.on_front for each in confirmation(store).points] == [1.0, None, None, 0.0]


def test_one_that_has_just_begun_has_no_numbers(tmp_path):
    store = confirmation_in(tmp_path, [record(0, 0, status="running", metrics={})])
    found = confirmation(store)
    assert (found.num_ended, found.opened, found.optimism) == (0, None, None)
    assert all(each.test is None and each.result is None for each in found.points)


def test_who_has_learned_from_validation_data_has_no_accuracy_there(tmp_path):
    records = [
        each.model_copy(update={"metrics": {name: value for name, value in each.metrics.items()
                                            if name not in ("accuracy", "loss")}})
        for each in all_records()
    ]  # fmt: skip
    store = confirmation_in(tmp_path, records, confirms=confirms(with_validation=True))
    found = confirmation(store)
    assert found.optimism is None
    assert found.students[0].validation is None
    assert found.optimism_on_test.mean == pytest.approx(0.03)
    assert [each.on_front for each in found.points] == [1.0, 1.0, 0.0, 0.0]


def test_a_sweep_is_no_confirmation(tmp_path):
    with pytest.raises(ResultError, match="is a sweep, and no confirmation of one"):
        confirmation(sweep_in(tmp_path))


def test_those_of_a_sweep_are_found_beside_it(tmp_path):
    sweep = sweep_in(tmp_path)
    assert confirmations_of(sweep) == []
    confirmation_in(tmp_path, name="later", created="2026-11-23T10:00:00+00:00")
    confirmation_in(tmp_path, created="2026-11-22T10:00:00+00:00")
    confirmation_in(tmp_path, name="another", confirms=confirms(sweep_id="b" * 32))
    found = confirmations_of(sweep)
    assert [each.meta.name for each in found] == ["digits-confirm", "later"]


def test_who_has_opened_the_test_data_is_told(tmp_path):
    sweep = sweep_in(tmp_path)
    # One that was stopped before its first student has opened nothing; other data are others.
    confirmation_in(tmp_path, [teacher_record()], name="stopped", status="stopped")
    other = confirms(sweep_id="b" * 32)
    confirmation_in(tmp_path, name="elsewhere", confirms=other, data_fingerprint="e" * 64)
    assert openings(sweep) == ()
    late = [each.model_copy(update={"started": 1.8e9}) for each in all_records()]
    confirmation_in(tmp_path, late, name="same-data", confirms=other)
    confirmation_in(tmp_path)
    found = openings(sweep)
    assert [(each.run, each.same_sweep) for each in found] == [
        ("digits-confirm", True), ("same-data", False),
    ]  # fmt: skip
    assert found[0].when == confirmation(confirmation_in(tmp_path, name="again")).opened


@given(
    used=st.sets(st.integers(0, 40)), num=st.integers(1, 20), first=st.integers(0, 2**31 - 1)
)  # fmt: skip
def test_seeds_are_fresh_and_as_many_as_asked(used, num, first):
    found = fresh_seeds(used, num, first=first)
    assert len(set(found)) == num
    assert used.isdisjoint(found)
    assert all(0 <= seed < 2**31 for seed in found)


def test_after_the_largest_seed_comes_the_smallest():
    assert fresh_seeds({2**31 - 1, 0}, 3, first=2**31 - 2) == (2**31 - 2, 1, 2)


def test_what_is_confirmed_is_read_back_as_it_was_written(tmp_path):
    store = confirmation_in(tmp_path)
    said = json.loads((store.directory / "run.json").read_text())
    assert RunMeta.model_validate(said) == store.meta
    assert said["confirms"]["sweep_id"] == SWEEP_ID
    said["confirms"]["seeds"] = [3]
    with pytest.raises(ValidationError, match="seeds"):
        RunMeta.model_validate(said)
