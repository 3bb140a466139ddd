"""Confirmations of a sweep as a table, in the numbers of ``test_results_confirmation``."""

import pytest
from confirmed_runs import all_records, confirmation_in, sweep_in

import kdsweep


def test_a_row_for_each_student_and_control(tmp_path):
    store = sweep_in(tmp_path)
    confirmation_in(tmp_path)
    table = kdsweep.load(store.directory).confirmations
    assert list(table["kind"]) == ["student", "student", "control", "own_control"]
    small = table.iloc[0]
    assert (small["name"], small["params"], small["seeds"], small["failed"]) == ("kd w4", 100, 2, 0)
    assert small["swept_accuracy"] == 0.80
    assert small["accuracy"] == pytest.approx(0.77)
    assert small["test_accuracy"] == pytest.approx(0.76)
    assert small["test_accuracy_std"] == pytest.approx(0.04 / 2**0.5)
    # One degree of freedom: t = 12.7062, times the standard error of two values.
    assert small["test_accuracy_low"] == pytest.approx(0.76 - 12.7062 * 0.02, abs=1e-6)
    assert small["optimism_on_test"] == pytest.approx(0.04)
    assert small["minus.own control"] == pytest.approx(0.02)
    assert table["on_front"].tolist() == [1.0, 1.0, 0.0, 0.0]
    assert table["minus.none"].iloc[0] == pytest.approx(0.05)
    assert table["minus.none"].isna().tolist() == [False, False, True, True]


def test_what_is_not_trained_yet_is_missing(tmp_path):
    store = sweep_in(tmp_path)
    confirmation_in(tmp_path, all_records()[:2], status="running")
    table = kdsweep.load(store.directory).confirmations
    assert table["test_accuracy"].isna().tolist() == [False, True, True, True]
    assert table["on_front"].isna().all()  # among all of them, which are not there yet


def test_of_a_sweep_that_was_not_confirmed_it_is_empty(tmp_path):
    table = kdsweep.load(sweep_in(tmp_path).directory).confirmations
    assert len(table) == 0
    assert {"test_accuracy", "optimism", "on_front"} <= set(table.columns)
