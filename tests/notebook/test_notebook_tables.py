"""Records as tables: rows, columns, and their types."""

import math

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from noted_sweeps import KD, RECORDS, run_of, student, teacher_record
from pandas.api import types

import kdsweep
from kdsweep.errors import ResultError
from kdsweep.notebook.tables import epoch_table, trial_table


def tabled(records, on_front=()):
    return trial_table(records, on_front=on_front)


def test_a_row_for_each_trial_under_its_number():
    table = tabled(RECORDS, on_front={"00001", "00000", "00003"})
    assert table.index.name == "number"
    assert list(table.index) == [0, 1, 2, 3, 4]
    assert list(table["on_front"]) == [True, True, False, True, False]
    assert list(table["role"]) == ["control", *["trial"] * 4]
    assert list(table["strategy"]) == ["none", "kd", "none", "kd", "none"]
    assert table.loc[3, "student.width"] == 16
    assert table.loc[1, "strategy.alpha"] == KD["alpha"]
    assert math.isnan(table.loc[0, "strategy.alpha"])
    assert table.loc[4, "error"] == "loss is nan"
    assert table.loc[0, "started"] == pd.Timestamp("2027-01-15 08:00", tz="UTC")
    assert list(table["epochs"]) == [2, 2, 2, 2, 0]


def test_columns_have_types_that_fit_what_is_missing():
    found = tabled(RECORDS).dtypes
    assert {name: str(found[name]) for name in ("params", "macs", "epochs", "student.width")} == {
        "params": "Int64", "macs": "Int64", "epochs": "Int64", "student.width": "Int64"
    }  # fmt: skip
    assert {str(found[name]) for name in ("accuracy", "loss", "latency_ms", "seconds")} == {
        "float64"
    }
    assert str(found["strategy.temperature"]) == "float64"
    assert types.is_bool_dtype(found["on_front"])
    assert types.is_datetime64_any_dtype(found["started"])


def test_a_table_of_nothing_has_its_columns():
    table = tabled([])
    assert len(table) == 0
    assert {"accuracy", "params", "status", "on_front", "started"} <= set(table.columns)
    assert str(table["params"].dtype) == "Int64"
    assert list(epoch_table([]).columns)[:3] == ["number", "trial_id", "name"]


def test_settings_have_the_types_of_their_values():
    def set_to(number, **changes):
        trial = {"student": {"name": "cnn"}, "train": {k[6:]: v for k, v in changes.items()}}
        paths = {name.replace("_", ".", 1): value for name, value in changes.items()}
        return student(number, 0.5, 10.0, trial=trial, changes=paths, params=paths)

    first = set_to(0, train_epochs=3, train_lr=1, train_nesterov=True, train_name="adam")
    second = set_to(1, train_epochs=4, train_lr=0.5, train_nesterov=None, train_name="sgd")
    table = tabled([first, second])
    kinds = {name: str(table[f"train.{name}"].dtype) for name in ("epochs", "lr", "nesterov")}
    assert kinds == {"epochs": "Int64", "lr": "float64", "nesterov": "boolean"}
    assert list(table["train.name"]) == ["adam", "sgd"]
    assert table["train.nesterov"].isna().tolist() == [False, True]


def test_a_setting_hides_no_other_column():
    record = student(0, 0.5, 10.0, trial={"student": {"name": "cnn"}, "seed": 4})
    record = record.model_copy(
        update={"changes": {"status": "wide", "seed": 4}, "params": {"status": "wide", "seed": 4}}
    )
    table = tabled([record])
    assert table.loc[0, "status"] == "complete"
    assert table.loc[0, "settings.status"] == "wide"
    assert table.loc[0, "seed"] == 4


def test_epochs_are_in_long_form():
    table = epoch_table(RECORDS)
    assert len(table) == 8
    row = table.query("number == 3 and epoch == 1").iloc[0]
    assert (row["accuracy"], row["train.total"], row["train.soft"]) == (0.475, 2.0, 1.0)
    assert table.query("number == 0")["train.soft"].isna().all()


def replicates(point, accuracies, **more):
    num = len(accuracies)
    return [
        student(num * point + i, accuracy, 100.0 * (point + 1), **more).model_copy(
            update={"point": point, "replicate": i, "replicates": num}
        )
        for i, accuracy in enumerate(accuracies)
    ]


def test_replicates_are_rows_of_their_own_and_means_on_the_front(tmp_path):
    records = [*replicates(0, [0.75, 0.85]), *replicates(1, [0.9, 0.9])]
    sweep = kdsweep.load(run_of(records, home=tmp_path, replicates=2).directory)
    trials, front = sweep.trials, sweep.front
    assert list(trials["replicate"]) == [0, 1, 0, 1]
    assert list(trials["point"]) == [0, 0, 1, 1]
    assert list(trials["on_front"]) == [True] * 4
    assert list(front["accuracy"]) == pytest.approx([0.8, 0.9])
    assert front["accuracy_std"].iloc[0] == pytest.approx(0.1 / math.sqrt(2))
    assert front["trial_ids"].iloc[0] == ("00000", "00001")
    assert list(front["replicates"]) == [2, 2]


def test_teachers_are_a_table_of_their_own(tmp_path):
    records = [*RECORDS, teacher_record()]
    sweep = kdsweep.load(run_of(records, home=tmp_path).directory)
    assert list(sweep.teachers.index) == ["teacher-01234567"]
    assert sweep.teachers.iloc[0]["accuracy"] == 0.96
    assert "teacher-01234567" not in set(sweep.trials["trial_id"])
    assert set(sweep.epochs["number"]) == {0, 1, 2, 3}


def test_each_table_is_a_copy(tmp_path):
    sweep = kdsweep.load(run_of(home=tmp_path).directory)
    trials, front = sweep.trials, sweep.front
    trials["accuracy"] = 0.0
    front.loc[3, "accuracy"] = 0.0
    assert sweep.trials["accuracy"].max() == 0.95
    assert sweep.front.loc[3, "accuracy"] == 0.95


def test_sweeps_are_rows_newest_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_of(home=tmp_path, name="old", created="2026-11-20T10:00:00+00:00")
    run_of([], home=tmp_path, name="new", created="2026-11-21T10:00:00+02:00", trials=None)
    table = kdsweep.sweeps()
    assert list(table.index) == ["runs/new", "runs/old"]
    assert list(table["name"]) == ["new", "old"]
    assert table.loc["runs/old", "best_accuracy"] == 0.95
    assert table.loc["runs/old", "front_size"] == 3
    assert table.loc["runs/old", "failed"] == 1
    assert pd.isna(table.loc["runs/new", "planned"])
    assert table["created"].iloc[0] == pd.Timestamp("2026-11-21 08:00", tz="UTC")
    assert kdsweep.load(table.index[1]).name == "old"


def test_a_directory_without_runs_is_an_empty_table(tmp_path):
    assert len(kdsweep.sweeps(tmp_path)) == 0
    with pytest.raises(ResultError, match="is not a directory"):
        kdsweep.sweeps(tmp_path / "absent")


def test_a_run_that_cannot_be_read_is_warned_of(tmp_path):
    run_of(home=tmp_path, name="good")
    run_of(home=tmp_path, name="bad")
    (tmp_path / "runs" / "bad" / "run.json").write_text("{")
    with pytest.warns(UserWarning, match=r"bad") as warned:
        table = kdsweep.sweeps(tmp_path / "runs")
    assert list(table["name"]) == ["good"]
    assert warned[0].filename == __file__


# In a fresh clone Hypothesis first works out its tables of characters, which is no input's fault.
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["a", "b.c", "d.e.f"]),
            st.one_of(
                st.booleans(), st.integers(-(2**60), 2**60), st.floats(allow_nan=False),
                st.text(max_size=5).filter(lambda text: text != "null"),
            ),
        ),
        max_size=6,
    )
)  # fmt: skip
def test_whatever_was_set_is_in_the_table(settings):
    records = [
        student(number, 0.5, 10.0, trial={}, changes=changes, params=changes)
        for number, changes in enumerate(settings)
    ]
    table = tabled(records)
    for number, changes in enumerate(settings):
        for path, value in changes.items():
            found = table.loc[number, path]
            # Whole numbers beside others become floats, as in any table of numbers.
            assert found == value or found == pytest.approx(float(value))
        for path in {"a", "b.c", "d.e.f"} & set(table.columns) - set(changes):
            assert pd.isna(table.loc[number, path])
